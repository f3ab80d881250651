"""Train a system stage by stage: each in its own folder, resumed or found finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.prorank.reranking.reranker import weights_sha256
from ir_replications.prorank.training.data import TrainingData, run_request
from ir_replications.prorank.training.fine_grained import fine_grained
from ir_replications.prorank.training.recipe import Recipe, fine_grained_alone
from ir_replications.prorank.training.sft import sft
from ir_replications.prorank.training.warmup import warmup
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import fetch_model, load_causal_lm
from ir_replications.shared.own_code import code_of
from ir_replications.shared.training.distributed import check_shares
from ir_replications.shared.training.runs import Trained, finished_or, run_folder

# system: its stages, in order
SYSTEMS: dict[str, tuple[str, ...]] = {
    "zero-shot": (),
    "sft": ("sft",),
    "stage 1": ("warmup",),
    "stage 2": ("fine_grained",),  # alone, for the updates of both stages
    "stage 1+2": ("warmup", "fine_grained"),
    "sft+stage 2": ("sft", "fine_grained"),
}


@dataclass(frozen=True)
class TrainedStage(Trained):
    """A finished stage."""

    stage: str


def train(
    recipe: Recipe,
    system: str,
    data: TrainingData,
    *,
    output: Path | None = None,
    download: bool = True,
) -> list[TrainedStage]:
    """The system's stages, each trained, or gone on with where it was killed, or found finished.

    Folders are `output`/<stage>, else in the cache, named after everything that decides the
    result, so systems that share a stage train it once. Raises InputError for an unknown system,
    where several processes cannot share the batches of every stage, and as the stages do.
    """
    if system not in SYSTEMS:
        raise InputError(f"system {system!r}: expected one of {', '.join(SYSTEMS)}")
    if system == "stage 2":
        recipe = fine_grained_alone(recipe)
    for stage in SYSTEMS[system]:  # before any of them trains
        if stage == "fine_grained":
            check_shares(recipe.fine_grained.groups_per_step, "groups_per_step")
        else:
            check_shares(recipe.warmup.pairs_per_step, "pairs_per_step")
    done: list[TrainedStage] = []
    for stage in SYSTEMS[system]:
        start = done[-1].weights if done else None
        done.append(_run(recipe, stage, data, start, output, download))
    return done


def _run(
    recipe: Recipe,
    stage: str,
    data: TrainingData,
    start: Path | None,
    output: Path | None,
    download: bool,
) -> TrainedStage:
    request = run_request(
        recipe,
        stage,
        data_sha256=data.sha256,
        model_sha256=fetch_model(recipe.model, download=download).sha256,
        start_sha256=weights_sha256(start) if start else None,
    ) | {"code_sha256": code_of(__name__)}
    name = f"prorank-{recipe.name}-{stage}"
    folder = run_folder(name, request, output / stage if output else None)

    def make() -> dict[str, Any]:
        # Trained weights stay in float32; the recipe's precision is that of the computation.
        model, tokenizer = load_causal_lm(recipe.model)
        if stage == "fine_grained":
            return fine_grained(model, tokenizer, data.groups, recipe, folder, start=start)
        method = warmup if stage == "warmup" else sft
        return method(model, tokenizer, data.pairs, recipe, folder)

    return TrainedStage(**vars(finished_or(folder, make)), stage=stage)
