"""Compiled inner loops: postings in CSR form, query preparation, exhaustive scoring, top k.

Every kernel adds the terms of a query in one canonical order (document frequency, then term id),
so that the exhaustive and the pruned search return the same bits, for any order of the tokens.
"""

# numba infers the types of these functions
# mypy: disable-error-code="no-untyped-def, assignment"
from __future__ import annotations

import numpy as np

from ir_replications.bmx.retrieval.compiled import inline, jit

# Postings whose divisions are made in one vectorised step.
STRIDE = 64
# Documents whose sums stay in the first cache while row after row is added.
ROW_BLOCK = 1024


@inline
def length_of(norms, doc):
    """alpha |D|/avgdl of a document; norms = (lengths, alpha/avgdl), small enough for a cache."""
    return norms[1] * np.float64(norms[0][doc])


@jit
def build_postings(ids, offsets, n_terms):
    """Turn documents (CSR of term ids) into postings by two counting passes.

    Returns (indptr int64 (n_terms + 1,), docs uint32 (n_postings,) ascending within a term,
    tf int32 (n_postings,)). Negative ids are skipped.
    """
    n_docs = len(offsets) - 1
    indptr = np.zeros(n_terms + 1, np.int64)
    last = np.full(n_terms, -1, np.int32)
    for doc in range(n_docs):
        for j in range(offsets[doc], offsets[doc + 1]):
            term = ids[j]
            if term >= 0 and last[term] != doc:
                last[term] = doc
                indptr[term + 1] += 1
    for term in range(n_terms):
        indptr[term + 1] += indptr[term]
    end = indptr[:-1].copy()
    docs = np.empty(indptr[n_terms], np.uint32)
    tf = np.empty(indptr[n_terms], np.int32)
    last[:] = -1
    for doc in range(n_docs):
        for j in range(offsets[doc], offsets[doc + 1]):
            term = ids[j]
            if term < 0:
                continue
            if last[term] != doc:
                last[term] = doc
                docs[end[term]] = doc
                tf[end[term]] = 1
                end[term] += 1
            else:
                tf[end[term] - 1] += 1
    return indptr, docs, tf


@jit
def term_entropies(indptr, tf, table):
    """Sum the entropy contribution of every posting, per term; table[f] holds -p ln p."""
    out = np.zeros(len(indptr) - 1)
    last = len(table) - 1
    for term in range(len(out)):
        total = 0.0
        for p in range(indptr[term], indptr[term + 1]):
            total += table[min(np.int64(tf[p]), last)]
        out[term] = total
    return out


@jit
def prepare(tokens, index, options, terms, counts, weights, e):
    """Fold a query into its distinct terms, rarest first; OOV tokens are -1.

    Fills terms, counts (how often
    each occurs), weights = count * IDF * (alpha + 1) and e = count * E. Returns (number of
    distinct terms, alpha * mean entropy, beta / m, sum of E over all query tokens).
    """
    alpha, beta, literal, uniform, fixed = options
    indptr, idf, entropy = index.indptr, index.idf, index.entropies
    keys = np.empty(len(tokens), np.int64)
    known, short = 0, len(tokens) <= 32
    for j in range(len(tokens)):
        term = np.int64(tokens[j])
        if term >= 0 and indptr[term + 1] > indptr[term]:
            key = ((indptr[term + 1] - indptr[term]) << 32) | term
            at = known
            while short and at > 0 and keys[at - 1] > key:  # insertion sort
                keys[at] = keys[at - 1]
                at -= 1
            keys[at] = key
            known += 1
    if known == 0:
        return 0, 0.0, 0.0, 0.0
    keys = keys[:known]
    if not short:
        keys.sort()
    n, highest = 0, 0.0
    for j in range(known):
        term = keys[j] & 0xFFFFFFFF
        if n and terms[n - 1] == term:
            counts[n - 1] += 1.0
        else:
            terms[n] = term
            counts[n] = 1.0
            n += 1
            highest = max(highest, entropy[term])
    m = np.float64(len(tokens)) if literal else np.float64(known)
    total = 0.0
    for i in range(n):
        # every tf >= 37 makes all entropies 0: the terms then share the maximum, so E = 1
        share = 1.0 if uniform or highest == 0.0 else entropy[terms[i]] / highest
        e[i] = counts[i] * share
        weights[i] = counts[i] * idf[terms[i]] * (alpha + 1.0)
        total += e[i]
    if uniform and literal:
        total += np.float64(len(tokens) - known)
    mean = total / m if np.isnan(fixed) else fixed
    return n, alpha * mean, beta / m, total


@inline
def packing(counts, n):
    """Power of two K that lets one float64 hold K * (matched tokens) + (their sum of E)."""
    m = 0.0
    for i in range(n):
        m += counts[i]
    unit = 2.0
    while unit < 2.0 * m:
        unit *= 2.0
    return unit


