"""Stage 1: prompt warmup with GRPO on the answer token, from a recipe."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ir_replications.prorank.method.answer_grpo import (
    Answers,
    RewardTable,
    answer,
    answer_logits,
    answer_loss,
    answer_metrics,
    constant_answer,
    reward_metrics,
)
from ir_replications.prorank.method.prompt import answer_ids
from ir_replications.prorank.training.batches import Prompts, pair_batches
from ir_replications.prorank.training.loop import Loop
from ir_replications.prorank.training.preparation import prepared
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.prorank.training.warmup_trl import warmup_with_trl
from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.distributed import (
    check_shares,
    gathered,
    place,
    process_group,
    share,
    total,
)
from ir_replications.shared.training.pairs import Pair


@dataclass
class Part:
    """Some prompts of a batch that share a forward pass, and the answers once they are drawn."""

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor | None = None  # of the policy that drew the answers
    answers: Answers | None = None


@process_group()
def warmup(
    model: Any, tokenizer: Any, pairs: Sequence[Pair], recipe: Recipe, folder: TrainingFolder
) -> dict[str, Any]:
    """Train the model to answer "0" or "1", and rightly; weights in `folder.final`.

    Goes on with a killed run, and returns what a finished one wrote. `model` is changed. The
    folder's log has a line for each batch: answer_metrics of the policy before the update,
    reward_metrics of the answers drawn, KL, loss, gradient norm. The result names the answer that
    the policy collapsed to, if it did. With the recipe's method "trl" TRL's trainer optimises the
    same objective. Raises InputError at a loss that is not finite, for pairs that the recipe
    cannot batch, and for a folder of another run.
    """
    if recipe.warmup.method == "trl":
        if place()[1] > 1:
            raise InputError("method trl trains in one process; expected method exact in several")
        return warmup_with_trl(model, tokenizer, pairs, recipe, folder)
    if done := folder.finished():
        return done
    settings, digits = recipe.warmup, answer_ids(tokenizer)
    size, labels = settings.pairs_per_step, [pair.label for pair in pairs]
    check_shares(size, "pairs_per_step")
    batches = pair_batches(labels, size, settings.steps, recipe.seed, settings.balanced)
    table = RewardTable(lambda token: tokenizer.decode([token]))
    model = prepared(model, recipe)
    reference = Reference(model, recipe)
    prompts = Prompts(tokenizer, recipe, pairs, model)
    with folder.one_line_errors():
        loop = Loop(model, recipe, settings, folder, repeats=settings.num_iterations)
        for step in loop.steps():
            started = time.perf_counter()
            mine = share(next(prompts.parts(batches[step], size)))
            pieces = prompts.parts(mine, settings.forward_pairs)
            parts = [Part(*prompts.batch(numbers)) for numbers in pieces]
            for _ in range(settings.num_iterations):
                loss, kl = 0.0, 0.0
                for part in parts:
                    with loop.autocast():
                        logits = answer_logits(model, part.ids, part.mask)
                    if part.answers is None:
                        with loop.autocast():
                            before = reference.logits(part.ids, part.mask)
                        part.logits = logits.detach()
                        loop.check("answer's logit", bool(torch.isfinite(part.logits).all()))
                        part.answers = answer(
                            logits, before, part.labels, table, settings, loop.generator, place()
                        )
                    of_part, divergence = answer_loss(logits, part.answers, settings)
                    weight = len(part.labels) / size
                    (of_part * weight).backward()
                    loss += float(of_part.detach()) * weight
                    kl += float(divergence) * weight
                update = loop.update(loss)
            loop.log(
                {
                    **update,
                    "kl": total(kl),
                    **_metrics(parts, settings.rewards, digits),
                    "step_seconds": round(time.perf_counter() - started, 4),
                }
            )
        collapsed = constant_answer(folder.read_log()) if settings.balanced else None
        loop.save_weights()
        return loop.finish(
            {
                "method": "exact",
                "updates": settings.steps * settings.num_iterations,
                "pairs": settings.steps * size,
                "collapsed_to": collapsed,
            }
        )


class Reference:
    """The policy before training: the model without its adapter, or a frozen copy of all of it."""

    def __init__(self, model: Any, recipe: Recipe) -> None:
        self.model, self.needed = model, recipe.warmup.kl_beta > 0
        self.frozen: Any = None
        if recipe.lora is None and self.needed:
            self.frozen = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor | None:
        """Its answer logits (B, V); None where the KL term has no weight."""
        if not self.needed:
            return None
        if self.frozen is not None:
            return answer_logits(self.frozen, ids, mask)
        with self.model.disable_adapter():
            return answer_logits(self.model, ids, mask)


def _metrics(parts: Sequence[Part], mix: str, digits: tuple[int, int]) -> dict[str, float]:
    answers = [part.answers for part in parts if part.answers is not None]
    logits = torch.cat([part.logits for part in parts if part.logits is not None])
    labels = torch.cat([part.labels for part in parts])
    return reward_metrics(answers, mix, gathered) | answer_metrics(logits, labels, digits, gathered)
