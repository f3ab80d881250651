"""One training run from recipe to weights: data, folder, resume, and what it took."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ir_replications.reports.records import provenance
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.models.embedder import load_embedder
from ir_replications.shared.models.references import fetch_model, load_causal_lm
from ir_replications.shared.own_code import code_of
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.adapters import note_base
from ir_replications.shared.training.folder import weights_checksums
from ir_replications.shared.training.runs import Trained, finished_or, run_folder
from ir_replications.tongsearch_qr.method.reward import RelevanceReward
from ir_replications.tongsearch_qr.training.data import Row, shorter_than, shuffled, split_rows
from ir_replications.tongsearch_qr.training.grpo import make_trainer
from ir_replications.tongsearch_qr.training.leakage import separated
from ir_replications.tongsearch_qr.training.qa_files import load_rows
from ir_replications.tongsearch_qr.training.recipe import Recipe
from ir_replications.tongsearch_qr.training.sft import make_sft_trainer

METHODS = ("grpo", "sft")


@dataclass(frozen=True)
class TrainingRows:
    """The questions of a recipe: those trained on, those held out, and the sha256 of the source."""

    train: list[Row]
    held_out: list[Row]
    sha256: str


def training_rows(
    recipe: Recipe, data_root: Path | None = None, download: bool = True
) -> TrainingRows:
    """The recipe's questions, in the order of its data seed.

    The held-out ones are chosen by a hash of their id; questions that nearly repeat one of them
    are not trained on.
    """
    rows, sha256 = load_rows(recipe.data, data_root=data_root, download=download)
    if recipe.max_question_words is not None:
        rows = shorter_than(rows, recipe.max_question_words)
    train, held_out = split_rows(rows, recipe.held_out)
    if held_out:
        train = separated(train, held_out)
    return TrainingRows(shuffled(train, recipe.data_seed)[: recipe.max_rows], held_out, sha256)


def train(
    recipe: Recipe,
    method: str = "grpo",
    *,
    rows: TrainingRows | None = None,
    output: Path | None = None,
    data_root: Path | None = None,
    callbacks: Sequence[Any] = (),
) -> Trained:
    """Train, or go on where a killed run stopped, or return what is already finished.

    The folder is `output`, else one in the cache named after everything that decides the result.
    Raises InputError when the folder belongs to another run, holds a checkpoint of another
    model, or the disk is full, and as `check_machine` does.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    questions = rows or training_rows(recipe, data_root)
    model_files = fetch_model(recipe.model)
    request = {
        "method": method,
        **recipe.request(),
        "data_sha256": questions.sha256,
        "model_sha256": model_files.sha256,
        "embedder_sha256": fetch_model(recipe.embedder).sha256 if method == "grpo" else None,
        "code_sha256": code_of(__name__),
    }
    folder = run_folder(f"tongsearch_qr-{recipe.name}-{method}", request, output)

    def make() -> dict[str, Any]:
        check_machine(recipe, method)
        with folder.one_line_errors():
            checkpoint = folder.start(_bytes_needed(recipe, model_files.path), recipe.max_steps)
            return _run(recipe, method, questions, folder, checkpoint, list(callbacks))

    return finished_or(folder, make)


def check_machine(recipe: Recipe, method: str) -> None:
    """Raise InputError where the processes that run, or vLLM, are not what the recipe counts on."""
    running = int(os.environ.get("WORLD_SIZE", "1"))
    if running != recipe.processes:
        raise InputError(
            f"{recipe.name}: {running} processes run, the recipe counts {recipe.processes}; start "
            f"it with `accelerate launch --num_processes {recipe.processes}`, or set processes"
        )
    if method == "grpo" and recipe.vllm != "off" and find_spec("vllm") is None:
        raise MissingDependencyError(
            f"{recipe.name}: rollouts by vLLM ({recipe.vllm}), which is not installed: pip install "
            "'trl[vllm]' where there is a GPU, or set vllm: off in a copy of the recipe"
        )


def _run(
    recipe: Recipe,
    method: str,
    rows: TrainingRows,
    folder: TrainingFolder,
    checkpoint: Path | None,
    callbacks: list[Any],
) -> dict[str, Any]:
    """Train to the end and write the weights and finished.json."""
    from transformers import set_seed

    from ir_replications.shared.training.callbacks import LogMetrics, SealCheckpoints

    if not sys.stderr.isatty():
        import datasets

        datasets.disable_progress_bars()

    started, clock = datetime.now(UTC), time.perf_counter()
    command = f"replicate train tongsearch_qr {recipe.name} --method {method}"
    # transformers warns of its own renamed settings, which TRL still uses.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
    set_seed(recipe.seed)  # before anything is created that draws random numbers
    files = fetch_model(recipe.model)
    # Trained weights stay in float32: in bfloat16 a step of 1e-6 would round to nothing.
    frozen = recipe.lora is not None
    model, tokenizer = load_causal_lm(recipe.model, dtype=recipe.precision if frozen else "float32")
    callbacks = [LogMetrics(folder), SealCheckpoints(folder), *callbacks]
    reward = None
    if method == "grpo":
        reward = RelevanceReward(
            load_embedder(recipe.embedder),
            think=recipe.think,
            scale=recipe.reward_scale,
            failure=recipe.failure_reward,
            subtract_baseline=recipe.subtract_baseline,
        )
        trainer = make_trainer(recipe, model, tokenizer, rows.train, reward, folder.path, callbacks)
    else:
        trainer = make_sft_trainer(recipe, model, tokenizer, rows.train, folder.path, callbacks)
    if not sys.stderr.isatty():
        _silence(trainer)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.save_model(str(folder.final))
    if not trainer.accelerator.is_main_process:
        return {}
    note_base(folder.final, recipe.model, files.sha256)
    return folder.finish(
        {
            "weights_sha256": weights_checksums(folder.final),
            "trainable_parameters": sum(
                p.numel() for p in trainer.model.parameters() if p.requires_grad
            ),
            "precision": recipe.precision,
            "train_rows": len(rows.train),
            "held_out_rows": len(rows.held_out),
            "resumed_from": checkpoint.name if checkpoint else None,
            "outputs": dict(reward.counters) if reward else {},
            "reward_seconds": round(reward.seconds, 3) if reward else None,
            "provenance": provenance.collect(
                paper="tongsearch_qr",
                command=command,
                seed=recipe.seed,
                data={recipe.data: rows.sha256},
                models={recipe.model: files.sha256},
                started=started,
                wall_s=time.perf_counter() - clock,
                training_code_sha256=folder.request.get("code_sha256"),
            ),
        }
    )


def _silence(trainer: Any) -> None:
    """No progress bar and no printed metrics where nobody watches; log.jsonl has them."""
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)


def _bytes_needed(recipe: Recipe, model_folder: Path) -> int:
    """Room for the last two checkpoints: small for adapters, weights and optimiser otherwise."""
    if recipe.lora is not None:
        return 200_000_000
    weights = sum(path.stat().st_size for path in model_folder.glob("*.safetensors"))
    return 2 * 4 * weights