@inline
def bonus(packed, unit, per_token, literal_total):
    """beta * S * (sum of E): over matched tokens, or over all when literal_total >= 0."""
    matched = np.floor(packed * (1.0 / unit))
    e_sum = packed - matched * unit if literal_total < 0.0 else literal_total
    return per_token * matched * e_sum


@jit
def accumulate(docs, tf, weight, packed, mean, norms, parts, packs):
    """Add one posting list (slices docs, tf): parts[doc] += TF part, packs[doc] += packed bonus.

    Slices and unsigned documents spare the index arithmetic of negative subscripts; a stride's
    divisions are made together, which vectorises them without changing a bit.
    """
    n, lengths, ratio = len(docs), norms[0], norms[1]
    values = np.empty(STRIDE)
    whole = n - n % STRIDE
    for start in range(0, whole, STRIDE):
        stride, stride_tf = docs[start : start + STRIDE], tf[start : start + STRIDE]
        for j in range(STRIDE):
            values[j] = np.float64(lengths[stride[j]])
        for j in range(STRIDE):
            f = np.float64(stride_tf[j])
            values[j] = weight * f / (f + ratio * values[j] + mean)
        for j in range(STRIDE):
            doc = stride[j]
            parts[doc] += values[j]
            packs[doc] += packed
    for p in range(whole, n):
        doc = docs[p]
        f = np.float64(tf[p])
        parts[doc] += weight * f / (f + length_of(norms, doc) + mean)
        packs[doc] += packed


@jit
def fill_rows(indptr, docs, tf, rows, n_rows, n_docs):
    """Term frequencies by document of each list with rows[term] >= 0: uint8 (n_rows, n_docs)."""
    out = np.zeros((n_rows, n_docs), np.uint8)
    for term in range(len(rows)):
        if rows[term] >= 0:
            row = out[rows[term]]
            for p in range(indptr[term], indptr[term + 1]):
                row[docs[p]] = tf[p]
    return out


@jit
def accumulate_row(row, weight, packed, mean, lengths, ratio, parts, packs):
    """As `accumulate`, of slices of a list's row in `fill_rows` and of the other arrays.

    Every document is visited, but eight at a time. Adding 0.0 changes no bit of a part.
    """
    for doc in range(len(row)):
        f = np.float64(row[doc])
        value = weight * f / (f + ratio * np.float64(lengths[doc]) + mean)
        parts[doc] += value if f > 0.0 else 0.0  # an empty document may have 0 / 0
        packs[doc] += packed if f > 0.0 else 0.0


@jit
def accumulate_rows(rows, numbers, weights, packs_of, mean, norms, parts, packs):
    """Add the lists rows[numbers], in this order, block by block of what a cache holds."""
    n_docs = len(parts)
    for start in range(0, n_docs, ROW_BLOCK):
        stop = min(start + ROW_BLOCK, n_docs)
        for i in range(len(numbers)):
            accumulate_row(
                rows[numbers[i], start:stop], weights[i], packs_of[i], mean, norms[0][start:stop],
                norms[1], parts[start:stop], packs[start:stop],
            )  # fmt: skip


@jit
def accumulate_new(docs, tf, weight, packed, mean, norms, rows, found, n_found):
    """As `accumulate` on rows[doc] = (TF part, packed bonus), which share a cache line.

    Documents seen for the first time are appended to `found`; returns how many it holds.
    """
    size = np.uint64(n_found)
    for p in range(len(docs)):
        doc = docs[p]
        f = np.float64(tf[p])
        found[size] = doc
        size += np.uint64(rows[doc, 1] == 0.0)
        rows[doc, 0] += weight * f / (f + length_of(norms, doc) + mean)
        rows[doc, 1] += packed
    return np.int64(size)


@jit
def score_all(tokens, index, options, scale):
    """Scores of every document for one query, float64 (n_docs,), divided by `scale`."""
    docs, tf, norms, m = index.docs, index.tf, index.norms, len(tokens)
    terms, counts = np.empty(m, np.int64), np.empty(m)
    weights, e = np.empty(m), np.empty(m)
    n, mean, per_token, total = prepare(tokens, index, options, terms, counts, weights, e)
    out = np.zeros(len(norms[0]))
    if n == 0:
        return out
    literal_total = total if options.literal else -1.0
    unit = packing(counts, n)
    parts, packs = np.zeros(len(norms[0])), np.zeros(len(norms[0]))
    for i in range(n):
        start, stop = index.indptr[terms[i]], index.indptr[terms[i] + 1]
        packed = counts[i] * unit + e[i]
        accumulate(docs[start:stop], tf[start:stop], weights[i], packed, mean, norms, parts, packs)
    for doc in range(len(norms[0])):
        if packs[doc] != 0.0:
            out[doc] = parts[doc] + bonus(packs[doc], unit, per_token, literal_total)
            out[doc] /= scale
    return out
