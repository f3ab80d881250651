"""First stages of rerankers: searched, read from a run file, and the anchors they must meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pytest

import ir_replications.shared.retrieval.reranking
from ir_replications.shared.analysis import tokenize
from ir_replications.shared.data import Collection, load_collection, make_collection
from ir_replications.shared.data.pools import pool_qrels, pools
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.lucene import LuceneBM25
from ir_replications.shared.retrieval.reranking import (
    check_ids,
    first_stage,
    oracle,
    read_first_stage,
    without_own,
)
from ir_replications.shared.retrieval.runs import Run


def ids(run: Run, qid: str = "q") -> list[str]:
    return [docid for docid, _ in run[qid]]


@pytest.fixture
def collection() -> Collection:
    texts = {"a": "x x x", "b": "x x y", "c": "x y y", "d": "z"}
    return make_collection(
        "toy",
        {docid: ("", text) for docid, text in texts.items()},
        {"b": "x", "q": "x y", "train": "z"},
        {"test": {"b": {"a": 1}, "q": {"c": 1}}, "train": {"train": {"d": 1}}},
        excluded={"q": {"b"}},
    )


def test_first_stage_searches_the_split(collection: Collection) -> None:
    tokens = tokenize(collection.contents("space"), "lucene")
    run = first_stage(collection, "test", "bm25", 2, tokens=tokens, k1=0.9, b=0.4)
    assert {qid: ids(run, qid) for qid in run} == {"b": ["a", "c"], "q": ["c", "a"]}
    whole = first_stage(collection, "test", "bm25", 2, tokens=tokens, drop_own_id=False)
    assert ids(whole, "b") == ["a", "b"]
    assert ids(first_stage(collection, "train", "bm25", 2, tokens=tokens), "train") == ["d"]


def test_first_stage_finds_its_tokens_and_passes_options(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path))
    tokens = tokenize(collection.contents("omit"), "bm25s")
    expected = first_stage(collection, "test", "bm25", tokens=tokens, analyzer="bm25s", k1=3.0)
    found = first_stage(collection, "test", "bm25", analyzer="bm25s", title="omit", k1=3.0)
    assert found == expected != first_stage(collection, "test", "bm25", k1=0.1)
    assert list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "dev"}, "toy: no split 'dev'"),
        ({"retriever": "nothing"}, "no retriever named 'nothing'"),
        ({"k": 0}, "k = 0"),
        ({"k3": 1.0}, "correct its options"),
        ({"analyzer": "nothing"}, "nothing"),
        ({"title": "above"}, "title mode 'above'"),
    ],
)
def test_first_stage_refuses(collection: Collection, changes: dict, message: str) -> None:
    options = {"split": "test", "retriever": "bm25", "k": 3} | changes
    with pytest.raises(InputError, match=message):
        first_stage(collection, **options)


class TextEngine(LuceneBM25):
    """Lucene's part played by a list: every query finds all documents, best first."""

    closed = False

    def index(self, collection: Collection, title: str = "space") -> Self:
        self.doc_ids = collection.doc_ids
        return self

    def search(self, topics: Any, k: int = 100) -> Run:
        found = [(docid, -float(i)) for i, docid in enumerate(self.doc_ids[:k])]
        return dict.fromkeys(topics, found)

    def close(self) -> None:
        self.closed = True


