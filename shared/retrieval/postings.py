"""Exact top k over lists of precomputed term weights, in canonical order: one compiled kernel."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

from pathlib import Path

import numpy as np

from ir_replications.shared.compiling import compiled
from ir_replications.shared.retrieval import topk
from ir_replications.shared.retrieval.topk import (
    BLOCK,
    finish,
    finish_few,
    highest_of,
    offer,
    select,
    worst_of,
)

# Relative slack on bounds: above the rounding error of one float32 sum.
SLACK = 1.0 + 1e-6

SOURCES = (Path(__file__), topk.SOURCE)
jit = compiled(sources=SOURCES, nogil=True, error_model="numpy", boundscheck=False)


@jit
def postings_topk(data, docs, indptr, terms, weights, starts, shifts, n_docs, k, positive, many):
    """Top k documents of each query by (score descending, document ascending).

    Postings in CSC form: term t is in documents `docs[indptr[t]:indptr[t + 1]]` (unsigned) with
    values `data[...]`. Query q has the terms `terms[starts[q]:starts[q + 1]]` with `weights` (a
    repeated term counts each time); score = sum of weight * value, in this order, + shifts[q], in
    the dtype of `data`, for the documents that hold at least one of the terms; none is negative. No
    other document is returned: unused slots are -1 and 0.0. positive: whether all of data and of
    weights is above 0. many: None where min(k, n_docs) is up to FEW, else True; numba leaves out
    what the type of None rules out, half the work of compiling. Returns documents int32 (Q, k) and
    scores float64 (Q, k), which hold the values of `data`'s dtype unchanged.
    """
    n_queries = len(starts) - 1
    out_docs = np.full((n_queries, k), -1, np.int32)
    out_scores = np.zeros((n_queries, k))
    k = min(k, n_docs)
    scores = np.zeros(n_docs, data.dtype)
    seen = np.zeros(0 if positive else n_docs, np.uint8)
    found = np.empty(n_docs + 1, np.uint32)
    blocks = np.empty((n_docs + BLOCK - 1) // BLOCK, data.dtype)
    # the best so far, and room for as many again before the worse half is dropped
    room = k if many is None else 2 * k
    best, best_docs = np.empty(room), np.empty(room, np.int32)
    for q in range(n_queries):
        n_postings = 0
        for i in range(starts[q], starts[q + 1]):
            n_postings += indptr[terms[i] + 1] - indptr[terms[i]]
        if n_postings == 0:
            continue
        if positive and 2 * n_postings > n_docs:
            for i in range(starts[q], starts[q + 1]):
                start, stop = indptr[terms[i]], indptr[terms[i] + 1]
                add(data[start:stop], docs[start:stop], weights[i], scores)
            size = best_of_all(scores, shifts[q], k, best, best_docs, blocks, many)
            scores[:] = 0
        else:
            n_found = 0
            for i in range(starts[q], starts[q + 1]):
                start, stop = indptr[terms[i]], indptr[terms[i] + 1]
                if positive:
                    n_found = add_new(
                        data[start:stop], docs[start:stop], weights[i], scores, found, n_found
                    )
                else:
                    n_found = mark_new(docs[start:stop], seen, found, n_found)
                    add(data[start:stop], docs[start:stop], weights[i], scores)
            size = best_of_found(scores, shifts[q], k, best, best_docs, found, n_found, many)
            for j in range(n_found):
                scores[found[j]] = 0
                if not positive:
                    seen[found[j]] = 0
        if many is None:
            finish_few(best, best_docs, size, out_scores[q], out_docs[q])
        else:
            finish(best, best_docs, size, k, out_scores[q], out_docs[q])
    return out_docs, out_scores


@jit
def add(values, docs, weight, scores):
    """scores[doc] += weight * value for each posting of a list."""
    for p in range(len(docs)):
        scores[docs[p]] += weight * values[p]


@jit
def add_new(values, docs, weight, scores, found, n_found):
    """As `add`; documents whose score was 0 are appended to `found`. Returns how many it holds."""
    size = np.uint64(n_found)
    for p in range(len(docs)):
        doc = docs[p]
        score = scores[doc]
        found[size] = doc
        size += np.uint64(score == 0)
        scores[doc] = score + weight * values[p]
    return np.int64(size)


@jit
def mark_new(docs, seen, found, n_found):
    """Append the documents of a list that no list before had; returns how many `found` holds."""
    size = np.uint64(n_found)
    for p in range(len(docs)):
        doc = docs[p]
        found[size] = doc
        size += np.uint64(seen[doc] == 0)
        seen[doc] = 1
    return np.int64(size)


@jit
def best_of_all(scores, shift, k, best, best_docs, blocks, many):
    """Top k of the documents with a score above 0 into best, best_docs; returns how many.

    The k-th best block maximum bounds the k-th best score from below. Documents come in order, so
    that a later one must exceed the k-th best score so far.
    """
    size, bar = 0, 0.0
    for block in range(len(blocks)):
        highest = highest_of(scores[block * BLOCK : (block + 1) * BLOCK])
        blocks[block] = highest
        if many is None and highest > bar:
            size = offer(best, best_docs, size, k, np.float64(highest), np.int32(block))
            if size == k:
                bar = best[0]
    # below it by more than float32 rounds: what is equal must still be looked at
    bar = (bar + np.float64(shift)) / SLACK if size == k else -1.0
    size = 0
    for block in range(len(blocks)):
        if blocks[block] > 0 and blocks[block] + shift > bar:
            start = block * BLOCK
            for j in range(start, min(start + BLOCK, len(scores))):
                score = np.float64(scores[j] + shift)
                if score > bar and scores[j] > 0:
                    size = keep(score, np.int32(j), best, best_docs, size, k, many)
                    if size == k:
                        bar = max(bar, best[0] if many is None else worst_of(best, size))
    return size


@jit
def best_of_found(scores, shift, k, best, best_docs, found, n_found, many):
    """Top k of the found documents, in any order, into best, best_docs; returns how many."""
    size, bar = 0, -1.0
    for j in range(n_found):
        doc = found[j]
        score = np.float64(scores[doc] + shift)
        if score >= bar:
            size = keep(score, np.int32(doc), best, best_docs, size, k, many)
            if size == k:
                bar = best[0] if many is None else worst_of(best, size)
    return size


@jit
def keep(score, doc, best, best_docs, size, k, many):
    """Add a document to the best so far, where it is among the k best; returns how many there are.

    Where `many`, all are kept up to 2 k, then the worse half is dropped.
    """
    if many is None:
        return offer(best, best_docs, size, k, score, doc)
    best[size], best_docs[size] = score, doc
    if size + 1 < 2 * k:
        return size + 1
    select(best, best_docs, 2 * k, k)
    return k
