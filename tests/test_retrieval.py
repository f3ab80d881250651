"""Search: the right number of results after removals, in canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest

from shared.analysis import Tokens
from shared.errors import InputError
from shared.retrieval import Retriever, search

DOC_IDS = ["a", "b", "c", "d", "e"]


class TermCount:
    """Scores a document by how often it holds the query's terms."""

    def __init__(self) -> None:
        self.documents: list[list[str]] = []
        self.depths: list[int] = []

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        self.documents = [list(corpus[i]) for i in range(len(corpus))]
        return self

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        return np.array([sum(d.count(t) for t in query) for d in self.documents], dtype=float)

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        self.depths.append(k)
        found = np.full((len(queries), k), -1)
        values = np.zeros((len(queries), k))
        for row, query in enumerate(queries):
            scores = self.get_scores(query)
            best = [i for i in np.argsort(-scores, kind="stable") if scores[i] > 0][:k]
            found[row, : len(best)] = best
            values[row, : len(best)] = scores[best]
        return found, values


@pytest.fixture
def retriever() -> Retriever:
    corpus = [["x"], ["x", "x"], ["x"], ["y"], ["x", "y", "y"]]
    return TermCount().index(corpus)


def test_results_are_canonical_and_hold_only_matching_documents(retriever: Retriever) -> None:
    run = search(retriever, DOC_IDS, {"q1": ["x"], "q2": ["y"], "q3": ["z"]}, k=10)
    assert run == {
        "q1": [("b", 2.0), ("a", 1.0), ("c", 1.0), ("e", 1.0)],
        "q2": [("e", 2.0), ("d", 1.0)],
        "q3": [],
    }


def test_k_results_are_left_after_the_own_id_is_dropped(retriever: Retriever) -> None:
    assert search(retriever, DOC_IDS, {"b": ["x"]}, k=2) == {"b": [("a", 1.0), ("c", 1.0)]}


def test_the_own_id_stays_when_asked(retriever: Retriever) -> None:
    run = search(retriever, DOC_IDS, {"b": ["x"]}, k=2, drop_own_id=False)
    assert run == {"b": [("b", 2.0), ("a", 1.0)]}


def test_excluded_documents_are_replaced_by_the_next_best(retriever: Retriever) -> None:
    run = search(
        retriever,
        DOC_IDS,
        {"q1": ["x"], "a": ["x"], "q2": ["x"]},
        k=2,
        excluded={"q1": frozenset({"b", "a", "unknown"}), "a": frozenset({"b"})},
    )
    assert run == {
        "q1": [("c", 1.0), ("e", 1.0)],
        "a": [("c", 1.0), ("e", 1.0)],
        "q2": [("b", 2.0), ("a", 1.0)],
    }
    assert list(run) == ["q1", "a", "q2"], "in the order of the topics"


def test_a_query_with_many_exclusions_does_not_deepen_the_search_of_others() -> None:
    retriever = TermCount().index([["x"]] * 200)
    doc_ids = [f"d{i:03}" for i in range(200)]
    topics = {f"q{i}": ["x"] for i in range(5)}
    run = search(retriever, doc_ids, topics, k=3, excluded={"q4": frozenset(doc_ids[:150])})
    assert sorted(retriever.depths) == [3, 200]
    assert [docid for docid, _ in run["q4"]] == ["d150", "d151", "d152"]
    assert [docid for docid, _ in run["q0"]] == ["d000", "d001", "d002"]


def test_k_beyond_the_corpus_is_not_asked_of_the_retriever() -> None:
    retriever = TermCount().index([["x"], ["x"]])
    run = search(retriever, ["a", "b"], {"q": ["x"]}, k=1000)
    assert retriever.depths == [2]
    assert len(run["q"]) == 2


@pytest.mark.parametrize("doc_ids", [["b", "a"], ["a", "a"]])
def test_unsorted_or_repeated_document_ids_are_refused(doc_ids: list[str]) -> None:
    retriever = TermCount().index([["x"], ["x"]])
    with pytest.raises(InputError, match="sorted ascending"):
        search(retriever, doc_ids, {"q": ["x"]})


def test_k_must_be_positive(retriever: Retriever) -> None:
    with pytest.raises(InputError, match="k = 0"):
        search(retriever, DOC_IDS, {"q": ["x"]}, k=0)
