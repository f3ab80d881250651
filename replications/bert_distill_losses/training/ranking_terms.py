"""An arm's losses on scores, each over one process's share of a batch.

A share's losses are its part of the mean over the batch: those of all processes add up to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ir_replications.bert_distill_losses.method.ranking_losses import HARD, SOFT
from ir_replications.bert_distill_losses.training.arms import WITH_TEMPERATURE, Arm


@dataclass(frozen=True)
class Share:
    """What a process takes of a batch: b of its B groups of m documents."""

    labelled: np.ndarray  # (b,), whether a group has a label
    targets: np.ndarray | None  # (b, m), the teacher's scores; None where nothing is soft
    groups: int  # B
    labels: int  # groups of the batch that have a label


Term = Callable[[torch.Tensor, Share], torch.Tensor | None]
"""The loss of a share's scores, (b, m); None where the batch has nothing to learn from."""


def ranking_terms(arm: Arm, margin: float) -> dict[str, Term]:
    """The arm's losses on scores, "hard" and "soft", those that it has."""
    terms: dict[str, Term] = {}
    if arm.hard:
        options = {"margin": margin} if arm.hard == "hinge" else {}
        terms["hard"] = partial(hard_term, partial(HARD[arm.hard], **options))
    if arm.soft:
        options = {"temperature": arm.temperature} if arm.soft in WITH_TEMPERATURE else {}
        terms["soft"] = partial(soft_term, partial(SOFT[arm.soft], **options))
    return terms


def hard_term(
    loss: Callable[[torch.Tensor], torch.Tensor], scores: torch.Tensor, share: Share
) -> torch.Tensor | None:
    """The loss of the groups that have a label."""
    if not share.labels:
        return None
    if not share.labelled.any():  # others have some: the same losses in every process
        return scores.sum() * 0
    chosen = torch.from_numpy(share.labelled).to(scores.device)
    return loss(scores[chosen]) * (int(share.labelled.sum()) / share.labels)


def soft_term(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], scores: torch.Tensor, share: Share
) -> torch.Tensor | None:
    """The loss of all groups against the teacher's scores."""
    if share.targets is None:
        return None
    wanted = torch.from_numpy(share.targets).to(scores)
    return loss(scores, wanted) * (len(scores) / share.groups)
