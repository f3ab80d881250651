"""The candidates of test queries as flat arrays of couples, and flat scores back by id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.reranking import RerankerScores, candidates, check_ids
from ir_replications.shared.retrieval.runs import Run


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationSet:
    """n (query, document) couples, query by query, best candidate of the first stage first.

    `query` and `document` (n,) int32 index the texts `queries` and `documents`, and so their ids
    `qids` and `docids`. Queries without candidates have no couple.
    """

    qids: tuple[str, ...]
    docids: tuple[str, ...]
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    query: np.ndarray
    document: np.ndarray

    def __len__(self) -> int:
        return len(self.query)

    def by_id(self, scores: np.ndarray) -> RerankerScores:
        """Flat scores (n,) by query id and document id; every query is there.

        Raises InputError for another length and for a score that is not finite.
        """
        scores = np.asarray(scores)
        if scores.shape != self.query.shape:
            raise InputError(f"scores {scores.shape}: expected {self.query.shape}, one per couple")
        wrong = np.flatnonzero(~np.isfinite(scores))
        if wrong.size:
            row = wrong[0]
            raise InputError(
                f"query {self.qids[self.query[row]]!r}, document "
                f"{self.docids[self.document[row]]!r}: score {scores[row]}; check the model"
            )
        found: dict[str, dict[str, float]] = {qid: {} for qid in self.qids}
        for q, d, score in zip(self.query, self.document, scores.tolist(), strict=True):
            found[self.qids[q]][self.docids[d]] = score
        return found


def evaluation_set(
    collection: Collection,
    split: str,
    run: Run,
    *,
    depth: int,
    queries: Iterable[str] | None = None,
) -> EvaluationSet:
    """The first `depth` candidates of a split's queries, or of the `queries` chosen, by id.

    Nothing is added: a relevant document that the first stage missed has no couple. Texts are
    title and text joined by a space. Raises InputError for an unknown split or id, a depth below
    1, and when no query has a candidate.
    """
    topics = collection.topics(split)
    chosen = list(topics if queries is None else dict.fromkeys(queries))
    if unknown := [qid for qid in chosen if qid not in topics]:
        raise InputError(f"{collection.id} {split}: no judged query {unknown[0]!r}")
    wanted = {qid: run.get(qid, []) for qid in chosen}
    check_ids(wanted, collection)
    found = candidates(wanted, depth)
    place: dict[str, int] = {}
    query, document = [], []
    for number, docids in enumerate(found.values()):
        query += [number] * len(docids)
        document += [place.setdefault(docid, len(place)) for docid in docids]
    if not query:
        raise InputError(f"{collection.id} {split}: no query has a candidate; check the run")
    texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
    return EvaluationSet(
        qids=tuple(found),
        docids=tuple(place),
        queries=tuple(topics[qid] for qid in found),
        documents=tuple(texts[docid] for docid in place),
        query=np.array(query, np.int32),
        document=np.array(document, np.int32),
    )
