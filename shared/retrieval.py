"""Search with any first-stage retriever: what one is, and its results as a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Protocol, Self

import numpy as np

from shared.analysis import Tokens
from shared.errors import InputError
from shared.runs import Run, canonical


class Retriever(Protocol):
    """A first-stage retriever over an analysed corpus; documents are numbered in corpus order."""

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        """Index the corpus and return self."""
        ...

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """Document numbers (Q, k) and scores (Q, k), best first, ties by document number.

        A document without any query term is never returned; slots left over hold -1 and 0.0.
        """
        ...

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        """Scores of all documents for one query, float64 (n_docs,)."""
        ...


def search(
    retriever: Retriever,
    doc_ids: Sequence[str],
    topics: Mapping[str, Sequence[str]],
    k: int = 100,
    *,
    drop_own_id: bool = True,
    excluded: Mapping[str, Collection[str]] | None = None,
) -> Run:
    """Retrieve up to `k` documents for each analysed topic, `{qid: tokens}`, in canonical order.

    `doc_ids` names the indexed documents and must be sorted ascending, so that the retriever's
    ties at rank k fall as in a run file. `drop_own_id` removes the document whose id is the
    query's (ArguAna, PyDocs); `excluded` maps a query id to documents to remove (BRIGHT's excluded
    ids). More documents are fetched first, so that `k` are left after the removal.
    """
    if k < 1:
        raise InputError(f"k = {k}: expected a positive number of documents")
    numbers = {docid: number for number, docid in enumerate(doc_ids)}
    if len(numbers) != len(doc_ids) or any(left > right for left, right in pairwise(doc_ids)):
        raise InputError("document ids must be distinct and sorted ascending before indexing")
    hidden: dict[str, set[str]] = {}
    for qid in topics:
        unwanted = set((excluded or {}).get(qid, ()))
        if drop_own_id:
            unwanted.add(qid)
        hidden[qid] = {docid for docid in unwanted if docid in numbers}
    run: Run = {}
    for extra, qids in _by_extra(hidden).items():
        depth = min(k + extra, len(doc_ids))
        found, scores = retriever.retrieve([topics[qid] for qid in qids], k=depth)
        for qid, row, values in zip(qids, np.asarray(found), np.asarray(scores), strict=True):
            kept = [
                (doc_ids[number], value)
                for number, value in zip(row.tolist(), values.tolist(), strict=True)
                if number >= 0 and doc_ids[number] not in hidden[qid]
            ]
            run[qid] = kept[:k]
    return canonical({qid: run[qid] for qid in topics})


def _by_extra(hidden: Mapping[str, Collection[str]]) -> dict[int, list[str]]:
    """Group queries by how many more documents to fetch, rounded up to a power of two.

    One query with thousands of exclusions must not deepen the search of all the others, and
    one call per distinct count would be many small calls.
    """
    groups: dict[int, list[str]] = {}
    for qid, documents in hidden.items():
        extra = 1 << (len(documents) - 1).bit_length() if documents else 0
        groups.setdefault(extra, []).append(qid)
    return groups
