"""Exact top-k over postings lists in canonical order: one fused numba kernel."""

from __future__ import annotations

import numpy as np

from ir_replications.shared.compiling import compiled


@compiled(nogil=True)
def _worse(score_a: float, doc_a: int, score_b: float, doc_b: int) -> bool:
    return score_a < score_b or (score_a == score_b and doc_a > doc_b)


@compiled(nogil=True)
def _sink(scores: np.ndarray, docs: np.ndarray, size: int) -> None:
    """Restore a heap (worst on top) of `size` entries whose root has changed."""
    score, doc, at = scores[0], docs[0], 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and _worse(scores[other], docs[other], scores[child], docs[child]):
            child = other
        if not _worse(scores[child], docs[child], score, doc):
            break
        scores[at], docs[at] = scores[child], docs[child]
        at = child
    scores[at], docs[at] = score, doc


@compiled(nogil=True)
def _rise(scores: np.ndarray, docs: np.ndarray, at: int) -> None:
    """Restore a heap (worst on top) after entry `at` was appended."""
    score, doc = scores[at], docs[at]
    while at > 0:
        parent = (at - 1) >> 1
        if not _worse(score, doc, scores[parent], docs[parent]):
            break
        scores[at], docs[at] = scores[parent], docs[parent]
        at = parent
    scores[at], docs[at] = score, doc


@compiled(nogil=True)
def postings_topk(
    data: np.ndarray,
    indices: np.ndarray,
    indptr: np.ndarray,
    terms: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    shifts: np.ndarray,
    n_docs: int,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Top k documents of each query by (score descending, document ascending).

    Postings in CSC form: term t is in documents `indices[indptr[t]:indptr[t + 1]]` with values
    `data[...]`. Query q has the terms `terms[starts[q]:starts[q + 1]]` with `weights` (a repeated
    term counts each time); score = sum of weight * value + shifts[q], in the dtype of `data`,
    for the documents that hold at least one of the terms. No other document is returned:
    unused slots are -1 and 0.0. Returns documents int64 (Q, k) and scores (Q, k).
    """
    n_queries = len(starts) - 1
    out_docs = np.full((n_queries, k), -1, dtype=np.int64)
    out_scores = np.zeros((n_queries, k), dtype=data.dtype)
    scores = np.zeros(n_docs, dtype=data.dtype)
    seen = np.zeros(n_docs, dtype=np.bool_)
    touched = np.empty(n_docs, dtype=np.int64)
    for q in range(n_queries):
        n_touched = 0
        for i in range(starts[q], starts[q + 1]):
            weight = weights[i]
            for j in range(indptr[terms[i]], indptr[terms[i] + 1]):
                doc = indices[j]
                if not seen[doc]:
                    seen[doc] = True
                    touched[n_touched] = doc
                    n_touched += 1
                scores[doc] += weight * data[j]
        heap_scores, heap_docs = out_scores[q], out_docs[q]
        size = 0
        for i in range(n_touched):
            doc = touched[i]
            score = scores[doc] + shifts[q]
            scores[doc] = 0
            seen[doc] = False
            if size < k:
                heap_scores[size], heap_docs[size] = score, doc
                _rise(heap_scores, heap_docs, size)
                size += 1
            elif _worse(heap_scores[0], heap_docs[0], score, doc):
                heap_scores[0], heap_docs[0] = score, doc
                _sink(heap_scores, heap_docs, size)
        while size > 1:  # the worst goes last, in place
            size -= 1
            heap_scores[0], heap_scores[size] = heap_scores[size], heap_scores[0]
            heap_docs[0], heap_docs[size] = heap_docs[size], heap_docs[0]
            _sink(heap_scores, heap_docs, size)
    return out_docs, out_scores
