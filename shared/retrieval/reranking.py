"""Reranking: candidates of a first stage, their new order, and the best order there could be.

A reranker scores the first k results of each query. They are permuted by its scores, ties in
first-stage order, and whatever was below them stays below in first-stage order: recall at k and
beyond is the first stage's. First-stage order is canonical order (shared.retrieval.runs).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ir_replications.shared.analysis import Tokens, corpus_tokens, tokenize_queries
from ir_replications.shared.data.collection import Collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import Qrels
from ir_replications.shared.retrieval.lucene import LuceneBM25, search_without
from ir_replications.shared.retrieval.runs import Run, canonical, read_run
from ir_replications.shared.retrieval.search import named_retriever, search


class Ranked(NamedTuple):
    """A document in its new place: its number among those given (from 0), its score, its text."""

    number: int
    score: float
    document: str


def by_score(documents: Sequence[str], scores: Sequence[float]) -> list[Ranked]:
    """The documents, the best first; ties as they were given."""
    order = sorted(range(len(documents)), key=lambda i: -float(scores[i]))
    return [Ranked(i, float(scores[i]), documents[i]) for i in order]


def checked_documents(documents: Sequence[str]) -> Sequence[str]:
    """The documents; InputError for one text in the place of a list, and for what is no text."""
    if isinstance(documents, str) or not isinstance(documents, Sequence):
        raise InputError(f"documents: {type(documents).__name__}, expected a list of texts")
    for number, text in enumerate(documents):
        if not isinstance(text, str):
            raise InputError(f"document {number} is {type(text).__name__}, expected a text")
    return documents


RerankerScores = Mapping[str, Mapping[str, float]]
"""Query id -> document id -> score; at least those of the candidates."""


def first_stage(
    collection: Collection,
    split: str,
    retriever: str,
    k: int = 100,
    *,
    analyzer: str = "lucene",
    title: str = "space",
    tokens: Tokens | None = None,
    drop_own_id: bool = True,
    **options: Any,
) -> Run:
    """Search a split's queries with a retriever by name (search.py) made with `options`.

    The `k` best documents per query, in canonical order, without the query's own id unless
    `drop_own_id` is false, and without the collection's excluded documents; more are fetched
    first. `tokens` are the analysed documents where the caller has them; otherwise they come from
    the token cache. "lucene" analyses by itself, so `analyzer` and `tokens` do not apply to it.
    Raises InputError for an unknown split, retriever, option, analyzer or title mode.
    """
    _check_depth(k)
    topics = collection.topics(split)
    engine = named_retriever(retriever, **options)
    if isinstance(engine, LuceneBM25):
        return _search_texts(engine.index(collection, title), collection, topics, k, drop_own_id)
    engine.index(corpus_tokens(collection, analyzer, title) if tokens is None else tokens)
    analysed = tokenize_queries(list(topics.values()), analyzer)
    return search(
        engine,
        collection.doc_ids,
        dict(zip(topics, analysed, strict=True)),
        k,
        drop_own_id=drop_own_id,
        excluded=collection.excluded,
    )


def _search_texts(
    engine: LuceneBM25, collection: Collection, topics: Mapping[str, str], k: int, own: bool
) -> Run:
    try:
        run: Run = {}
        for qid, text in topics.items():
            hidden = set(collection.excluded.get(qid, ())) | ({qid} if own else set())
            run[qid] = search_without(engine, qid, text, k, hidden)
        return run
    finally:
        engine.close()


def read_first_stage(
    path: Path | str, collection: Collection, split: str, *, drop_own_id: bool = True
) -> Run:
    """Read any TREC run file as the first stage of a split's queries.

    Queries of other splits are left out, queries without results get an empty list, and the
    order is `runs.read_run`'s. Raises InputError, beginning with the path, for ids that
    the collection does not have (the first three and their number) and when no query of the split
    has a result.
    """
    run = read_run(path)
    check_ids(run, collection, where=str(path))
    found = {qid: run.get(qid, []) for qid in collection.topics(split)}
    if not any(found.values()):
        raise InputError(f"{path}: no result for any query of split {split!r} of {collection.id}")
    return without_own(found) if drop_own_id else found


def check_ids(run: Run, collection: Collection, *, where: str = "first stage") -> None:
    """Raise InputError when the run names documents or queries that the collection lacks."""
    documents = set(collection.doc_ids)
    named = dict.fromkeys(docid for results in run.values() for docid, _ in results)
    for kind, unknown in (
        ("document", [docid for docid in named if docid not in documents]),
        ("query", [qid for qid in run if qid not in collection.queries]),
    ):
        if unknown:
            shown = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
            raise InputError(
                f"{where}: {len(unknown)} {kind} ids are not in {collection.id}: {shown}; "
                "give a run of this collection"
            )


def without_own(run: Run) -> Run:
    """The run without results whose id is the query's (ArguAna, PyDocs: the query is a document).

    A run cut at k before this has k - 1 results left for such queries; `first_stage` fetches one
    more.
    """
    return {qid: [result for result in results if result[0] != qid] for qid, results in run.items()}


def candidates(run: Run, k: int) -> dict[str, list[str]]:
    """Ids of the first `k` results of each query, in first-stage order."""
    _check_depth(k)
    return {qid: [docid for docid, _ in found[:k]] for qid, found in canonical(run).items()}


def rerank(run: Run, scores: RerankerScores, k: int) -> Run:
    """The run with the first `k` results of each query in the order of `scores`, best first.

    Ties keep first-stage order. The run's new scores strictly decrease, so that its canonical
    order is this one: a reranked document has its own score, or one float64 step less than the
    document above it where they tie, and the documents below count down from there. Scores of
    other documents and queries are ignored. Raises InputError when a candidate has no score or
    one that is not finite.
    """
    _check_depth(k)
    return {
        qid: _decreasing(_permuted(qid, found, scores.get(qid, {}), k))
        for qid, found in canonical(run).items()
    }


def oracle(run: Run, qrels: Qrels, k: int) -> Run:
    """The run with its first `k` results in the order of their grades: the best reranking.

    No permutation of the first k has a higher nDCG, at any cut-off. Documents and queries without
    a judgement, and grades below 0, count as 0.
    """
    found = candidates(run, k)
    grades: dict[str, dict[str, float]] = {}
    for qid, docids in found.items():
        judged = qrels.get(qid, {})
        grades[qid] = {docid: float(max(judged.get(docid, 0), 0)) for docid in docids}
    return rerank(run, grades, k)


def tied_shares(run: Run, scores: RerankerScores, k: int) -> dict[str, float]:
    """Share of candidate pairs of each query that `scores` leaves tied, 0 to 1.

    1 where a reranker cannot tell any two candidates apart; 0 for fewer than two candidates.
    Measured here on the scores, because the runs that `rerank` returns have no ties.
    """
    shares = {}
    for qid, docids in candidates(run, k).items():
        counts = Counter(_score(qid, docid, scores.get(qid, {})) for docid in docids)
        pairs = math.comb(len(docids), 2)
        shares[qid] = sum(math.comb(n, 2) for n in counts.values()) / pairs if pairs else 0.0
    return shares


def _permuted(
    qid: str, found: Sequence[tuple[str, float]], scores: Mapping[str, float], k: int
) -> list[tuple[str, float]]:
    head = [(docid, _score(qid, docid, scores)) for docid, _ in found[:k]]
    head.sort(key=lambda result: -result[1])  # stable: ties stay in first-stage order
    below = head[-1][1] if head else 0.0
    tail = [(docid, below - rank) for rank, (docid, _) in enumerate(found[k:], start=1)]
    return head + tail


def _score(qid: str, docid: str, scores: Mapping[str, float]) -> float:
    if docid not in scores:
        raise InputError(
            f"query {qid!r}: candidate {docid!r} has no score; score every candidate first"
        )
    score = float(scores[docid])
    if not math.isfinite(score):
        raise InputError(
            f"query {qid!r}, document {docid!r}: the reranker's score is {score}; check the model"
        )
    return score


def _decreasing(results: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """The results with each score lowered just enough to be below the one before it."""
    lowered: list[tuple[str, float]] = []
    limit = math.inf
    for docid, score in results:
        limit = min(score, math.nextafter(limit, -math.inf))
        lowered.append((docid, limit))
    return lowered


def _check_depth(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k = {k!r}: expected a whole number of at least 1")
