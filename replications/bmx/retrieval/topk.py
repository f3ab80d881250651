"""The k best documents of accumulated TF parts and bonuses, in canonical order."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

import numpy as np

from ir_replications.bmx.retrieval.compiled import jit
from ir_replications.bmx.retrieval.kernels import bonus
from ir_replications.shared.retrieval.topk import (
    BLOCK,
    FEW,
    SLACK,
    highest_of,
    offer,
    select,
    worst_of,
)


@jit
def collect_all(parts, packs, k, bonus_input, slack, scale, best, best_docs, blocks):
    """Top k over all documents into best, best_docs: (scores, docs, how many).

    The k-th best block maximum of the TF parts bounds the k-th best score from below, so only
    blocks within `slack` (the highest bonus) of it are looked at. Documents come in order, so that
    a later one must exceed the k-th best score so far.
    """
    unit, per_token, literal_total = bonus_input
    size, bar, room = 0, 0.0, len(best)
    few = k <= FEW
    for block in range(len(blocks)):
        highest = highest_of(parts[block * BLOCK : (block + 1) * BLOCK])
        blocks[block] = highest
        if few and highest > bar:
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
                    if few:
                        size = offer(best, best_docs, size, k, score, np.int32(j))
                        if size == k:
                            bar = max(bar, best[0] * scale / SLACK - slack)
                        continue
                    best[size], best_docs[size] = score, j
                    size += 1
                    if size == room:
                        size = k
                        select(best, best_docs, room, k)
                        bar = max(bar, worst_of(best, k) * scale / SLACK - slack)
    return size


@jit
def collect(rows, found, n, k, bonus_input, slack, scale, best, best_docs):
    """Top k over the found documents, whose rows are cleared; see `collect_all`."""
    unit, per_token, literal_total = bonus_input
    size, bar, room = 0, 0.0, len(best)
    few = k <= FEW
    for j in range(n):
        doc = found[j]
        part = rows[doc, 0]
        if part > bar:
            score = (part + bonus(rows[doc, 1], unit, per_token, literal_total)) / scale
            if few:
                size = offer(best, best_docs, size, k, score, np.int32(doc))
                if size == k:
                    bar = max(0.0, best[0] * scale / SLACK - slack)
            else:
                best[size], best_docs[size] = score, doc
                size += 1
                if size == room:
                    size = k
                    select(best, best_docs, room, k)
                    bar = max(0.0, worst_of(best, k) * scale / SLACK - slack)
        rows[doc, 0] = 0.0
        rows[doc, 1] = 0.0
    return size
