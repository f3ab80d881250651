"""Exact top k without scoring every posting: MaxScore with entropy-aware upper bounds.

Lists are read rarest first. `floor` is a score that k documents are known to reach. A document is
dropped, or never admitted, only when its upper bound is below the floor; all others get their
terms added in the canonical order, so their scores have the bits of exhaustive scoring. A dropped
document may come back with a part of its score, which is then below the floor as well: harmless.
"""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

import numpy as np

from ir_replications.bmx.retrieval.bounds import lower_bounds
from ir_replications.bmx.retrieval.compiled import inline, jit
from ir_replications.bmx.retrieval.kernels import accumulate_new, bonus, length_of
from ir_replications.shared.retrieval.topk import SLACK, offer

# Postings whose term frequencies are compared in one vectorised step.
STRIDE = 64
# Leading documents whose full scores give the floor, per document wanted.
LEADERS = 4


@inline
def total_bonus(packed, bonus_input):
    """`kernels.bonus` with its constants in one tuple."""
    return bonus(packed, bonus_input[0], bonus_input[1], bonus_input[2])


@jit
def found_bounds(rows, found, start, stop, i, query, bounds):
    """Upper bounds of found[start:stop] before list i.

    The bonus is a product of the matched tokens and their E sum, which both only grow: it is at
    most its value with every later list matched.
    """
    part, packed = query.parts_left[i], query.packs_left[i]
    for t in range(stop - start):
        doc = found[start + t]
        bonus_bound = total_bonus(rows[doc, 1] + packed, query.bonus_input)
        bounds[t] = rows[doc, 0] + part + bonus_bound
    lower_bounds(bounds, found[start:stop], stop - start, i, query)


@jit
def best_found(rows, found, n_found, i, query, scores, docs):
    """Fill docs with the found documents of highest upper bound; returns how many."""
    bounds = np.empty(STRIDE)
    size, wanted, bar = 0, len(docs), 0.0
    for start in range(0, n_found, STRIDE):
        stop = min(start + STRIDE, n_found)
        found_bounds(rows, found, start, stop, i, query, bounds)
        for t in range(stop - start):
            if bounds[t] > bar:
                doc = np.int32(found[start + t])
                size = offer(scores, docs, size, wanted, bounds[t], doc)
                if size == wanted:
                    bar = scores[0]
    return size


@jit
def position(docs, doc, start):
    """First index >= start whose document is >= doc, by galloping; len(docs) if none."""
    low, high, step = start, start, 1
    while high < len(docs) and docs[high] < doc:
        low = high + 1
        high += step
        step *= 2
    high = min(high, len(docs))
    while low < high:
        middle = (low + high) >> 1
        if docs[middle] < doc:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def strong_postings(docs, tf, weight, mean, norms, need, least, out_docs, parts):
    """Select the postings of a stride that add >= need; fills out_docs, parts, returns how many."""
    size = 0
    for p in range(len(docs)):
        f = np.float64(tf[p])
        if f >= least:
            doc = docs[p]
            out_docs[size] = doc
            parts[size] = weight * f / (f + length_of(norms, doc) + mean)
            size += parts[size] >= need
    return size


@jit
def best_in_list(i, query, index, all_left, scores, leaders):
    """Fill leaders with the documents of list i of highest upper bound; returns how many.

    all_left: what the later lists and the bonus can add at most.
    """
    start, stop = index.indptr[query.terms[i]], index.indptr[query.terms[i] + 1]
    docs, tf, weight = index.docs[start:stop], index.tf[start:stop], query.weights[i]
    few, bounds = np.empty(STRIDE, np.uint32), np.empty(STRIDE)
    size, bar = 0, 0.0
    for start in range(0, len(docs), STRIDE):
        stop = min(start + STRIDE, len(docs))
        need = bar - all_left
        strong = strong_postings(
            docs[start:stop], tf[start:stop], weight, query.mean, index.norms, need,
            0.0, few, bounds,
        )  # fmt: skip
        for t in range(strong):
            bounds[t] += all_left
        lower_bounds(bounds, few, strong, i + 1, query)
        for t in range(strong):
            if bounds[t] > bar:
                size = offer(scores, leaders, size, len(leaders), bounds[t], np.int32(few[t]))
                if size == len(leaders):
                    bar = scores[0]
    return size


