"""How the next token is chosen from logits: repetition penalty, temperature, top-k, top-p, draw.

The filters come in the order in which transformers and vLLM apply them, and keep ties.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import is_finite, is_whole

if TYPE_CHECKING:
    import torch

_TOP = 1024  # a nucleus is looked for among so many tokens before all are sorted
_ADDED = {"top_k": 0, "repetition_penalty": 1.0}  # part of `identity` only where they are used


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; temperature 0 is greedy. Raises InputError for impossible values.

    `repetition_penalty` divides the positive and multiplies the negative logits of the tokens that
    the prompt or the text so far holds (Keskar et al. 2019), 1 does nothing; `top_k` tokens take
    part, 0 is all; of those the fewest that together reach `top_p`.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    top_k: int = 0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        whole = is_whole(self.max_new_tokens, at_least=1) and is_whole(self.seed, -(2**63))
        if not whole or not is_finite(self.temperature) or not is_finite(self.top_p) or (
            self.temperature < 0 or not 0 < self.top_p <= 1
        ):  # fmt: skip
            raise InputError(
                f"{self}: expected max_new_tokens > 0, temperature >= 0 and 0 < top_p <= 1"
            )
        penalty = self.repetition_penalty
        if not is_whole(self.top_k) or not is_finite(penalty) or penalty <= 0:
            raise InputError(f"{self}: expected top_k >= 0 (0 is all) and repetition_penalty > 0")

    def identity(self) -> dict[str, Any]:
        """What decides the texts; fields that do nothing are left out, so that old keys stay."""
        values = asdict(self)
        return {k: v for k, v in values.items() if k not in _ADDED or v != _ADDED[k]}


def uniforms(prompt: str, sample: int, sampling: Sampling) -> np.ndarray:
    """One uniform random number per token of a text, float64 (max_new_tokens,)."""
    return np.random.default_rng(text_seed(prompt, sample, sampling)).random(
        sampling.max_new_tokens
    )


def text_seed(prompt: str, sample: int, sampling: Sampling) -> int:
    """A seed of 128 bits for the text number `sample` of a prompt."""
    name = json.dumps([sampling.seed, sample, prompt]).encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:16], "big")


class Seen:
    """Which tokens each row's prompt or text holds, bool (B, V), for the repetition penalty.

    Padding is never part of it, unlike in transformers, where a padded row's pad token counts.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], vocabulary: int, device: Any) -> None:
        import torch

        self.mask = torch.zeros((len(prompts), vocabulary), dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            self.mask[row, torch.tensor(sorted(set(prompt)))] = True
        self.mask = self.mask.to(device)

    def add(self, tokens: torch.Tensor) -> None:
        """Note one more token (B,) of each row."""
        self.mask.scatter_(1, tokens[:, None], True)

    def keep(self, rows: torch.Tensor) -> None:
        """Leave only these rows."""
        self.mask = self.mask[rows]


def choose(
    logits: torch.Tensor, draws: torch.Tensor, sampling: Sampling, seen: Seen | None = None
) -> torch.Tensor:
    """Tokens (B,) from logits (B, V): the greatest, or by inverting the cumulated probabilities.

    `draws` float64 (B,) in [0, 1). With top_k or top_p only the most probable tokens take part,
    ties with the last of them included.
    """
    import torch

    if seen is not None:
        logits = penalised(logits, seen.mask, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return logits.argmax(-1)
    scores = logits.double() / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k).values[:, -1:]
        scores = scores.masked_fill(scores < least, float("-inf"))
    probabilities = torch.softmax(scores, -1)
    if sampling.top_p < 1:
        least = _least_in_nucleus(probabilities, sampling.top_p)
        probabilities = probabilities * (probabilities >= least)
    return _invert(probabilities.cumsum(-1), draws)


def penalised(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits (B, V) in float32 with the repetition penalty on the tokens `seen`, bool (B, V)."""
    import torch

    logits = logits.float()
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def _least_in_nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest probability (B, 1) among the fewest tokens that together reach `top_p`."""

    def least(ordered: torch.Tensor) -> torch.Tensor:
        inside = ordered.cumsum(-1) - ordered < top_p
        return ordered.gather(-1, inside.sum(-1, keepdim=True) - 1)

    top = probabilities.topk(min(_TOP, probabilities.shape[-1])).values
    found = least(top)
    flat = top.sum(-1) < top_p
    if bool(flat.any()):  # sorting the whole vocabulary is slow: only for rows that need it
        found[flat] = least(probabilities[flat].sort(descending=True).values)
    return found


def _invert(cumulated: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Index (B,) at which each row's cumulated weight (B, V) first exceeds its share u (B,)."""
    import torch

    targets = draws[:, None] * cumulated[:, -1:]
    found = torch.searchsorted(cumulated, targets, right=True)[:, 0]
    # Rounding up to the whole weight must not land behind the last token with any weight.
    last = (cumulated < cumulated[:, -1:]).sum(-1)
    return torch.minimum(found, last)
