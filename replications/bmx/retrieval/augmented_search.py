"""Weighted query augmentation over a whole index: one float64 score per document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ir_replications.bmx.method.augmentation import token_multiplicities
from ir_replications.bmx.method.entropy import normalised_entropies
from ir_replications.bmx.method.scoring import tf_part
from ir_replications.bmx.retrieval.index import Index
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.bm25 import in_range

Scorer = Callable[[Sequence[str]], np.ndarray]


def check_weights(weights: float | Sequence[float], longest: int) -> list[float]:
    """One weight per augmented query position; a single number serves all. InputError if bad."""
    values = list(weights) if isinstance(weights, Iterable) else [weights] * longest
    if len(values) < longest:
        raise InputError(f"{len(values)} weights for up to {longest} augmented queries per query")
    if not all(map(in_range, values)):
        raise InputError(f"weights {str(weights)[:60]}: expected finite numbers >= 0")
    return [float(value) for value in values]


def weighted_sum(
    pool: Sequence[Sequence[str]], weights: Sequence[float], get_scores: Scorer
) -> np.ndarray:
    """score(D, Q) + sum_i w_i score(D, Q^A_i) for all documents (augmentation.augmented_score)."""
    total = get_scores(pool[0])
    for query, weight in zip(pool[1:], weights[1:], strict=True):
        if weight:
            total += weight * get_scores(query)
    return total


def pooled_scores(
    pool: Sequence[Sequence[str]],
    weights: Sequence[float],
    index: Index,
    alpha: float,
    beta: float,
    fractional: bool,
) -> np.ndarray:
    """`augmentation.pooled_score` for all documents, float64 (N,)."""
    weighted, counts = token_multiplicities(pool, weights)
    tokens = [token for token in weighted if token in index.known]
    share = weighted if fractional else {token: float(counts[token]) for token in tokens}
    m = sum(share.values())
    scores = np.zeros(index.n_docs)
    if not tokens or m <= 0.0:
        return scores
    terms = [index.known[token] for token in tokens]
    e = normalised_entropies([float(index.entropies[term]) for term in terms])
    e_bar = sum(share[token] * e_i for token, e_i in zip(tokens, e, strict=True)) / m
    similarity, e_sum = np.zeros(index.n_docs), np.zeros(index.n_docs)
    for token, term, e_i in zip(tokens, terms, e, strict=True):
        postings = slice(index.indptr[term], index.indptr[term + 1])
        docs, tf = index.docs[postings], index.tf[postings].astype(np.float64)
        part = tf_part(tf, index.length_ratios[docs], alpha, e_bar)
        scores[docs] += weighted[token] * index.idf[term] * part
        similarity[docs] += share[token] / m
        e_sum[docs] += weighted[token] * e_i
    return scores + beta * similarity * e_sum


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k best scores above 0, ties by document order."""
    matched = np.flatnonzero(scores > 0.0)
    if len(matched) > k:
        kth = np.partition(scores[matched], len(matched) - k)[len(matched) - k]
        matched = matched[scores[matched] >= kth]
    return matched[np.argsort(-scores[matched], kind="stable")][:k]
