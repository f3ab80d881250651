"""The choice between exhaustive and pruned search of a query, from an estimate of both costs."""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

from ir_replications.bmx.retrieval.compiled import jit
from ir_replications.bmx.retrieval.index import ROW_SHARE

# A pruned search costs at most a few times its estimate, an exhaustive one is close to it: pruned
# ones must look this much cheaper.
MARGIN = 1.3


@jit
def exhaustive_cost(sizes, n, n_docs, k):
    """Microseconds to add up the n lists of `sizes` and select the k best, estimated.

    Each posting is added, or each document of a list kept by document (`index.ROW_SHARE`); then
    documents are looked at: all of them, or those found where they are few. Constants: least
    squares on the logarithm over 2,250 searches (150 short queries on each of three Zipf
    collections of 30,000 to 300,000 documents, k 10 to 1000), one core of an AMD EPYC (Zen 4);
    ratios alone matter.
    """
    n_postings, adding = 0, 0.0
    for i in range(n):
        n_postings += sizes[i]
        by_row = sizes[i] >= ROW_SHARE * n_docs
        adding += 0.0004 * n_docs if by_row else 0.002 * sizes[i]
    looked_at = n_docs if 2 * n_postings > n_docs else n_postings
    return 8.83 + adding + 0.00089 * looked_at + 0.143 * k


@jit
def pruned_cost(sizes, n, k):
    """Microseconds of `pruning.find_pruned`, estimated from the n list sizes, rarest first.

    Lists are read until k documents are found; their documents, `read`, then ask every later list
    for a bound, and some leading ones, a multiple of k, for their posting in it. What is left of
    the postings is only skimmed, but by bounds that grow with the terms. Constants as above.
    """
    read, i = sizes[0], 0
    while i + 1 < n and read < k:
        i += 1
        read += sizes[i]
    left = 0
    for j in range(i + 1, n):
        left += sizes[j]
    later = n - i
    return 17.8 + 0.197 * k * later + 0.0166 * read * (later + 1) + 0.00012 * left * n


@jit
def pruning_pays(sizes, n, n_docs, k):
    """Whether a query of n lists of `sizes`, rarest first, is to be pruned."""
    return MARGIN * pruned_cost(sizes, n, k) < exhaustive_cost(sizes, n, n_docs, k)
