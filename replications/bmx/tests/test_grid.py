"""The benchmark grid: what is measured, peers that are absent, PISA's index."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.bmx.experiments import figures, grid, peers, pisa
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.shared.analysis import Tokens
from ir_replications.shared.retrieval.bm25 import BM25

CORPUS = Tokens.from_lists([["a", "b", "a"], [], ["b", "c"], ["a"]])


def test_every_peer_that_is_absent_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    found, absent = peers.installed_peers(CORPUS)
    assert found == {} and set(absent) == set(peers.MAKERS)
    assert all(": pip install " in reason for reason in absent.values())


def test_a_peer_that_cannot_be_loaded_is_absent_and_large_ones_are_not_for_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: Tokens) -> Any:
        raise ImportError("libtbb.so.2: cannot open shared object file\nmore of it")

    makers = {"broken": broken, "rank-bm25": broken, "fine": lambda _: ("fine 1.0", len)}
    monkeypatch.setattr(peers, "MAKERS", makers)
    monkeypatch.setattr(peers, "MOST_DOCUMENTS", 3)
    found, absent = peers.installed_peers(CORPUS)
    assert found == {"fine 1.0": len}
    assert absent == {
        "broken": "cannot be loaded: libtbb.so.2: cannot open shared object file",
        "rank-bm25": "asked up to 3 documents only",
    }


def test_the_grid_asks_every_system_and_names_the_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def search(queries: Any, k: int) -> None:
        asked.append((len(queries), k))

    def absent(_: Tokens) -> Any:
        raise peers.AbsentError("not installed: pip install it")

    makers = {"rank-bm25": lambda _: ("rank-bm25 0", search), "absent": absent}
    monkeypatch.setattr(peers, "MAKERS", makers)
    corpus = zipf_collection(300, vocabulary=500)
    queries = queries_from(corpus, 20)
    found = grid.measure_grid(corpus, queries, depths=(5,), repetitions=2)
    assert set(found["microseconds"]["k=5"]) == {*grid.SYSTEMS, "rank-bm25 0"}
    assert found["absent"] == {"absent": "not installed: pip install it"}
    # one query to see how long it takes; of the first few an unmeasured turn, and one measured with
    # an unmeasured one before it, for it is short
    assert asked == [(1, 10), *[(peers.FEW, 5)] * 3]
    summary = grid.summary(found)
    assert summary["least_ratio"] == found["ratio"]["k=5"]["bm25s"]


def test_absent_peers_stand_in_the_table_of_the_figure() -> None:
    class Record:
        config = {"synthetic": 300, "queries": "short"}  # noqa: RUF012
        facts = {  # noqa: RUF012
            "speed_ratio": {"k=5": {"bm25s": 2.0}},
            "time_microseconds": {"k=5": {"bmx": 1.0, "bm25s": 2.0}},
            "speed_absent": {"tantivy": "not installed: pip install tantivy"},
        }

    figure = figures.grid([Record()], "small")  # type: ignore[list-item]
    assert figure is not None
    assert figure.table[-1][2:4] == ["tantivy", "not installed: pip install tantivy"]


def test_pisa_reads_what_is_written(tmp_path: Path) -> None:
    lexicons = []

    class Module:
        @staticmethod
        def build_binlex(source: str, target: str) -> None:
            lexicons.append((Path(source).name, Path(target).name))

    # "x" is in no document: PISA knows no empty list
    corpus = Tokens(CORPUS.ids, CORPUS.offsets, [*CORPUS.vocab, "x"])
    words = pisa._write(Module, corpus, tmp_path)  # type: ignore[arg-type]
    assert words == {"a": "t00000000", "b": "t00000001", "c": "t00000002"}
    read = {name: np.fromfile(tmp_path / f"inv.{name}", np.uint32).tolist()
            for name in ("docs", "freqs", "sizes")}  # fmt: skip
    assert read == {
        "docs": [1, 4, 2, 0, 3, 2, 0, 2, 1, 2],
        "freqs": [2, 2, 1, 2, 1, 1, 1, 1],
        "sizes": [4, 3, 0, 2, 1],
    }
    assert (tmp_path / "fwd.documents").read_text().split()[-1] == "d00000003"
    assert lexicons == [("fwd.terms", "fwd.termlex"), ("fwd.documents", "fwd.doclex")]


def test_pisa_ranks_as_bm25_does() -> None:
    module = pisa.pisa_module()
    if module is None:
        pytest.skip("needs pyterrier-pisa and tbb: tox -e bench")
    corpus = zipf_collection(500, vocabulary=2000)
    search, ours = pisa.pisa_search(module, corpus), BM25(k1=1.5, b=0.75).index(corpus)
    for query in queries_from(corpus, 10):
        found = ours.retrieve([query[:1]], 5)[1][0]
        found = found[found > 0]
        # one term: its own idf and the factor k1 + 1 are all that differ
        ratio = search([query[:1]], 5) / found
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