@jit
def reached(leaders, k, rows, i, query, index, best, best_docs):
    """k-th best full score among the leaders, rows plus what later lists add; 0 if < k.

    k documents reach it, so it is a floor, and a much higher one than their partial scores.
    """
    indptr, docs, tf, norms = index.indptr, index.docs, index.tf, index.norms
    size = 0
    for leader in leaders:
        doc = np.uint32(leader)
        part, packed = rows[doc, 0], rows[doc, 1]
        for j in range(i, query.n):
            row = query.bitmap_rows[j]
            if row >= 0:
                word = query.bitmaps[row, doc >> np.uint32(6)] >> np.uint64(doc & np.uint32(63))
                if word & np.uint64(1) == 0:
                    continue
            start, stop = indptr[query.terms[j]], indptr[query.terms[j] + 1]
            list_docs = docs[start:stop]
            # documents are spread about evenly: start a little before the expected place
            guess = np.int64(np.float64(doc) / len(norms[0]) * len(list_docs)) - 64
            if guess < 0 or list_docs[guess] > doc:
                guess = 0
            p = position(list_docs, doc, guess)
            if p < len(list_docs) and list_docs[p] == doc:
                f = np.float64(tf[start + p])
                part += query.weights[j] * f / (f + length_of(norms, doc) + query.mean)
                packed += query.packs[j]
        score = part + total_bonus(packed, query.bonus_input)
        size = offer(best, best_docs, size, k, score, leader)
    return best[0] / SLACK if size == k else 0.0


@jit
def keep(rows, found, n_found, floor, i, query):
    """Drop (and clear) the documents whose upper bound is below `floor`; returns how many stay."""
    bounds = np.empty(STRIDE)
    kept = 0
    for start in range(0, n_found, STRIDE):
        stop = min(start + STRIDE, n_found)
        found_bounds(rows, found, start, stop, i, query, bounds)
        for t in range(stop - start):
            doc = found[start + t]
            if bounds[t] * SLACK < floor:
                rows[doc, 0] = 0.0
                rows[doc, 1] = 0.0
            else:
                found[kept] = doc
                kept += 1
    return kept


@jit
def add_to_found(docs, tf, weight, packed, mean, norms, rows, found, n):
    """Add one list (slices) to the documents in found[:n], ascending, and to no other."""
    if 16 * n > len(docs):
        for p in range(len(docs)):
            doc = docs[p]
            if rows[doc, 1] != 0.0:
                f = np.float64(tf[p])
                rows[doc, 0] += weight * f / (f + length_of(norms, doc) + mean)
                rows[doc, 1] += packed
        return
    p = 0
    for j in range(n):
        doc = found[j]
        p = position(docs, doc, p)
        if p == len(docs):
            break
        if docs[p] == doc:
            f = np.float64(tf[p])
            rows[doc, 0] += weight * f / (f + length_of(norms, doc) + mean)
            rows[doc, 1] += packed


@inline
def any_at_least(tf, least):
    """Whether a slice holds a term frequency >= least (vectorised)."""
    count = 0
    for j in range(len(tf)):
        count += tf[j] >= least
    return count > 0


