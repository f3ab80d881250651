"""Top k of a batch of queries: chooses exhaustive or pruned scoring for each query."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

import numpy as np

from ir_replications.bmx.retrieval.bounds import impact_bound
from ir_replications.bmx.retrieval.choice import pruning_pays
from ir_replications.bmx.retrieval.compiled import jit
from ir_replications.bmx.retrieval.kernels import (
    accumulate,
    accumulate_new,
    accumulate_rows,
    bonus,
    packing,
    prepare,
)
from ir_replications.bmx.retrieval.pruning import LEADERS, find_pruned
from ir_replications.bmx.retrieval.state import QueryState
from ir_replications.bmx.retrieval.topk import collect, collect_all
from ir_replications.shared.retrieval.topk import BLOCK, FEW, finish


@jit
def search(flat, pointers, k, index, options, pruning, scales, always, long_list, buffers):
    """Return (doc_indices int32, scores float64), both (n_queries, k), best first.

    flat, pointers: term ids of all queries (-1 = OOV) and their offsets. Slots without a match
    hold -1 and 0.0. scales divide the scores of each query. always: True prunes every query, False
    those where `choice.pruning_pays`, None none; long_list: see `pruning.find_pruned`. The
    rows of the buffers must be zero and are zero again afterwards. Other arguments: see `state`.
    """
    alpha, norms = options.alpha, index.norms
    indptr, docs, tf = index.indptr, index.docs, index.tf
    rows, found, _ = buffers
    n_docs, n_queries = len(norms[0]), len(pointers) - 1
    out_docs = np.full((n_queries, k), -1, np.int32)
    out_scores = np.zeros((n_queries, k))
    longest = 1
    for q in range(n_queries):
        longest = max(longest, pointers[q + 1] - pointers[q])
    terms, counts = np.empty(longest, np.int64), np.empty(longest)
    weights, e, sizes = np.empty(longest), np.empty(longest), np.empty(longest, np.int64)
    packs, shortest = np.empty(longest), np.empty(longest)
    highest, bit_rows = np.empty(longest), np.empty(longest, np.int64)
    parts_left, packs_left = np.zeros(longest + 1), np.zeros(longest + 1)
    n_leaders = LEADERS * k
    heaps = (np.empty(n_leaders), np.empty(n_leaders, np.int32), np.empty(k), np.empty(k, np.int32))
    blocks = np.empty((n_docs + BLOCK - 1) // BLOCK)
    # the best so far, and room for as many again before the worse half is dropped
    room = k if k <= FEW else 2 * k
    best, best_docs = np.empty(room), np.empty(room, np.int32)
    flat_rows = rows.reshape(-1)
    dense_parts, dense_packs = flat_rows[:n_docs], flat_rows[n_docs:]
    for q in range(n_queries):
        tokens = flat[pointers[q] : pointers[q + 1]]
        n, mean, per_token, total = prepare(tokens, index, options, terms, counts, weights, e)
        if n == 0:
            continue
        unit = packing(counts, n)
        bonus_input = (unit, per_token, total if options.literal else -1.0)
        n_postings = 0
        packs_left[n] = parts_left[n] = 0.0
        for i in range(n - 1, -1, -1):
            sizes[i] = indptr[terms[i] + 1] - indptr[terms[i]]
            n_postings += sizes[i]
            packs[i] = counts[i] * unit + e[i]
            packs_left[i] = packs_left[i + 1] + packs[i]
        highest_bonus = bonus(packs_left[0], unit, per_token, bonus_input[2])
        prune = False
        if always is not None:
            prune = always or pruning_pays(sizes, n, n_docs, k)
        if not prune and 2 * n_postings > n_docs:
            n_lists = n  # those before the last ones, the longest, which have rows
            while n_lists > 0 and index.row_numbers[terms[n_lists - 1]] >= 0:
                n_lists -= 1
                bit_rows[n_lists] = index.row_numbers[terms[n_lists]]
            for i in range(n_lists):
                start, stop = indptr[terms[i]], indptr[terms[i] + 1]
                accumulate(
                    docs[start:stop], tf[start:stop], weights[i], packs[i], mean, norms,
                    dense_parts, dense_packs,
                )  # fmt: skip
            accumulate_rows(
                index.rows, bit_rows[n_lists:n], weights[n_lists:n], packs[n_lists:n], mean,
                norms, dense_parts, dense_packs,
            )  # fmt: skip
            size = collect_all(
                dense_parts, dense_packs, k, bonus_input, highest_bonus, scales[q], best,
                best_docs, blocks,
            )  # fmt: skip
            flat_rows[:] = 0.0
            finish(best, best_docs, size, k, out_scores[q], out_docs[q])
            continue
        n_found = 0
        if always is not None and prune:  # None: numba leaves this branch out, half the work
            mean_entropy = mean / alpha if alpha > 0.0 else 0.0
            for i in range(n - 1, -1, -1):
                bound = pruning.bounds[terms[i]]
                shortest[i] = alpha * bound[2]
                highest[i] = impact_bound(bound, weights[i], alpha, mean_entropy)
                parts_left[i] = parts_left[i + 1] + highest[i]
                bit_rows[i] = pruning.bitmap_rows[terms[i]]
            query = QueryState(
                n, mean, bonus_input, terms, weights, packs, highest, shortest, bit_rows,
                parts_left, packs_left, pruning.bitmaps,
            )  # fmt: skip
            n_found = find_pruned(k, query, index, buffers, heaps, long_list)
        else:
            for i in range(n):
                start, stop = indptr[terms[i]], indptr[terms[i] + 1]
                n_found = accumulate_new(
                    docs[start:stop], tf[start:stop], weights[i], packs[i], mean, norms, rows,
                    found, n_found,
                )  # fmt: skip
        size = collect(
            rows, found, n_found, k, bonus_input, highest_bonus, scales[q], best, best_docs
        )
        finish(best, best_docs, size, k, out_scores[q], out_docs[q])
    return out_docs, out_scores
