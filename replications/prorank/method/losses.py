"""Losses of the fine-grained stage (stage 2), on scores s = z1 - z0.

The paper's loss is not known; docs/papers/prorank.md has the three candidates and the evidence.
Scores and labels are (n,) for one query or (Q, n) for n documents of each of Q queries; labels
are 0 or 1. Every loss is a mean, so it does not grow with the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ir_replications.shared.errors import InputError

if TYPE_CHECKING:  # recipes name the losses, and are read to plan experiments without torch
    import torch


def bce(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of sigmoid(s), each document on its own.

    What the released forward() leaves: logits of one value, float labels, sigmoid(s) > 0.5.
    """
    import torch.nn.functional as F

    scores, labels = _checked(scores, labels)
    return F.binary_cross_entropy_with_logits(scores, labels)


def softmax_ce(scores: torch.Tensor, labels: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    """-log of the positive's share in softmax(s / tau) over its query's documents.

    With one positive this is log(1 + sum exp((s- - s+) / tau)), the contrastive (InfoNCE) loss
    and the ranking loss of CoSENT at scale 1 / tau. Raises InputError unless each query has
    exactly one positive, and for tau <= 0.
    """
    if not tau > 0:
        raise InputError(f"tau {tau}: expected a temperature above 0")
    scores, labels = _checked(scores, labels)
    if not bool((labels.sum(-1) == 1).all()):
        raise InputError("softmax_ce: expected exactly one positive document for each query")
    return -((scores / tau).log_softmax(-1) * labels).sum(-1).mean()


def ranknet(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean of log(1 + exp(s- - s+)) over the (positive, negative) pairs of each query.

    The pairwise logistic loss (RankNet; Bradley-Terry preferences). Raises InputError where no
    query has both a positive and a negative.
    """
    import torch.nn.functional as F

    scores, labels = _checked(scores, labels)
    # entry (i, j): document i is relevant and document j is not
    ordered = labels.unsqueeze(-1) * (1 - labels).unsqueeze(-2)
    if not bool(ordered.any()):
        raise InputError("ranknet: expected a query with both a positive and a negative document")
    gaps = scores.unsqueeze(-1) - scores.unsqueeze(-2)
    return (F.softplus(-gaps) * ordered).sum() / ordered.sum()


LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "bce": bce,
    "softmax": softmax_ce,
    "ranknet": ranknet,
}


def _checked(scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and labels in one floating-point type."""
    if scores.shape != labels.shape or scores.ndim == 0 or scores.numel() == 0:
        raise InputError(
            f"scores of shape {tuple(scores.shape)}, labels of {tuple(labels.shape)}: expected "
            "one label for each score, and at least one"
        )
    labels = labels.to(scores.dtype)
    if not bool(((labels == 0) | (labels == 1)).all()):
        raise InputError("labels: expected 0 and 1; make graded judgements binary first")
    return scores, labels