@jit
def admit(i, query, index, rows, found, n_found, floor, all_left, need, least):
    """Append the new documents of list i whose upper bound reaches `floor`; returns how many.

    Cheap tests first: strides without a term frequency >= `least` are skipped, then postings that
    add less than `need`, then the bitmaps of the later lists are asked.
    """
    start, stop = index.indptr[query.terms[i]], index.indptr[query.terms[i] + 1]
    docs, tf = index.docs[start:stop], index.tf[start:stop]
    weight, packed = query.weights[i], query.packs[i]
    few, parts, bounds = np.empty(STRIDE, np.uint32), np.empty(STRIDE), np.empty(STRIDE)
    for start in range(0, len(docs), STRIDE):
        stop = min(start + STRIDE, len(docs))
        if least > 1 and not any_at_least(tf[start:stop], least):
            continue
        strong = strong_postings(
            docs[start:stop], tf[start:stop], weight, query.mean, index.norms, need,
            least, few, parts,
        )  # fmt: skip
        for t in range(strong):
            bounds[t] = parts[t] + all_left
        lower_bounds(bounds, few, strong, i + 1, query)
        for t in range(strong):
            doc = few[t]
            if bounds[t] * SLACK >= floor and rows[doc, 1] == 0.0:
                rows[doc, 0] = parts[t]
                rows[doc, 1] = packed
                found[n_found] = doc
                n_found += 1
    return n_found


@jit
def merge_runs(found, middle, n, scratch):
    """Merge the ascending runs found[:middle] and found[middle:n] in place."""
    for i in range(n - middle):  # assigning a slice would compile the text of numba's error, 2 s
        scratch[i] = found[middle + i]
    i, j = middle - 1, n - middle - 1
    for out in range(n - 1, -1, -1):
        if j < 0:
            break
        if i >= 0 and found[i] > scratch[j]:
            found[out] = found[i]
            i -= 1
        else:
            found[out] = scratch[j]
            j -= 1


@jit
def find_pruned(k, query, index, buffers, heaps, long_list):
    """Score every document that can be in the top k into rows; returns how many are in found.

    A list of `long_list` postings is scanned for a floor before its documents are admitted.
    """
    n, mean, norms, weights, packs = query.n, query.mean, index.norms, query.weights, query.packs
    rows, found, scratch = buffers
    scores, leaders, best, best_docs = heaps
    n_found, floor = 0, 0.0
    for i in range(n):
        start, stop = index.indptr[query.terms[i]], index.indptr[query.terms[i] + 1]
        docs, tf = index.docs[start:stop], index.tf[start:stop]
        all_left = query.parts_left[i + 1] + total_bonus(query.packs_left[i], query.bonus_input)
        size = 0
        if n_found >= k and floor == 0.0:
            size = best_found(rows, found, n_found, i, query, scores, leaders)
        elif floor == 0.0 and len(docs) >= long_list:
            size = best_in_list(i, query, index, all_left, scores, leaders)
        if size >= k:
            floor = reached(leaders[:size], k, rows, i, query, index, best, best_docs)
        before = n_found
        if floor == 0.0:
            n_found = accumulate_new(
                docs, tf, weights[i], packs[i], mean, norms, rows, found, n_found
            )
            if before > 0:
                merge_runs(found, before, n_found, scratch)
            continue
        n_found = keep(rows, found, n_found, floor, i, query)
        add_to_found(docs, tf, weights[i], packs[i], mean, norms, rows, found, n_found)
        if k <= n_found < len(docs) and i + 1 < n:
            size = best_found(rows, found, n_found, i + 1, query, scores, leaders)
            higher = reached(leaders[:size], k, rows, i + 1, query, index, best, best_docs)
            floor = max(floor, higher)
        # what a document that no earlier list holds must get from this list
        need = floor / SLACK - all_left
        if need >= weights[i]:
            continue
        least = 0.0
        if need > 0.0 and 1000.0 * floor > weights[i]:  # else rounding could outweigh the slack
            least = need * (query.shortest[i] + mean) / (weights[i] - need)
        else:
            need = 0.0
        if least > 1e9:
            continue
        before = n_found
        n_found = admit(
            i, query, index, rows, found, n_found, floor, all_left, need,
            np.int64(np.ceil(least / SLACK)),
        )  # fmt: skip
        if before > 0:
            merge_runs(found, before, n_found, scratch)
    return n_found
