"""Exact top k without scoring every posting: MaxScore with entropy-aware upper bounds.

Lists are read rarest first. `floor` is a score that k documents are known to reach. A document is
dropped, or never admitted, only when its upper bound is below the floor; all others get their
terms added in the canonical order, so their scores have the bits of exhaustive scoring. A dropped
document may come back with a part of its score, which is then below the floor as well: harmless.
"""

from __future__ import annotations

import numpy as np

from replications.bmx.kernels import SLACK, _inline, _jit, accumulate_new, bonus
from replications.bmx.topk import offer

# Postings whose term frequencies are compared in one vectorised step.
STRIDE = 64
# From this length on, a list is scanned for a floor before its documents are admitted.
LONG = 4096
# Leading documents whose full scores give the floor, per document wanted.
LEADERS = 4


@_jit
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


@_inline
def impact_bound(bounds, weight, alpha, mean):
    """Upper bound of IDF * F(alpha+1) / (F + alpha|D|/avgdl + alpha*mean) over a list."""
    x = min(mean, 1.0)
    return weight / (1.0 + alpha * (bounds[0] + x * (bounds[1] - bounds[0])))


@_jit
def best_partial(rows, found, n, k, bonus_input, scores, docs):
    """Fill scores, docs with the k best partial scores (worst first); returns how many."""
    unit, per_token, literal_total = bonus_input
    size, floor = 0, 0.0
    for j in range(n):
        doc = found[j]
        score = rows[doc, 0] + bonus(rows[doc, 1], unit, per_token, literal_total)
        if score > floor:
            size = offer(scores, docs, size, k, score, np.int32(doc))
            if size == k:
                floor = scores[0]
    return size


@_jit
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


@_jit
def best_in_list(docs, tf, weight, mean, norms, size_wanted, scores, leaders):
    """Fill scores, leaders with the documents of a list that it adds most to; returns how many."""
    size, bar = 0, 0.0
    for p in range(len(docs)):
        doc = docs[p]
        f = np.float64(tf[p])
        if weight * f > bar * (f + norms[doc] + mean):
            part = weight * f / (f + norms[doc] + mean)
            size = offer(scores, leaders, size, size_wanted, part, np.int32(doc))
            if size == size_wanted:
                bar = scores[0]
    return size


@_jit
def reached(leaders, k, rows, i, n, query, indptr, docs, tf, mean, norms, bonus_input, best,
            best_docs):  # fmt: skip
    """k-th best full score among the leaders, rows plus what lists i .. n - 1 add; 0 if < k.

    k documents reach it, so it is a floor, and a much higher one than their partial scores.
    """
    terms, weights, packs = query
    unit, per_token, literal_total = bonus_input
    size = 0
    for leader in leaders:
        doc = np.uint32(leader)
        part, packed = rows[doc, 0], rows[doc, 1]
        for j in range(i, n):
            start, stop = indptr[terms[j]], indptr[terms[j] + 1]
            list_docs = docs[start:stop]
            # documents are spread about evenly: start a little before the expected place
            guess = np.int64(np.float64(doc) / len(norms) * len(list_docs)) - 64
            if guess < 0 or list_docs[guess] > doc:
                guess = 0
            p = position(list_docs, doc, guess)
            if p < len(list_docs) and list_docs[p] == doc:
                f = np.float64(tf[start + p])
                part += weights[j] * f / (f + norms[doc] + mean)
                packed += packs[j]
        score = part + bonus(packed, unit, per_token, literal_total)
        size = offer(best, best_docs, size, k, score, leader)
    return best[0] / SLACK if size == k else 0.0


@_jit
def keep(rows, found, n, floor, part_left, packed_left, bonus_input):
    """Drop (and clear) the documents whose upper bound is below `floor`; returns how many stay.

    The bonus is a product of matched tokens and their E sum, both of which only grow: it is at
    most its value with every remaining term matched.
    """
    unit, per_token, literal_total = bonus_input
    kept = 0
    for j in range(n):
        doc = found[j]
        most = rows[doc, 0] + part_left
        most += bonus(rows[doc, 1] + packed_left, unit, per_token, literal_total)
        if most * SLACK < floor:
            rows[doc, 0] = 0.0
            rows[doc, 1] = 0.0
        else:
            found[kept] = doc
            kept += 1
    return kept


@_jit
def add_to_found(docs, tf, weight, packed, mean, norms, rows, found, n):
    """Add one list (slices) to the documents in found[:n], ascending, and to no other."""
    if 16 * n > len(docs):
        for p in range(len(docs)):
            doc = docs[p]
            if rows[doc, 1] != 0.0:
                f = np.float64(tf[p])
                rows[doc, 0] += weight * f / (f + norms[doc] + mean)
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
            rows[doc, 0] += weight * f / (f + norms[doc] + mean)
            rows[doc, 1] += packed


