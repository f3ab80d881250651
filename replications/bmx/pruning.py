"""Exact top k without scoring every posting: MaxScore with entropy-aware upper bounds.

Lists are read rarest first. Once no unseen document can enter the top k, the remaining (long)
lists are only probed for the documents that still can, in the same order of additions.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from replications.bmx.kernels import (
    _inline,
    _jit,
    accumulate,
    accumulate_new,
    bonus,
    drain,
    offer,
    packing,
    prepare,
)

# Relative slack on upper bounds: far above the rounding error of a sum of float64 terms.
SLACK = 1.0 + 1e-9
NEVER, ALWAYS, AUTO = 0, 1, 2
BLOCK = 16

_jit_max = nb.njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz"})


@_jit
def term_bounds(indptr, docs, tf, lengths):
    """Per term the least (|D|/avgdl + x) / tf over its postings, at x = 0 and x = 1.

    As a minimum of lines it is concave in x, so the chord between the two never exceeds it: a
    safe bound for every mean entropy in [0, 1]. `lengths` is |D|/avgdl. Returns (n_terms, 2).
    """
    out = np.full((len(indptr) - 1, 2), np.inf)
    for term in range(len(out)):
        low, high = np.inf, np.inf
        for p in range(indptr[term], indptr[term + 1]):
            f = np.float64(tf[p])
            low = min(low, lengths[docs[p]] / f)
            high = min(high, (lengths[docs[p]] + 1.0) / f)
        out[term, 0], out[term, 1] = low, high
    return out


@_inline
def impact_bound(bounds, weight, alpha, mean):
    """Upper bound of IDF * F(alpha+1) / (F + alpha|D|/avgdl + alpha*mean) over a list."""
    x = min(mean, 1.0)
    return weight / (1.0 + alpha * (bounds[0] + x * (bounds[1] - bounds[0])))


@_jit
def threshold(rows, candidates, n, k, unit, per_token, literal_total, scores, docs):
    """k-th best partial score among the candidates: no final top-k score is lower."""
    size = 0
    floor = 0.0
    for j in range(n):
        doc = candidates[j]
        score = rows[doc, 0] + bonus(rows[doc, 1], unit, per_token, literal_total)
        if score > floor:
            size = offer(scores, docs, size, k, score, np.int32(doc))
            if size == k:
                floor = scores[0]
    return floor


@_jit
def keep(rows, candidates, n, floor, tf_left, packed_left, unit, per_token, literal_total):
    """Drop (and clear) the documents whose upper bound is below `floor`; returns how many stay.

    The bonus is a product of matched tokens and their E sum, both of which only grow: it is at
    most its value with every remaining term matched.
    """
    kept = 0
    for j in range(n):
        doc = candidates[j]
        most = rows[doc, 0] + tf_left
        most += bonus(rows[doc, 1] + packed_left, unit, per_token, literal_total)
        if most * SLACK < floor:
            rows[doc, 0] = 0.0
            rows[doc, 1] = 0.0
        else:
            candidates[kept] = doc
            kept += 1
    return kept


@_jit
def probe(docs, tf, weight, packed, mean, norms, rows, candidates, n):
    """Add one list (slices) to the ascending candidates only, by galloping search."""
    low, stop = 0, len(docs)
    for j in range(n):
        doc = candidates[j]
        step, high = 1, low
        while high < stop and docs[high] < doc:
            low = high + 1
            high += step
            step *= 2
        high = min(high, stop)
        while low < high:
            middle = (low + high) >> 1
            if docs[middle] < doc:
                low = middle + 1
            else:
                high = middle
        if low == stop:
            break
        if docs[low] == doc:
            f = np.float64(tf[low])
            rows[doc, 0] += weight * f / (f + norms[doc] + mean)
            rows[doc, 1] += packed


@_jit
def merge(docs, tf, weight, packed, mean, norms, rows):
    """Add one list (slices) to the documents that are still candidates (non-zero rows)."""
    for p in range(len(docs)):
        doc = docs[p]
        if rows[doc, 1] != 0.0:
            f = np.float64(tf[p])
            rows[doc, 0] += weight * f / (f + norms[doc] + mean)
            rows[doc, 1] += packed


@_jit_max
def highest_of(parts):
    """Largest value of a slice; vectorised, no NaN can occur."""
    highest = 0.0
    for j in range(len(parts)):
        highest = parts[j] if parts[j] > highest else highest
    return highest


@_jit
def collect_all(parts, packs, k, unit, per_token, literal_total, slack, scale, best, best_docs,
                blocks):  # fmt: skip
    """Top k over all documents; returns the heap size.

    The k-th best block maximum of the TF parts bounds the k-th best score from below, so only
    blocks within `slack` (the highest bonus) of it are looked at.
    """
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


@_jit
def collect(rows, found, n, k, unit, per_token, literal_total, slack, scale, best, best_docs):
    """Top k over the found documents, whose rows are cleared; returns the heap size."""
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


@_jit
def search(
    flat, pointers, k, indptr, docs, tf, idf, entropy, norms, options, bounds, scales, mode,
    rows, found,
):  # fmt: skip
    """Top k of a batch of queries: (doc_indices int32, scores float64), both (n_queries, k).

    flat, pointers: term ids of all queries (-1 = OOV) and their offsets. Slots without a match
    hold -1 and 0.0. mode: NEVER scores every posting. rows (n_docs, 2) must be zero and is zero
    again afterwards; found (n_docs + 1,) is scratch.
    """
    alpha = options[0]
    n_docs, n_queries = len(norms), len(pointers) - 1
    out_docs = np.full((n_queries, k), -1, np.int32)
    out_scores = np.zeros((n_queries, k))
    longest = 1
    for q in range(n_queries):
        longest = max(longest, pointers[q + 1] - pointers[q])
    terms, counts = np.empty(longest, np.int64), np.empty(longest)
    weights, e = np.empty(longest), np.empty(longest)
    tf_left, packed_left = np.zeros(longest + 1), np.zeros(longest + 1)
    heap, heap_docs = np.empty(k), np.empty(k, np.int32)
    flat_rows = rows.reshape(-1)
    parts, packs = flat_rows[:n_docs], flat_rows[n_docs:]
    blocks = np.empty((n_docs + BLOCK - 1) // BLOCK)
    for q in range(n_queries):
        tokens = flat[pointers[q] : pointers[q + 1]]
        n, mean, per_token, total = prepare(
            tokens, indptr, idf, entropy, options, terms, counts, weights, e
        )
        if n == 0:
            continue
        literal_total = total if options[2] else -1.0
        unit = packing(counts, n)
        tf_left[n] = packed_left[n] = 0.0
        left = 0
        for i in range(n - 1, -1, -1):
            packed_left[i] = packed_left[i + 1] + counts[i] * unit + e[i]
            left += indptr[terms[i] + 1] - indptr[terms[i]]
        highest_bonus = bonus(packed_left[0], unit, per_token, literal_total)
        best, best_docs = out_scores[q], out_docs[q]
        prune = mode == ALWAYS or (mode == AUTO and left > 16384)
        if not prune and 4 * left > 3 * n_docs:
            for i in range(n):
                start, stop = indptr[terms[i]], indptr[terms[i] + 1]
                packed = counts[i] * unit + e[i]
                accumulate(
                    docs[start:stop], tf[start:stop], weights[i], packed, mean, norms, parts, packs
                )
            size = collect_all(
                parts, packs, k, unit, per_token, literal_total, highest_bonus, scales[q], best,
                best_docs, blocks,
            )  # fmt: skip
            flat_rows[:] = 0.0
            drain(best, best_docs, size)
            continue
        if prune:
            mean_entropy = mean / alpha if alpha > 0.0 else 0.0
            for i in range(n - 1, -1, -1):
                bound = impact_bound(bounds[terms[i]], weights[i], alpha, mean_entropy)
                tf_left[i] = tf_left[i + 1] + bound
        n_found, i, floor = 0, 0, 0.0
        while i < n:
            start, stop = indptr[terms[i]], indptr[terms[i] + 1]
            if prune and n_found >= k and left > 4 * n_found:
                unseen = tf_left[i] + bonus(packed_left[i], unit, per_token, literal_total)
                seen = packed_left[0] - packed_left[i]
                reach = tf_left[0] - tf_left[i] + bonus(seen, unit, per_token, literal_total)
                if reach > unseen:
                    floor = threshold(
                        rows, found, n_found, k, unit, per_token, literal_total, heap, heap_docs
                    )
                    if unseen * SLACK < floor:
                        break
            packed = counts[i] * unit + e[i]
            n_found = accumulate_new(
                docs[start:stop], tf[start:stop], weights[i], packed, mean, norms, rows,
                found, n_found,
            )  # fmt: skip
            left -= stop - start
            i += 1
        if i < n:
            n_found = keep(
                rows, found, n_found, floor, tf_left[i], packed_left[i], unit, per_token,
                literal_total,
            )  # fmt: skip
            found[:n_found].sort()
        while i < n:
            start, stop = indptr[terms[i]], indptr[terms[i] + 1]
            packed = counts[i] * unit + e[i]
            if 8 * n_found < stop - start:
                probe(
                    docs[start:stop], tf[start:stop], weights[i], packed, mean, norms, rows,
                    found, n_found,
                )  # fmt: skip
            else:
                merge(docs[start:stop], tf[start:stop], weights[i], packed, mean, norms, rows)
            i += 1
            if i < n and n_found > 2 * k:
                floor = threshold(
                    rows, found, n_found, k, unit, per_token, literal_total, heap, heap_docs
                )
                n_found = keep(
                    rows, found, n_found, floor, tf_left[i], packed_left[i], unit, per_token,
                    literal_total,
                )  # fmt: skip
        size = collect(
            rows, found, n_found, k, unit, per_token, literal_total, highest_bonus, scales[q], best,
            best_docs,
        )
        drain(best, best_docs, size)
    return out_docs, out_scores
