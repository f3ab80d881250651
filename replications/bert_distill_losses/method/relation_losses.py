"""Losses of MiniLM and MiniLMv2: divergences of relations between the tokens of a layer.

A relation is a softmax over the tokens of a sequence for each of its tokens: attention itself, or
the dot products of values, queries or keys. Widths may therefore differ without a projection.
Padding never counts: no share for padded keys, no row for padded queries, and each sequence is
averaged over its own tokens before the mean over sequences.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ir_replications.bert_distill_losses.method.layer_losses import (
    at_least_float32,
    log_attention,
    same_shape,
    token_mask,
)
from ir_replications.bert_distill_losses.method.states import scaled_products
from ir_replications.shared.errors import InputError


def relation_kl(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """KL(softmax(teacher) || softmax(student)) of scores (n, heads, L, L), row by row.

    The sum over rows and heads over (heads * tokens), then the mean over sequences. Raises
    InputError where shapes differ.
    """
    student, teacher = same_shape(student, teacher)
    tokens = token_mask(mask, student)
    ours, theirs = log_attention(student, mask), log_attention(teacher, mask)
    rows = (theirs.exp() * (theirs - ours)).sum(-1).mean(1)
    return ((rows * tokens).sum(-1) / tokens.sum(-1)).mean()


def relation_scores(vectors: torch.Tensor, heads: int | None = None) -> torch.Tensor:
    """X X^T / sqrt(d_r) of vectors (n, heads, L, d_r), as (n, heads, L, L).

    `heads`: join the vectors of all heads and split them anew into so many (MiniLMv2). Raises
    InputError where they do not divide the width.
    """
    vectors = at_least_float32(vectors)
    if heads is not None:
        joined = vectors.transpose(1, 2).flatten(2)
        if heads < 1 or joined.shape[-1] % heads:
            raise InputError(
                f"{heads} relation heads: expected a number that divides the width "
                f"{joined.shape[-1]}"
            )
        vectors = joined.unflatten(-1, (heads, -1)).transpose(1, 2)
    return scaled_products(vectors, vectors)


def attention_transfer(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """MiniLM's divergence of the last layers' attention, from scores (n, heads, L, L)."""
    return relation_kl(student, teacher, mask)


def value_relation(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """MiniLM's divergence of value relations, from values (n, heads, L, d / heads).

    Raises InputError where the numbers of heads differ; widths may.
    """
    return relation_kl(relation_scores(student), relation_scores(teacher), mask)


def multi_head_relations(
    student: Sequence[torch.Tensor],
    teacher: Sequence[torch.Tensor],
    mask: torch.Tensor,
    heads: int,
) -> torch.Tensor:
    """MiniLMv2: mean of the divergences of query, key and value relations.

    `student` and `teacher`: queries, keys and values (n, attention heads, L, d / attention heads),
    split anew into `heads` relation heads. Raises InputError where these do not divide a width.
    """
    terms = [
        relation_kl(relation_scores(s, heads), relation_scores(t, heads), mask)
        for s, t in zip(student, teacher, strict=True)
    ]
    return torch.stack(terms).mean()
