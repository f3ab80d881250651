"""Selecting the k best documents in canonical order: score descending, then document order."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

import numpy as np

from ir_replications.bmx.retrieval.compiled import inline, jit, jit_compare
from ir_replications.bmx.retrieval.kernels import SLACK, bonus

# Result lists up to this length are kept sorted instead of as a heap.
SORTED = 32
# Documents whose highest TF part is found in one vectorised step.
BLOCK = 32


@inline
def worse(score, doc, other_score, other_doc):
    """Canonical order: lower score, or the same score and a later document."""
    return score < other_score or (score == other_score and doc > other_doc)


@jit
def sift(scores, docs, size, score, doc):
    """Put (score, doc) at the root of a heap whose worst entry is on top and restore order."""
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and worse(scores[right], docs[right], scores[child], docs[child]):
            child = right
        if not worse(scores[child], docs[child], score, doc):
            break
        scores[i], docs[i] = scores[child], docs[child]
        i = child
    scores[i], docs[i] = score, doc


@jit
def offer(scores, docs, size, k, score, doc):
    """Insert into the k best so far, worst on top; returns the new size.

    Up to SORTED entries the heap is kept fully sorted: shifting a few is faster than sifting.
    """
    if size == k:
        if not worse(scores[0], docs[0], score, doc):
            return size
        if k > SORTED:
            sift(scores, docs, k, score, doc)
            return size
        i = 0
        while i + 1 < k and worse(scores[i + 1], docs[i + 1], score, doc):
            scores[i], docs[i] = scores[i + 1], docs[i + 1]
            i += 1
        scores[i], docs[i] = score, doc
        return size
    i = size
    while i > 0:
        parent = i - 1 if k <= SORTED else (i - 1) >> 1
        if not worse(score, doc, scores[parent], docs[parent]):
            break
        scores[i], docs[i] = scores[parent], docs[parent]
        i = parent
    scores[i], docs[i] = score, doc
    return size + 1


@jit
def drain(scores, docs, size):
    """Sort a heap in place, best first."""
    for end in range(size - 1, 0, -1):
        score, doc = scores[end], docs[end]
        scores[end], docs[end] = scores[0], docs[0]
        sift(scores, docs, end, score, doc)


@jit_compare
def highest_of(parts):
    """Largest value of a slice; vectorised, no NaN can occur."""
    highest = 0.0
    for j in range(len(parts)):
        highest = parts[j] if parts[j] > highest else highest
    return highest


@jit
def collect_all(parts, packs, k, bonus_input, slack, scale, best, best_docs, blocks):
    """Top k over all documents; returns the heap size.

    The k-th best block maximum of the TF parts bounds the k-th best score from below, so only
    blocks within `slack` (the highest bonus) of it are looked at.
    """
    unit, per_token, literal_total = bonus_input
    size, bar = 0, 0.0
    for block in range(len(blocks)):
        highest = highest_of(parts[block * BLOCK : (block + 1) * BLOCK])
        blocks[block] = highest
        if highest > bar:
            size = offer(best, best_docs, size, k, highest, np.int32(block))
            if size == k:
                bar = best[0]
    bar = max(0.0, bar / SLACK - slack)
    size = 0
    for block in range(len(blocks)):
        if blocks[block] > bar:
            start = block * BLOCK
            for j in range(start, min(start + BLOCK, len(parts))):
                if parts[j] > bar:
                    score = parts[j] + bonus(packs[j], unit, per_token, literal_total)
                    score /= scale
                    size = offer(best, best_docs, size, k, score, np.int32(j))
                    if size == k:
                        bar = max(bar, best[0] * scale / SLACK - slack)
    return size


@jit
def collect(rows, found, n, k, bonus_input, slack, scale, best, best_docs):
    """Top k over the found documents, whose rows are cleared; returns the heap size."""
    unit, per_token, literal_total = bonus_input
    size, bar = 0, 0.0
    for j in range(n):
        doc = found[j]
        part = rows[doc, 0]
        if part > bar:
            score = part + bonus(rows[doc, 1], unit, per_token, literal_total)
            size = offer(best, best_docs, size, k, score / scale, np.int32(doc))
            if size == k:
                bar = max(0.0, best[0] * scale / SLACK - slack)
        rows[doc, 0] = 0.0
        rows[doc, 1] = 0.0
    return size