def test_an_engine_that_takes_texts(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TextEngine()
    monkeypatch.setattr(
        ir_replications.shared.retrieval.reranking, "named_retriever", lambda name: engine
    )
    run = first_stage(collection, "test", "lucene", 2)
    assert {qid: ids(run, qid) for qid in run} == {"b": ["a", "c"], "q": ["a", "c"]}
    assert engine.closed
    whole = first_stage(collection, "test", "lucene", 2, drop_own_id=False)
    assert ids(whole, "b") == ["a", "b"]


def test_a_run_file_as_first_stage(collection: Collection, tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text(
        "b Q0 c 1 2.0 t\nb Q0 b 2 1.5 t\nb Q0 a 3 1.0 t\ntrain Q0 d 1 1.0 t\n", encoding="utf-8"
    )
    assert read_first_stage(path, collection, "test") == {
        "b": [("c", 2.0), ("a", 1.0)],
        "q": [],
    }
    kept = read_first_stage(path, collection, "test", drop_own_id=False)
    assert ids(kept, "b") == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["b Q0 w", "b Q0 x", "b Q0 y", "b Q0 z"],
         r"4 document ids are not in toy: 'w', 'x', 'y', \.\.\.; give a run of this collection"),
        (["b Q0 a", "b Q0 x", "q Q0 x"], "1 document ids are not in toy: 'x'; give"),
        (["b Q0 a", "r Q0 a", "s Q0 a"], "2 query ids are not in toy: 'r', 's'; give"),
        (["train Q0 a"], "no result for any query of split 'test' of toy"),
    ],
)  # fmt: skip
def test_run_files_of_other_collections_are_refused(
    collection: Collection, tmp_path: Path, rows: list[str], message: str
) -> None:
    path = tmp_path / "run.txt"
    path.write_text("".join(f"{row} 1 1.0 t\n" for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_first_stage(path, collection, "test")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_run_is_refused_with_its_line(
    collection: Collection, tmp_path: Path
) -> None:
    path = tmp_path / "run.txt"
    path.write_text("b Q0 a 1 1.0 t\nb Q0 c\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.txt:2: 3 columns found"):
        read_first_stage(path, collection, "test")


def test_known_ids_pass(collection: Collection) -> None:
    check_ids({"q": [("a", 1.0)], "train": []}, collection)


def test_only_the_querys_own_document_is_removed() -> None:
    run = {"a": [("b", 2.0), ("a", 1.0)], "b": [("a", 1.0)]}
    assert without_own(run) == {"a": [("b", 2.0)], "b": [("a", 1.0)]}


# ---- Anchors on real collections


def test_nfcorpus_anchors(data_root: Path) -> None:
    """BM25 .318, R@100 .2457 and the best reranking of its top 100 .543, measured elsewhere."""
    if not (data_root / "beir" / "nfcorpus").is_dir():
        pytest.skip("no beir/nfcorpus in the data root")
    nfcorpus = load_collection("beir/nfcorpus", data_root=data_root)
    run = first_stage(nfcorpus, "test", "bm25", 100, analyzer="bm25s", k1=0.9, b=0.4)
    qrels = nfcorpus.qrels["test"]
    found = evaluate(run, qrels, ["nDCG@10", "R@100"]).means
    assert found["nDCG@10"] == pytest.approx(0.3181, abs=5e-5)
    assert found["R@100"] == pytest.approx(0.2457, abs=5e-5)
    assert sum(not results for results in run.values()) == 15
    best = {k: evaluate(oracle(run, qrels, k), qrels, ["nDCG@10"]).means["nDCG@10"]
            for k in (10, 20, 50, 100)}  # fmt: skip
    assert best[100] == pytest.approx(0.5434, abs=5e-5)
    assert sorted(best.values()) == list(best.values())


def test_dl19_pool_anchors(data_root: Path) -> None:
    """The stored BM25 run under all of NIST's judgements: .5058."""
    folder = data_root / "rerank" / "dl19"
    if not folder.is_dir():
        pytest.skip("no rerank/dl19 in the data root")
    dl19 = load_collection("rerank/dl19", data_root=data_root)
    found = pools(folder)
    for run in found.values():
        check_ids(run, dl19)
    qrels = pool_qrels(folder)
    assert evaluate(found["BM25"], qrels, ["nDCG@10"]).means["nDCG@10"] == pytest.approx(
        0.5058, abs=5e-5
    )
    limited = evaluate(found["BM25"], dl19.qrels["test"], ["nDCG@10"]).means["nDCG@10"]
    assert limited > 0.5065, "the judgements of the corpus alone flatter a run"
