"""Losses on scores, from labels ("hard") and from a teacher's scores ("soft").

The body of the paper was not available; these are the losses of the literature it builds on.
Scores and teacher are (B, m): B groups of m documents of one query each, with the judged-relevant
document in column 0. With m = 2 a group is the pair of the paper. Losses on pairs take the mean
over the B * (m - 1) couples of column 0 with another column, losses on single documents over all
B * m, losses on lists over the B groups. delta is the student's score of column 0 less the other
one's, Delta the teacher's. No gradient reaches the teacher.

Every loss raises InputError for no group, for m < 2 and for a teacher of another shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ir_replications.shared.errors import InputError

if TYPE_CHECKING:  # recipes name the losses, and are read to plan experiments without torch
    import torch


def hinge(scores: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """max(0, margin - delta). The slope by delta is -1 below the margin, 0 from the margin on.

    Raises InputError for a margin that is not positive.
    """
    _positive("margin", margin)
    return (margin - _gaps(_scores(scores))).relu().mean()


def ranknet(scores: torch.Tensor) -> torch.Tensor:
    """log(1 + exp(-delta)): the softmax cross-entropy of two documents (Burges et al., 2005)."""
    return _softplus(-_gaps(_scores(scores))).mean()


def bce(scores: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of sigmoid(s), 1 for column 0 and 0 for the others."""
    scores = _scores(scores)
    return (_softplus(-scores[:, 0]).sum() + _softplus(scores[:, 1:]).sum()) / scores.numel()


def two_logit_ce(logits: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of two logits per document, (B, m, 2): not relevant, relevant.

    The loss of monoBERT; equal to `bce` of s = z1 - z0. Raises InputError for another last size.
    """
    if logits.ndim != 3 or logits.shape[-1] != 2:
        raise InputError(f"logits of shape {tuple(logits.shape)}: expected (groups, documents, 2)")
    return bce(logits[..., 1] - logits[..., 0])


def lce(scores: torch.Tensor) -> torch.Tensor:
    """-log of column 0's share in the softmax over its group (LCE; InfoNCE)."""
    return -_scores(scores).log_softmax(-1)[:, 0].mean()


def pointwise_mse(scores: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """(s - t)^2 of every document."""
    scores, teacher = _both(scores, teacher)
    return (scores - teacher).square().mean()


def margin_mse(scores: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """(delta - Delta)^2, margins with their signs (Hofstaetter et al., 2020)."""
    scores, teacher = _both(scores, teacher)
    return (_gaps(scores) - _gaps(teacher)).square().mean()


def pair_kl(
    scores: torch.Tensor, teacher: torch.Tensor, temperature: float = 1.0, scaled: bool = True
) -> torch.Tensor:
    """KL(p || q) of the two documents of a couple, p = softmax(t / T) and q = softmax(s / T).

    `scaled`: times T^2 (Hinton et al., 2015), so that the slope by delta stays of one size; it
    tends to `margin_mse` / 8 as T grows. Raises InputError for a temperature that is not positive.
    """
    _positive("temperature", temperature)
    scores, teacher = _both(scores, teacher)
    ours, theirs = _gaps(scores) / temperature, _gaps(teacher) / temperature
    first = theirs.sigmoid() * (_softplus(-ours) - _softplus(-theirs))
    second = (-theirs).sigmoid() * (_softplus(ours) - _softplus(theirs))
    return (first + second).mean() * (temperature**2 if scaled else 1)


def soft_ce(
    scores: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float = 1.0,
    mean_over_classes: bool = False,
) -> torch.Tensor:
    """Cross-entropy of softmax(s / T) against softmax(t / T), the documents of a group as classes.

    TinyBERT's loss on the last layer, which has no factor T^2. `mean_over_classes`: as in its
    code, whose mean over batch and classes divides by m besides. Raises InputError for a
    temperature that is not positive.
    """
    _positive("temperature", temperature)
    scores, teacher = _both(scores, teacher)
    terms = -(teacher / temperature).softmax(-1) * (scores / temperature).log_softmax(-1)
    return terms.mean() if mean_over_classes else terms.sum(-1).mean()


def soft_bce(scores: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of sigmoid(s) against sigmoid(t), each document on its own."""
    scores, teacher = _both(scores, teacher)
    return (_softplus(scores) - teacher.sigmoid() * scores).mean()


def weighted_ranknet(scores: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Delta * log(1 + exp(-delta)), a baseline of Hofstaetter et al. (2020).

    Has no lower bound where the teacher disagrees with the label (Delta < 0), and s = t is not
    its minimum.
    """
    scores, teacher = _both(scores, teacher)
    return (_gaps(teacher) * _softplus(-_gaps(scores))).mean()


def list_kl(
    scores: torch.Tensor, teacher: torch.Tensor, temperature: float = 1.0, scaled: bool = True
) -> torch.Tensor:
    """KL(softmax(t / T) || softmax(s / T)) over the m documents of a group, times T^2 if `scaled`.

    With m = 2 this is `pair_kl`. Raises InputError for a temperature that is not positive.
    """
    _positive("temperature", temperature)
    scores, teacher = _both(scores, teacher)
    ours = (scores / temperature).log_softmax(-1)
    theirs = (teacher / temperature).log_softmax(-1)
    found = (theirs.exp() * (theirs - ours)).sum(-1).mean()
    return found * (temperature**2 if scaled else 1)


def teacher_hinge(scores: torch.Tensor, teacher: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """max(0, margin - sign(Delta) delta): the hinge in the teacher's order, without the label.

    A couple that the teacher ties has no gradient. Raises InputError for a margin that is not
    positive.
    """
    _positive("margin", margin)
    scores, teacher = _both(scores, teacher)
    return (margin - _gaps(teacher).sign() * _gaps(scores)).relu().mean()


HARD: dict[str, Callable[..., torch.Tensor]] = {
    "hinge": hinge,
    "ranknet": ranknet,
    "bce": bce,
    "lce": lce,
}
SOFT: dict[str, Callable[..., torch.Tensor]] = {
    "pointwise-mse": pointwise_mse,
    "margin-mse": margin_mse,
    "pair-kl": pair_kl,
    "soft-bce": soft_bce,
    "list-kl": list_kl,
    "teacher-hinge": teacher_hinge,
    "weighted-ranknet": weighted_ranknet,
    "soft-ce": soft_ce,
}


def _gaps(scores: torch.Tensor) -> torch.Tensor:
    """Column 0 less each other column, (B, m - 1)."""
    return scores[:, :1] - scores[:, 1:]


def _softplus(x: torch.Tensor) -> torch.Tensor:
    """log(1 + exp(x)), without overflow and without the cut-off of torch's softplus at 20."""
    import torch

    return torch.logaddexp(x, torch.zeros_like(x))


def _scores(scores: torch.Tensor) -> torch.Tensor:
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise InputError(
            f"scores of shape {tuple(scores.shape)}: expected (groups, documents), at least one "
            "group and two documents, the relevant one first"
        )
    return scores if scores.dtype.itemsize >= 4 else scores.float()


def _both(scores: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if scores.shape != teacher.shape:
        raise InputError(
            f"scores of shape {tuple(scores.shape)}, the teacher's of {tuple(teacher.shape)}: "
            "expected one teacher score for each score"
        )
    scores = _scores(scores)
    return scores, teacher.detach().to(scores.dtype)


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{name} {value}: expected a number above 0")
