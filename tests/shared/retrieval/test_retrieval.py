"""Search: the right number of results after removals, in canonical order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.retrieval.bm25 import BM25, QuerySideBM25
from ir_replications.shared.retrieval.search import (
    GROUP,
    Retriever,
    _retrievers,
    named_retriever,
    retriever_names,
    search,
)

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


@pytest.mark.parametrize(
    ("doc_ids", "topics", "options", "message"),
    [
        ("ab", {"q": ["x"]}, {}, "document ids: str, expected a list"),
        (None, {"q": ["x"]}, {}, "document ids: NoneType, expected a list"),
        ([1, 2], {"q": ["x"]}, {}, "document id 0 is int, expected a text"),
        (DOC_IDS, [["x"]], {}, "topics: list, expected a mapping by query id"),
        (DOC_IDS, {"q": ["x"]}, {"excluded": ["a"]}, "excluded: list, expected a mapping"),
        (DOC_IDS, {"q": ["x"]}, {"k": "2"}, "k = '2': expected a whole number"),
        (DOC_IDS, {"q": ["x"]}, {"k": 2.5}, "k = 2.5: expected a whole number"),
    ],
)
def test_searches_that_are_none(doc_ids: Any, topics: Any, options: Any, message: str) -> None:
    model = BM25().index([["x"]] * 5)
    with pytest.raises(InputError, match=message):
        search(model, doc_ids, topics, **options)
    assert len(search(model, DOC_IDS, {"q": ["x"]}, k=10**12)["q"]) == 5


# ---- Retrievers by name


def package(folder: Path, name: str, entry_points: str) -> None:
    """An installed package that registers retrievers; what was found before is forgotten."""
    _retrievers.cache_clear()
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages in front of the others."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_retrievers_of_this_package_are_known_by_name() -> None:
    assert {"bm25", "bm25q", "lucene"} <= set(retriever_names())
    model = named_retriever("bm25", method="robertson", k1=0.9)
    assert isinstance(model, BM25)
    assert (model.method, model.k1, model.b) == ("robertson", 0.9, 0.75)
    assert isinstance(named_retriever("bm25q"), QuerySideBM25)
    assert named_retriever("bm25q") is not named_retriever("bm25q")
    for name in set(retriever_names()) - {"lucene"}:
        found, _ = named_retriever(name).index([["y"], ["x"]]).retrieve([["x"]], k=1)
        assert found.tolist() == [[1]], name


def test_another_package_can_add_a_retriever(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "mine_to_search.py").write_text("class Mine:\n    def __init__(self, n): self.n = n\n")
    package(site, "mine", "mine = mine_to_search:Mine")
    try:
        assert "mine" in retriever_names()
        assert named_retriever("mine", n=3).n == 3
    finally:
        sys.modules.pop("mine_to_search", None)


def test_an_older_copy_of_the_metadata_hides_nothing(site: Path) -> None:
    package(site, "ir-replications", "old = ir_replications.shared.retrieval.bm25:BM25")
    assert {"old", "bm25", "bm25q"} <= set(retriever_names())
    assert isinstance(named_retriever("bm25q"), QuerySideBM25)


def test_names_that_give_no_retriever(site: Path) -> None:
    with pytest.raises(InputError, match=r"no retriever named 'bm26'; .* are: bm25, bm25q, "):
        named_retriever("bm26")
    with pytest.raises(InputError, match=r"retriever 'bm25': .*'k3'; correct its options"):
        named_retriever("bm25", k3=1)
    with pytest.raises(InputError, match=r"^k1 = -1: expected"):
        named_retriever("bm25", k1=-1)
    package(
        site,
        "broken",
        "broken = no_such_module:Broken\nempty = ir_replications.shared.retrieval.bm25:Nothing",
    )
    for name in ("broken", "empty"):
        with pytest.raises(MissingDependencyError, match=f"'{name}' .* cannot be loaded: "):
            named_retriever(name)


def test_a_name_that_two_packages_claim_is_refused(site: Path) -> None:
    package(site, "rival", "bm25q = ir_replications.shared.retrieval.bm25:BM25")
    with pytest.raises(InputError, match="claimed by the packages ir-replications, rival; uninst"):
        named_retriever("bm25q")
    package(site, "friend", "bm25 = ir_replications.shared.retrieval.bm25:BM25")
    assert isinstance(named_retriever("bm25"), BM25), "the same retriever twice is no conflict"
