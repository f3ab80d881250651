"""Weighted query augmentation (paper section 3.2) and the three variants found in code.

A query Q comes with augmented queries Q^A_1 .. Q^A_t (written by a language model) and weights.
All functions take scores or tokens that are already there; none calls a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ir_replications.bmx.method.entropy import normalised_entropies
from ir_replications.bmx.method.scoring import (
    Statistics,
    default_alpha,
    default_beta,
    inverse_document_frequency,
    tf_part,
)

# "paper": the formula. "fusion": the authors' evaluation script. "pooled": their library's
# search_weighted. "fractional": a third-party Go port, weights as fractional multiplicities.
Augmentation = Literal["paper", "fusion", "pooled", "fractional"]
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)

# Reference evaluation script: weight of each of the first five augmented queries, and list depth.
REFERENCE_WEIGHT = 0.3
REFERENCE_COUNT = 5
FUSION_DEPTH = 100


def augmented_score(score: float, augmented: Sequence[float], weights: Sequence[float]) -> float:
    """score(D, Q, Q^A) = score(D, Q) + sum_i w_i score(D, Q^A_i): the paper's formula."""
    return score + sum(w * s for w, s in zip(weights, augmented, strict=True))


def min_max(scores: np.ndarray, lowest: float) -> np.ndarray:
    """(s - lowest) / (max - lowest) of one result list; a list of equal scores becomes zeros."""
    return (scores - lowest) / max(float(scores.max()) - lowest, 1e-9)


def min_max_fusion(
    lists: Sequence[tuple[np.ndarray, np.ndarray]],
    weights: Sequence[float],
    n_docs: int,
    depth: int = FUSION_DEPTH,
) -> np.ndarray:
    """Fuse result lists as the reference evaluation script does; float64 (n_docs,).

    lists: one (doc_indices, scores) pair per query, the original query first, each at most `depth`
    long; weights: one per list (1.0, then 0.3 ...). Every list is min-max normalised by itself,
    weighted, summed per document and divided by the number of lists. A list shorter than `depth`
    has minimum 0, because the reference code pads it with documents of score 0.
    """
    fused = np.zeros(n_docs)
    for (docs, scores), weight in zip(lists, weights, strict=True):
        if len(docs):
            lowest = float(scores.min()) if len(docs) >= min(depth, n_docs) else 0.0
            fused[docs] += weight * min_max(scores, lowest)
    return fused / len(lists)


def token_multiplicities(
    queries: Sequence[Sequence[str]], weights: Sequence[float]
) -> tuple[dict[str, float], Counter[str]]:
    """Summed weight and plain count of every token of the pooled queries."""
    weighted: dict[str, float] = {}
    counts: Counter[str] = Counter()
    for query, weight in zip(queries, weights, strict=True):
        for token in query:
            weighted[token] = weighted.get(token, 0.0) + weight
            counts[token] += 1
    return weighted, counts


def pooled_score(
    queries: Sequence[Sequence[str]],
    weights: Sequence[float],
    document: Sequence[str],
    statistics: Statistics,
    *,
    fractional: bool = False,
    alpha: float | None = None,
    beta: float | None = None,
) -> float:
    """Score of one document for the pooled tokens of all queries (two variants found in code).

    fractional=False, the reference library's search_weighted: the tokens form one query; w_i
    multiplies what a token adds, but m, S, the entropy maximum and E-bar ignore the weights, so a
    query of weight 0 still changes scores and ranks.
    fractional=True, the Go port BMXGo: weights are fractional multiplicities: m = sum of weights
    (OOV tokens included), S and E-bar are weighted by them too.
    """
    weighted, counts = token_multiplicities(queries, weights)
    tokens = [token for token in weighted if token in statistics.df]
    share = weighted if fractional else {token: float(counts[token]) for token in tokens}
    m = sum(share.values())
    if not tokens or m <= 0.0:
        return 0.0
    alpha = default_alpha(statistics.avgdl) if alpha is None else alpha
    beta = default_beta(statistics.n_docs) if beta is None else beta
    e = dict(
        zip(tokens, normalised_entropies([statistics.entropy[t] for t in tokens]), strict=True)
    )
    e_bar = sum(share[t] * e[t] for t in tokens) / m
    tf = Counter(document)
    s = sum(share[t] for t in tokens if tf[t]) / m
    length_ratio = len(document) / statistics.avgdl
    return sum(
        weighted[t]
        * (
            inverse_document_frequency(statistics.n_docs, statistics.df[t])
            * tf_part(tf[t], length_ratio, alpha, e_bar)
            + beta * e[t] * s
        )
        for t in tokens
        if tf[t]
    )
