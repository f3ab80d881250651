"""Upper bounds for pruning: least denominators per term, bitmaps of the long lists."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

import numpy as np

from ir_replications.bmx.retrieval.compiled import inline, jit


@jit
def term_bounds(indptr, docs, tf, length_ratios):
    """Per term the least (|D|/avgdl + x) / tf at x = 0 and x = 1, and the least |D|/avgdl.

    The first two bound the TF part for every mean entropy x in [0, 1]: a minimum of lines is
    concave in x, so the chord between its ends never exceeds it. Returns float64 (n_terms, 3).
    """
    out = np.full((len(indptr) - 1, 3), np.inf)
    for term in range(len(out)):
        low, high, shortest = np.inf, np.inf, np.inf
        for p in range(indptr[term], indptr[term + 1]):
            f, ratio = np.float64(tf[p]), length_ratios[docs[p]]
            low = min(low, ratio / f)
            high = min(high, (ratio + 1.0) / f)
            shortest = min(shortest, ratio)
        out[term, 0], out[term, 1], out[term, 2] = low, high, shortest
    return out


@inline
def impact_bound(bounds, weight, alpha, mean):
    """Upper bound of IDF * F(alpha+1) / (F + alpha|D|/avgdl + alpha*mean) over a list."""
    x = min(mean, 1.0)
    return weight / (1.0 + alpha * (bounds[0] + x * (bounds[1] - bounds[0])))


@jit
def build_bitmaps(indptr, docs, rows, n_rows, n_docs):
    """One bit per document for each list with rows[term] >= 0: uint64 (n_rows, words)."""
    bitmaps = np.zeros((n_rows, (n_docs + 63) // 64), np.uint64)
    for term in range(len(rows)):
        if rows[term] >= 0:
            bits = bitmaps[rows[term]]
            for p in range(indptr[term], indptr[term + 1]):
                doc = docs[p]
                bits[doc >> np.uint32(6)] |= np.uint64(1) << np.uint64(doc & np.uint32(63))
    return bitmaps


@jit
def lower_bounds(bounds, docs, size, i, query):
    """Lower upper bounds, which take lists from i on to hold a document, by those that do not.

    Works on a few documents at a time without branches, so that their memory accesses overlap.
    Lists without a bitmap are taken to hold every document.
    """
    for j in range(i, query.n):
        row = query.bitmap_rows[j]
        if row >= 0:
            highest, bits = query.highest[j], query.bitmaps[row]
            for t in range(size):
                doc = docs[t]
                word = bits[doc >> np.uint32(6)] >> np.uint64(doc & np.uint32(63))
                bounds[t] -= highest * np.float64(np.int64(~word & np.uint64(1)))
