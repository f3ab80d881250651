"""Heads that turn an encoder's last states into one relevance score, in float32 (float64 stays).

"cls" is the usual one: a fresh linear layer on the state of [CLS]. "cls+cosine" starts from what a
sentence embedder knows: the cosine of the mean query token and the mean document token. Joint
attention turns it into a cross-encoder. With few training queries a fresh layer alone ends below
BM25, so the small tiers use the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ir_replications.shared.errors import InputError

COSINE_SCALE = 10.0  # a at the start
_INIT_STD = 0.02  # BERT's initializer_range


class ClsHead(torch.nn.Module):
    """w . dropout(h_[CLS]) + b. The weights start normal with deviation 0.02, b at 0."""

    masks: tuple[str, ...] = ()

    def __init__(self, width: int, dropout: float, seed: int = 0) -> None:
        super().__init__()
        self.dropout = torch.nn.Dropout(dropout)
        self.weight = torch.nn.Parameter(torch.empty(width))
        self.bias = torch.nn.Parameter(torch.zeros(()))
        self.weight.data.normal_(0, _INIT_STD, generator=torch.Generator().manual_seed(seed))

    def forward(self, hidden: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Scores (n,) of float32 or float64 states (n, L, d)."""
        return self.dropout(hidden[:, 0]) @ self.weight + self.bias


class CosineHead(ClsHead):
    """w . dropout(h_[CLS]) + b + a cos(mean of query tokens, mean of document tokens).

    w and b start at 0 and a at 10. Special tokens belong to neither mean, and an empty text has
    the cosine 0. `inputs` holds query_mask and document_mask (n, L).
    """

    masks = ("query_mask", "document_mask")

    def __init__(self, width: int, dropout: float, seed: int = 0) -> None:
        super().__init__(width, dropout, seed)
        torch.nn.init.zeros_(self.weight)
        self.scale = torch.nn.Parameter(torch.tensor(COSINE_SCALE))

    def forward(self, hidden: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Scores (n,) of float32 or float64 states (n, L, d)."""
        # The cosine of sums is the cosine of means; one product makes both.
        masks = torch.stack([inputs[name] for name in self.masks], dim=1).to(hidden.dtype)
        query, document = (masks @ hidden).unbind(1)
        cosine = torch.nn.functional.cosine_similarity(query, document, dim=-1)
        return super().forward(hidden, inputs) + self.scale * cosine


HEADS: dict[str, type[ClsHead]] = {"cls": ClsHead, "cls+cosine": CosineHead}


def make_head(name: str, config: Any, seed: int = 0) -> ClsHead:
    """The head of this name for an encoder's configuration, with the encoder's own dropout.

    `seed` draws the starting weights, apart from torch's generator. Raises InputError for another
    name.
    """
    if name not in HEADS:
        raise InputError(f"head {name!r}: expected one of {', '.join(HEADS)}")
    # DistilBERT's name for it is the second.
    dropout: float = getattr(config, "hidden_dropout_prob", getattr(config, "dropout", 0.0))
    return HEADS[name](int(config.hidden_size), float(dropout), seed)
