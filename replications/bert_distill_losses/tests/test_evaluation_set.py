"""Candidates as flat couples and back: texts, order, ids, nothing inserted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ir_replications.bert_distill_losses.experiments.evaluation_set import evaluation_set
from ir_replications.bert_distill_losses.tests.training.toy_collections import toy_source
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.reranking import rerank

COLLECTION, SPLIT, RUN = toy_source(queries=3)


def test_couples_are_the_first_candidates_in_order() -> None:
    run = RUN | {"q1": []}
    run["q2"] = [("q0-d1", 9.0), *run["q2"][::-1]]  # a document of two queries
    found = evaluation_set(COLLECTION, SPLIT, run, depth=3)
    ids = [
        (found.qids[q], found.docids[d]) for q, d in zip(found.query, found.document, strict=True)
    ]
    assert ids == [
        ("q0", "q0-d0"), ("q0", "q0-d1"), ("q0", "q0-d2"),
        ("q2", "q2-d0"), ("q2", "q0-d1"), ("q2", "q2-d1"),
    ]  # fmt: skip
    assert len(found) == 6 and len(found.documents) == 5
    texts = dict(zip(COLLECTION.doc_ids, COLLECTION.contents("space"), strict=True))
    assert [texts[docid] for docid in found.docids] == list(found.documents)
    assert found.documents[0] == "title toy text 0 0"
    assert [COLLECTION.queries[qid] for qid in found.qids] == list(found.queries)


def test_scores_by_id_rerank_the_run() -> None:
    found = evaluation_set(COLLECTION, SPLIT, RUN | {"q1": []}, depth=4)
    scores = found.by_id(np.arange(8, dtype=np.float32))
    assert scores["q1"] == {}
    assert scores["q2"] == {"q2-d0": 4.0, "q2-d1": 5.0, "q2-d2": 6.0, "q2-d3": 7.0}
    assert type(scores["q2"]["q2-d0"]) is float
    new = rerank(RUN | {"q1": []}, scores, 4)
    assert [docid for docid, _ in new["q0"][:5]] == ["q0-d3", "q0-d2", "q0-d1", "q0-d0", "q0-d4"]
    assert all("missed" not in docid for by_query in scores.values() for docid in by_query)


def test_chosen_queries() -> None:
    found = evaluation_set(COLLECTION, SPLIT, RUN, depth=2, queries=iter(["q2", "q0"]))
    assert found.qids == ("q2", "q0") and len(found) == 4


def test_scores_that_cannot_be_are_refused() -> None:
    found = evaluation_set(COLLECTION, SPLIT, RUN, depth=2)
    with pytest.raises(InputError, match=r"expected \(6,\)"):
        found.by_id(np.zeros(5))
    scores = np.zeros(6)
    scores[3] = np.nan
    with pytest.raises(InputError, match="query 'q1', document 'q1-d1': score nan"):
        found.by_id(scores)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "dev"}, "no split 'dev'"),
        ({"depth": 0}, "k = 0"),
        ({"queries": ["held"]}, "toy train: no judged query 'held'"),
        ({"run": {}}, "no query has a candidate"),
        ({"run": {"q0": [("x", 1.0)]}}, "not in toy"),
    ],
)
def test_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    wanted: dict[str, Any] = {"split": SPLIT, "run": RUN, "depth": 2} | changes
    with pytest.raises(InputError, match=message) as caught:
        evaluation_set(COLLECTION, **wanted)
    assert "\n" not in str(caught.value)
