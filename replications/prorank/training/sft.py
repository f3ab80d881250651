"""Supervised warmup: cross-entropy on the answer token, on the batches that stage 1 would see.

The comparison that the paper's argument for reinforcement needs: the same pairs, order, adapter,
learning rate and number of updates; no sampling, no reference.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from ir_replications.prorank.method.answer_grpo import (
    answer_logits,
    answer_metrics,
    constant_answer,
)
from ir_replications.prorank.method.prompt import answer_ids
from ir_replications.prorank.training.batches import Prompts, pair_batches
from ir_replications.prorank.training.loop import Loop
from ir_replications.prorank.training.preparation import prepared
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.distributed import (
    check_shares,
    gathered,
    process_group,
    share,
)
from ir_replications.shared.training.pairs import Pair


@process_group()
def sft(
    model: Any, tokenizer: Any, pairs: Sequence[Pair], recipe: Recipe, folder: TrainingFolder
) -> dict[str, Any]:
    """Train the model to give each pair's label as its answer; weights in `folder.final`.

    Takes the settings of stage 1. Folder, log, result and errors are as in `warmup`.
    """
    if done := folder.finished():
        return done
    settings, digits = recipe.warmup, answer_ids(tokenizer)
    size, labels = settings.pairs_per_step, [pair.label for pair in pairs]
    check_shares(size, "pairs_per_step")
    batches = pair_batches(labels, size, settings.steps, recipe.seed, settings.balanced)
    model = prepared(model, recipe)
    prompts = Prompts(tokenizer, recipe, pairs, model)
    with folder.one_line_errors():
        loop = Loop(model, recipe, settings, folder)
        for step in loop.steps():
            started = time.perf_counter()
            loss, seen, truth = 0.0, [], []
            mine = share(next(prompts.parts(batches[step], size)))
            for numbers in prompts.parts(mine, settings.forward_pairs):
                ids, mask, wanted = prompts.batch(numbers)
                with loop.autocast():
                    logits = answer_logits(model, ids, mask)
                of_part = answer_ce(logits, wanted, digits) * len(numbers) / size
                of_part.backward()
                loss += float(of_part.detach())
                seen.append(logits.detach())
                truth.append(wanted)
            loop.log(
                {
                    **loop.update(loss),
                    **answer_metrics(torch.cat(seen), torch.cat(truth), digits, gathered),
                    "step_seconds": round(time.perf_counter() - started, 4),
                }
            )
        collapsed = constant_answer(folder.read_log()) if settings.balanced else None
        loop.save_weights()
        return loop.finish(
            {
                "method": "sft",
                "updates": settings.steps,
                "pairs": settings.steps * size,
                "collapsed_to": collapsed,
            }
        )


def answer_ce(
    logits: torch.Tensor, labels: torch.Tensor, answer_ids: tuple[int, int]
) -> torch.Tensor:
    """Mean cross-entropy of the labels' digits under logits (B, V) of the whole vocabulary."""
    digits = torch.tensor(answer_ids, device=logits.device)
    return F.cross_entropy(logits, digits[labels])
