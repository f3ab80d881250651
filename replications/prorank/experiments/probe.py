"""What a model answers to held-out pairs: format, correctness and score, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ir_replications.prorank.method.answer_grpo import answer_logits
from ir_replications.prorank.method.causal import evaluating
from ir_replications.prorank.method.prompt import answer_ids
from ir_replications.prorank.method.rewards import format_reward, relevance_reward
from ir_replications.prorank.method.score import logit_difference
from ir_replications.prorank.training.batches import Prompts
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.shared.training.pairs import Pair


@dataclass(frozen=True)
class Answered:
    """Of n pairs, arrays (n,) in their order."""

    well_formed: np.ndarray  # bool: the greedy answer is "0" or "1"
    right: np.ndarray  # bool: the greedy answer is the label
    p0: np.ndarray  # probability of "0" among all tokens, float64
    p1: np.ndarray
    scores: np.ndarray  # s = z1 - z0, float32
    labels: np.ndarray  # int64

    @property
    def says_one(self) -> np.ndarray:
        """bool: of the two answers "1" is the more probable; a tie is "0"."""
        return self.scores > 0

    @property
    def decided(self) -> np.ndarray:
        """bool: the more probable of the two answers is the label."""
        return self.says_one == (self.labels == 1)


@torch.no_grad()
def probe(
    model: Any, tokenizer: Any, pairs: Sequence[Pair], recipe: Recipe, batch_size: int = 16
) -> Answered:
    """Greedy answers, probabilities of both answers and scores, one forward pass for each batch.

    Prompts are cut, and computed, as the recipe does in training.
    """
    zero, one = answer_ids(tokenizer)
    half = recipe.precision == "bfloat16"
    prompts = Prompts(tokenizer, recipe, pairs, model)
    rows: dict[int, tuple[float, float, float, float, float]] = {}
    with evaluating(model):
        for numbers in prompts.parts(range(len(pairs)), batch_size):
            ids, mask, _ = prompts.batch(numbers)
            with torch.autocast(ids.device.type, torch.bfloat16, enabled=half):
                logits = answer_logits(model, ids, mask)
            p = logits.double().softmax(-1)
            s = logit_difference(logits, zero, one)
            for place, number in enumerate(numbers):
                text = tokenizer.decode([int(logits[place].argmax())])
                rows[number] = (
                    format_reward(text),
                    relevance_reward(text, pairs[number].label),
                    float(p[place, zero]),
                    float(p[place, one]),
                    float(s[place]),
                )
    table = np.array([rows[i] for i in range(len(pairs))]).reshape(len(pairs), 5)
    return Answered(
        well_formed=table[:, 0] > 0,
        right=table[:, 1] > 0,
        p0=table[:, 2],
        p1=table[:, 3],
        scores=table[:, 4].astype(np.float32),
        labels=np.array([pair.label for pair in pairs], dtype=np.int64),
    )
