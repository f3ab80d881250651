"""Stage 2: fine-grained scores, from the logits of both answers and with no layer added."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ir_replications.prorank.method.answer_grpo import answer_logits
from ir_replications.prorank.method.losses import LOSSES
from ir_replications.prorank.method.prompt import answer_ids
from ir_replications.prorank.method.score import logit_difference
from ir_replications.prorank.training.batches import Prompts, order
from ir_replications.prorank.training.loop import Loop
from ir_replications.prorank.training.preparation import prepared
from ir_replications.prorank.training.recipe import FineGrained, Recipe
from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.distributed import (
    check_shares,
    gathered,
    process_group,
    share,
)
from ir_replications.shared.training.pairs import Group


@process_group()
def fine_grained(
    model: Any,
    tokenizer: Any,
    groups: Sequence[Group],
    recipe: Recipe,
    folder: TrainingFolder,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train s = z1 - z0 to rank each group's relevant document first; weights in `folder.final`.

    `start` is the `final` folder of stage 1, whose adapter is trained further (without LoRA, whose
    weights are); None: from `model` itself, stage 2 alone. The parameters are the same before and
    after, by name and shape, which is checked at the end. Groups are a relevant pair first and its
    negatives after it. Folder, log and errors are as in `warmup`.
    """
    if done := folder.finished():
        return done
    settings, digits = recipe.fine_grained, answer_ids(tokenizer)
    width = 1 + settings.negatives
    _check(groups, width)
    check_shares(settings.groups_per_step, "groups_per_step")
    pairs = [pair for group in groups for pair in group]
    batches = order(len(groups), settings.groups_per_step, settings.steps, recipe.seed)
    before = parameters(model)
    model = prepared(model, recipe, start)
    prompts = Prompts(tokenizer, recipe, pairs, model)
    together = max(1, settings.forward_pairs // width)  # whole groups share a forward pass
    with folder.one_line_errors():
        loop = Loop(model, recipe, settings, folder)
        for step in loop.steps():
            started = time.perf_counter()
            loss, found, batch = 0.0, [], batches[step]
            mine = share(batch)
            for first in range(0, len(mine), together):
                chosen = mine[first : first + together]
                numbers = [group * width + i for group in chosen for i in range(width)]
                ids, mask, labels = prompts.batch(numbers)
                with loop.autocast():
                    logits = answer_logits(model, ids, mask)
                scores = logit_difference(logits, *digits).view(len(chosen), width)
                of_part = group_loss(scores, labels.view_as(scores), settings)
                of_part = of_part * len(chosen) / len(batch)
                of_part.backward()
                loss += float(of_part.detach())
                found.append(scores.detach())
            loop.log(
                {
                    **loop.update(loss),
                    **score_metrics(gathered(torch.cat(found))),
                    "step_seconds": round(time.perf_counter() - started, 4),
                }
            )
        loop.save_weights()
        after = parameters(merged(model))
        if after != before:
            changed = min(set(before.items()) ^ set(after.items()))
            raise RuntimeError(f"stage 2 changed the layers of the model: {changed}")
        return loop.finish(
            {
                "method": settings.loss,
                "updates": settings.steps,
                "pairs": settings.steps * settings.pairs_per_step,
                "parameters": sum(torch.Size(shape).numel() for shape in after.values()),
            }
        )


def group_loss(scores: torch.Tensor, labels: torch.Tensor, settings: FineGrained) -> torch.Tensor:
    """The recipe's loss of scores and labels (Q, 1 + n)."""
    options = {"tau": settings.tau} if settings.loss == "softmax" else {}
    return LOSSES[settings.loss](scores, labels, **options)


def score_metrics(scores: torch.Tensor) -> dict[str, float]:
    """Of scores (Q, 1 + n) with the relevant document first: how well and how far apart.

    ordered: share of negatives below their relevant document; margin: mean s+ - s-; deviation:
    standard deviation of all scores.
    """
    gaps = scores[:, :1] - scores[:, 1:]
    return {
        "ordered": float((gaps > 0).float().mean()),
        "margin": float(gaps.mean()),
        "deviation": float(scores.std()),
    }


def parameters(model: Any) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter of the model, by name; tied ones count once."""
    return {name: tuple(value.shape) for name, value in model.named_parameters()}


def merged(model: Any) -> Any:
    """The model with its adapter added to its own weights; a model without one as it is."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def _check(groups: Sequence[Group], width: int) -> None:
    if not groups:
        raise InputError("no training groups; expected some, as pairs.groups makes them")
    for number, group in enumerate(groups, start=1):
        labels = [pair.label for pair in group]
        if labels != [1] + [0] * (width - 1):
            raise InputError(
                f"group {number} has the labels {labels}; the recipe takes one relevant pair "
                f"and then {width - 1} others"
            )