@_inline
def any_at_least(tf, least):
    """Whether a slice holds a term frequency >= least (vectorised)."""
    count = 0
    for j in range(len(tf)):
        count += tf[j] >= least
    return count > 0


@_jit
def admit(docs, tf, weight, packed, mean, norms, rows, found, n, need, least):
    """Append the new documents of a list (slices) that alone add at least `need`; returns n.

    weight * f / (f + norm + mean) >= need is tested without the division, and only in strides
    that hold a term frequency >= `least`, below which no document of the list can reach it.
    """
    for start in range(0, len(docs), STRIDE):
        stop = min(start + STRIDE, len(docs))
        if least > 1 and not any_at_least(tf[start:stop], least):
            continue
        for p in range(start, stop):
            f = np.float64(tf[p])
            if f < least:
                continue
            doc = docs[p]
            if weight * f < need * (f + norms[doc] + mean) or rows[doc, 1] != 0.0:
                continue
            rows[doc, 0] = weight * f / (f + norms[doc] + mean)
            rows[doc, 1] = packed
            found[n] = doc
            n += 1
    return n


@_jit
def merge_runs(found, middle, n, scratch):
    """Merge the ascending runs found[:middle] and found[middle:n] in place."""
    scratch[: n - middle] = found[middle:n]
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


@_jit
def find_pruned(
    n, k, query, parts_left, packs_left, indptr, docs, tf, mean, norms, bonus_input, shortest,
    rows, found, scratch, heaps,
):  # fmt: skip
    """Score every document that can be in the top k into rows; returns how many are in found.

    query = (terms, weights, packs) of n terms, rarest first; parts_left[i], packs_left[i]: upper
    bounds of what lists i .. n - 1 can add; shortest[i]: least alpha |D|/avgdl in list i.
    """
    terms, weights, packs = query
    unit, per_token, literal_total = bonus_input
    scores, leaders, best, best_docs = heaps
    n_found, floor = 0, 0.0
    for i in range(n):
        start, stop = indptr[terms[i]], indptr[terms[i] + 1]
        list_docs, list_tf = docs[start:stop], tf[start:stop]
        wanted = min(len(leaders), stop - start)
        size = 0
        if n_found >= k and floor == 0.0:
            size = best_partial(rows, found, n_found, wanted, bonus_input, scores, leaders)
        elif floor == 0.0 and len(list_docs) > LONG:
            size = best_in_list(list_docs, list_tf, weights[i], mean, norms, wanted, scores, leaders)
        if size >= k:
            floor = reached(
                leaders[:size], k, rows, i, n, query, indptr, docs, tf, mean, norms, bonus_input,
                best, best_docs,
            )  # fmt: skip
        before = n_found
        if floor == 0.0:
            n_found = accumulate_new(
                list_docs, list_tf, weights[i], packs[i], mean, norms, rows, found, n_found
            )
            if before > 0:
                merge_runs(found, before, n_found, scratch)
            continue
        n_found = keep(rows, found, n_found, floor, parts_left[i], packs_left[i], bonus_input)
        add_to_found(
            list_docs, list_tf, weights[i], packs[i], mean, norms, rows, found, n_found
        )
        if k <= n_found < len(list_docs) and i + 1 < n:
            wanted = min(len(leaders), n_found)
            size = best_partial(rows, found, n_found, wanted, bonus_input, scores, leaders)
            higher = reached(
                leaders[:size], k, rows, i + 1, n, query, indptr, docs, tf, mean, norms,
                bonus_input, best, best_docs,
            )  # fmt: skip
            floor = max(floor, higher)
        # what a document that no earlier list holds must get from this list
        need = floor / SLACK - parts_left[i + 1]
        need -= bonus(packs_left[i], unit, per_token, literal_total)
        if need >= weights[i]:
            continue
        least = 0.0
        if need > 0.0 and 1000.0 * floor > weights[i]:  # else rounding could outweigh the slack
            least = need * (shortest[i] + mean) / (weights[i] - need)
        else:
            need = 0.0
        if least > 1e9:
            continue
        before = n_found
        n_found = admit(
            list_docs, list_tf, weights[i], packs[i], mean, norms, rows, found, n_found, need,
            np.int64(np.ceil(least / SLACK)),
        )  # fmt: skip
        if before > 0:
            merge_runs(found, before, n_found, scratch)
    return n_found
