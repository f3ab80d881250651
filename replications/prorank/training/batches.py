"""Batches of pairs for training: which pairs each step takes, and their prompts as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ir_replications.prorank.method.causal import context_of
from ir_replications.prorank.method.prompt import PromptTokenizer, pad_left
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.shared.errors import InputError
from ir_replications.shared.training.pairs import Pair


class Prompts:
    """Prompts of numbered pairs as tensors on the model's device; each is tokenised once."""

    def __init__(self, tokenizer: Any, recipe: Recipe, pairs: Sequence[Pair], model: Any) -> None:
        self._tokenizer = PromptTokenizer(tokenizer, recipe.max_length, context_of(model))
        self._pairs = pairs
        self._device = next(model.parameters()).device
        self._ids: dict[int, list[int]] = {}

    def ids(self, number: int) -> list[int]:
        """Token ids of the prompt of pair `number`, without padding."""
        if number not in self._ids:
            pair = self._pairs[number]
            self._ids[number] = self._tokenizer.encode(pair.query, pair.document)
        return self._ids[number]

    def batch(self, numbers: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Left-padded ids and mask, int64 (B, L), and labels (B,) of the pairs so numbered."""
        ids, mask = pad_left([self.ids(i) for i in numbers], self._tokenizer.pad_id)
        labels = torch.tensor([self._pairs[i].label for i in numbers], device=self._device)
        device = self._device
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device), labels

    def parts(self, numbers: Sequence[int], size: int) -> Iterator[list[int]]:
        """The batch in pieces of at most `size` prompts, like lengths together."""
        ordered = sorted(numbers, key=lambda i: (-len(self.ids(i)), i))
        for start in range(0, len(ordered), size):
            yield ordered[start : start + size]


def order(n: int, size: int, steps: int, seed: int) -> list[list[int]]:
    """Which of n things each of `steps` batches of `size` takes: epochs, each shuffled anew."""
    taken: list[int] = []
    epoch = 0
    while len(taken) < steps * size:
        taken.extend(np.random.default_rng([seed, epoch]).permutation(n).tolist())
        epoch += 1
    return [taken[i * size : (i + 1) * size] for i in range(steps)]


def pair_batches(
    labels: Sequence[int], size: int, steps: int, seed: int, balanced: bool
) -> list[list[int]]:
    """Numbers of the pairs of each of `steps` batches of `size`.

    `balanced`: batches are made of couples, pairs 2i and 2i + 1, one relevant and one not, which
    is how `pairs.balanced` orders them. Raises InputError for pairs that are no such couples, and
    for fewer pairs than one batch takes.
    """
    if len(labels) < size:
        raise InputError(f"{len(labels)} training pairs: one step takes {size}; add pairs")
    if not balanced:
        return order(len(labels), size, steps, seed)
    for i in range(0, len(labels), 2):
        if sorted(labels[i : i + 2]) != [0, 1]:
            raise InputError(
                f"training pairs {i + 1} and {i + 2} have the labels {list(labels[i : i + 2])}; "
                "balanced batches take couples of a relevant and an irrelevant pair, as "
                "pairs.balanced makes them"
            )
    couples = order(len(labels) // 2, size // 2, steps, seed)
    return [[number for i in batch for number in (2 * i, 2 * i + 1)] for batch in couples]
