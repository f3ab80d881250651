"""Losses between a layer of the student and a layer of the teacher.

States are (n, L, d), attention scores (n, heads, L, L) before the softmax, as
`states.attention_scores` makes them; mask is (n, L), 1 for a token and 0 for padding. Student and
teacher must have one shape: project the student's states first where widths differ. Every loss is
a scalar in float32 (float64 stays).

Two conventions for padding. "valid": only tokens count, and for attention only pairs of tokens, so
that a loss does not depend on how far a batch is padded. "tinybert": what the code released with
TinyBERT does. Its losses on states average over padding too; for attention, scores of padded keys
are set to 0 on both sides, padded queries count, and the mean is over all n * heads * L * L.

Every loss raises InputError where shapes differ, and for an unknown convention.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ir_replications.bert_distill_losses.method.layer_map import CONVENTIONS
from ir_replications.shared.errors import InputError


def hidden_mse(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, convention: str = "valid"
) -> torch.Tensor:
    """Mean squared difference of states (TinyBERT's loss on hidden states and on embeddings)."""
    _check_convention(convention)
    student, teacher = same_shape(student, teacher)
    if convention == "tinybert":
        return F.mse_loss(student, teacher)
    tokens = token_mask(mask, student)
    errors = (student - teacher).square().mean(-1)
    return (errors * tokens).sum() / tokens.sum()


def cls_mse(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the first token's states, those of [CLS]."""
    student, teacher = same_shape(student, teacher)
    return F.mse_loss(student[:, 0], teacher[:, 0])


def pkd(student: torch.Tensor, teacher: torch.Tensor, scaling: str = "sum") -> torch.Tensor:
    """Squared distance of the [CLS] states brought to length 1 (Sun et al., 2019).

    `scaling`: "sum" over the d numbers, which is 2 - 2 cos (TextBrewer), or "mean" over them (the
    code released with the paper, which multiplies the mean by 500). Raises InputError for another.
    """
    if scaling not in ("sum", "mean"):
        raise InputError(f'scaling {scaling!r}: expected "sum" or "mean"')
    student, teacher = same_shape(student, teacher)
    gaps = F.normalize(student[:, 0], dim=-1) - F.normalize(teacher[:, 0], dim=-1)
    return gaps.square().mean() * (gaps.shape[-1] if scaling == "sum" else 1)


def cosine(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - cos of the states, the mean over tokens (DistilBERT, Sanh et al., 2019)."""
    student, teacher = same_shape(student, teacher)
    tokens = token_mask(mask, student)
    gaps = 1 - F.cosine_similarity(student, teacher, dim=-1)
    return (gaps * tokens).sum() / tokens.sum()


def attention_score_mse(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, convention: str = "valid"
) -> torch.Tensor:
    """Mean squared difference of attention scores (TinyBERT's loss on attention).

    TinyBERT's code finds padded keys by scores of at most -100 once the mask is added, so it sets
    real scores below -100 to 0 as well; here the mask alone decides.
    """
    _check_convention(convention)
    student, teacher = same_shape(student, teacher)
    tokens = token_mask(mask, student)
    errors = (student - teacher).square().mean(1)
    if convention == "tinybert":  # 0 on both sides leaves no difference
        return (errors * tokens.unsqueeze(1)).mean()
    return _mean_over_pairs(errors, tokens)


def attention_probability_mse(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Mean squared difference of the attention after the softmax, over pairs of tokens.

    Takes the scores; padded keys get no share.
    """
    student, teacher = same_shape(student, teacher)
    gaps = log_attention(student, mask).exp() - log_attention(teacher, mask).exp()
    return _mean_over_pairs(gaps.square().mean(1), token_mask(mask, student))


def log_attention(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Log of the softmax over the keys that are tokens; a very low finite number for padding."""
    # Finite, as -inf would make 0 * (-inf + inf) of padding in a divergence.
    lowest = torch.finfo(scores.dtype).min / 4
    return scores.masked_fill(mask[:, None, None, :] == 0, lowest).log_softmax(-1)


def same_shape(student: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in at least float32, the teacher without gradient. Raises InputError if they differ."""
    if student.shape != teacher.shape or student.numel() == 0:
        raise InputError(
            f"student of shape {tuple(student.shape)}, teacher of {tuple(teacher.shape)}: expected "
            "one shape, and at least one sequence"
        )
    return at_least_float32(student), at_least_float32(teacher).detach()


def token_mask(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The mask as numbers of the type of `like`. Raises InputError if it is of other sequences."""
    if mask.shape != (like.shape[0], like.shape[-2]):
        raise InputError(
            f"mask of shape {tuple(mask.shape)} for a layer of {tuple(like.shape)}: expected one "
            "entry for each position of each sequence"
        )
    return mask.to(like.dtype)


def at_least_float32(values: torch.Tensor) -> torch.Tensor:
    """bfloat16 and float16 as float32, others as they are."""
    return values if values.dtype.itemsize >= 4 else values.float()


def _mean_over_pairs(errors: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The mean of (n, L, L) over the pairs of two tokens."""
    pairs = tokens.unsqueeze(2) * tokens.unsqueeze(1)
    return (errors * pairs).sum() / pairs.sum()


def _check_convention(convention: str) -> None:
    if convention not in CONVENTIONS:
        raise InputError(f"convention {convention!r}: expected one of {', '.join(CONVENTIONS)}")
