"""Selecting the k best documents in canonical order: score descending, then document order."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

from pathlib import Path

import numpy as np

from ir_replications.shared.compiling import compiled

SOURCE = Path(__file__)
# Result lists up to this length are kept sorted instead of as a heap.
SORTED = 32
# Up to this k a heap keeps the best; above, they are gathered and the worse half dropped at times.
FEW = 128
# Documents whose highest score is found in one vectorised step.
BLOCK = 32
# Relative slack on bounds: far above the rounding error of a sum of float64 terms.
SLACK = 1.0 + 1e-9

jit = compiled(nogil=True, error_model="numpy", boundscheck=False)
# It only compares: NaN never occurs, so a maximum can be vectorised.
jit_compare = compiled(nogil=True, error_model="numpy", boundscheck=False, fastmath={"nnan", "nsz"})


@jit
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


@jit
def select(scores, docs, size, k):
    """Bring the k best of the first `size` pairs to the front, in no order (quickselect)."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) >> 1
        # median of three as the pivot
        a, b, c = low, middle, high
        if worse(scores[a], docs[a], scores[b], docs[b]):
            a, b = b, a
        if worse(scores[b], docs[b], scores[c], docs[c]):
            b = a if worse(scores[a], docs[a], scores[c], docs[c]) else c
        score, doc = scores[b], docs[b]
        i, j = low, high
        while i <= j:
            while worse(score, doc, scores[i], docs[i]):
                i += 1
            while worse(scores[j], docs[j], score, doc):
                j -= 1
            if i <= j:
                scores[i], scores[j] = scores[j], scores[i]
                docs[i], docs[j] = docs[j], docs[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            return


@jit
def worst_of(scores, size):
    """Least of the first `size` scores."""
    least = np.inf
    for j in range(size):
        least = min(least, scores[j])
    return least


@jit
def radix_pass(keys, docs, to_keys, to_docs, size, shift, by_doc):
    """One stable counting sort by the byte at `shift`; False, nothing moved, where all agree."""
    starts = np.zeros(257, np.int64)
    for j in range(size):
        key = np.uint64(docs[j]) if by_doc else keys[j]
        starts[np.int64((key >> shift) & np.uint64(255)) + 1] += 1
    for byte in range(256):
        if starts[byte + 1] == size:
            return False
        starts[byte + 1] += starts[byte]
    for j in range(size):
        key = np.uint64(docs[j]) if by_doc else keys[j]
        byte = np.int64((key >> shift) & np.uint64(255))
        at = starts[byte]
        starts[byte] = at + 1
        to_keys[at], to_docs[at] = keys[j], docs[j]
    return True


@jit
def sort_best(scores, docs, size, out_scores, out_docs):
    """Write the pairs in canonical order to out_scores, out_docs.

    Linear in `size`: a radix sort by document, then by score, whose bits ascend with it since no
    score is negative. The pairs themselves are overwritten.
    """
    keys, kept = np.empty(size, np.uint64), docs
    other_keys, other_docs = np.empty(size, np.uint64), np.empty(size, np.int32)
    bits = scores.view(np.uint64)
    for j in range(size):
        keys[j] = ~bits[j]  # ascending keys: descending scores
    ascending = True
    for j in range(1, size):
        ascending &= docs[j - 1] < docs[j]
    for step in range(4 if ascending else 0, 12):
        by_doc = step < 4
        shift = np.uint64(8 * (step & 3) if by_doc else 8 * (step - 4))
        if radix_pass(keys, kept, other_keys, other_docs, size, shift, by_doc):
            keys, other_keys = other_keys, keys
            kept, other_docs = other_docs, kept
    for j in range(size):
        out_docs[j] = kept[j]
        keys[j] = ~keys[j]
    sorted_scores = keys.view(np.float64)
    for j in range(size):
        out_scores[j] = sorted_scores[j]


@jit
def finish_few(scores, docs, size, out_scores, out_docs):
    """Write the best that `offer` left, best first."""
    drain(scores, docs, size)
    for j in range(size):
        out_scores[j], out_docs[j] = scores[j], docs[j]


@jit
def finish(scores, docs, size, k, out_scores, out_docs):
    """Write the at most k best of `size`, best first; up to FEW they are a heap."""
    if k <= FEW:
        finish_few(scores, docs, size, out_scores, out_docs)
        return
    if size > k:
        select(scores, docs, size, k)
    size = min(size, k)
    sort_best(scores, docs, size, out_scores, out_docs)


@jit_compare
def highest_of(values):
    """Largest value of a slice that is not empty; vectorised, no NaN can occur."""
    highest = values[0]
    for j in range(1, len(values)):
        highest = values[j] if values[j] > highest else highest
    return highest
