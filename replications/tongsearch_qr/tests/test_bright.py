"""BRIGHT's protocol on small folders, from files to records, with answers worked by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ir_replications.engine import registry
from ir_replications.engine.context import Context
from ir_replications.engine.execute import run_job
from ir_replications.engine.experiment import Plan
from ir_replications.engine.jobs import Job
from ir_replications.reports.records.store import Store
from ir_replications.shared.data import pinned
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.search import named_retriever
from ir_replications.tongsearch_qr.experiments import bright, e2_bright, e3_proxy
from ir_replications.tongsearch_qr.experiments.e2_bright import FIXED_MEASURE, WITHOUT_EXCLUSIONS
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY
from ir_replications.tongsearch_qr.tests.bright_example import (
    EXAMPLES,
    SECOND,
    write_lines,
    write_root,
)
from tests.cli import Replicate, forget


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with two BRIGHT folders."""
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IR_REPLICATIONS_DATA", raising=False)
    return write_root(tmp_path / "root")


@pytest.fixture
def replicate(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Replicate]:
    """The command line with the two experiments of this file as the whole paper."""
    both = (e2_bright.EXPERIMENT, e3_proxy.EXPERIMENT)
    collections = {"embedded": ("pydocs",), "small": (PROXY,), "paper": e2_bright.COLLECTIONS}
    module = SimpleNamespace(EXPERIMENTS=both, COLLECTIONS=collections)
    monkeypatch.setitem(sys.modules, "ir_replications.tongsearch_qr.experiments.registry", module)
    monkeypatch.setattr(registry, "papers", lambda: ["tongsearch_qr"])
    monkeypatch.chdir(root.parent)
    yield Replicate(capsys)
    forget()


def cell(collection: str, queries: str = "original", system: str = "bm25q") -> dict[str, Any]:
    configs = e2_bright.cells(Plan("paper", e2_bright.COLLECTIONS))
    (found,) = (
        c for c in configs
        if (c["collection"], c["queries"], c["system"]) == (collection, queries, system)
    )  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("collection", "queries", "original", "fixed"),
    [
        # "0" finds b/1 alone; where b/1 is gold, b/3 is missed: 1 / (1 + 1 / log2 3)
        ("bright/biology", "original", (0 + 1) / 2, (1 / (1 + SECOND) + 1) / 2),
        # "0" finds b/3 alone
        ("bright/biology", "tongsearch-qr-7b", 1.0, (1 / (1 + SECOND) + 1) / 2),
        ("bright/leetcode", "original", 1.0, 1.0),
        ("bright/leetcode", "tongsearch-qr-1.5b", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("system", ["bm25q", "bm25", "bmx"])
def test_scores_worked_by_hand(
    root: Path, system: str, collection: str, queries: str, original: float, fixed: float
) -> None:
    outcome = e2_bright.run(cell(collection, queries, system), Context(root, download=False))
    assert outcome.scores is not None
    assert outcome.scores.means["nDCG@10"] == pytest.approx(original)
    assert outcome.scores.means[FIXED_MEASURE] == pytest.approx(fixed)
    assert (outcome.run is not None) == (system == "bm25q")


def test_without_the_exclusions_the_scores_differ(root: Path) -> None:
    outcome = e2_bright.run(cell("bright/leetcode"), Context(root))
    assert outcome.scores is not None and outcome.run is not None
    assert outcome.run["0"] == [("l/2", pytest.approx(outcome.run["0"][0][1]))]
    assert outcome.scores.means["nDCG@10"] == 1.0
    assert outcome.scores.means[WITHOUT_EXCLUSIONS] == pytest.approx(SECOND)
    assert outcome.facts["excluded"] == 1, "of two excluded ids one is a document"
    assert outcome.facts["queries_with_exclusions"] == 1
    biology = e2_bright.run(cell("bright/biology"), Context(root))
    assert biology.scores is not None
    assert WITHOUT_EXCLUSIONS not in biology.scores.means, "N/A excludes nothing"
    assert biology.facts["documents"] == 3
    assert biology.facts["queries"] == 2


def test_an_engine_that_takes_texts_follows_the_same_rules() -> None:
    class Fixed:
        depths: list[int] = []  # noqa: RUF012

        def search(self, topics: Mapping[str, str], k: int = 100) -> dict[str, list[Any]]:
            self.depths.append(k)
            return {qid: [(f"d{i}", 9.0 - i) for i in range(5)][:k] for qid in topics}

    engine = Fixed()
    run = bright.search_texts(engine, {"a": "x", "b": "y"}, {"b": frozenset({"d0", "d2"})})
    assert [docid for docid, _ in run["a"]] == ["d0", "d1", "d2", "d3", "d4"]
    assert [docid for docid, _ in run["b"]] == ["d1", "d3", "d4"]
    assert engine.depths == [1000, 1002]


def test_lucene_gets_the_collection_and_the_texts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lucene:
        def __init__(self, name: str, **options: float) -> None:
            assert (name, options) == ("lucene", {"k1": 0.9, "b": 0.4})
            self.open = True

        def index(self, collection: Any, title: str) -> Lucene:
            assert (collection.id, title) == ("bright/leetcode", "omit")
            return self

        def search(self, topics: Mapping[str, str], k: int = 100) -> dict[str, list[Any]]:
            assert self.open and topics == {"0": "Two Sum"}
            return {"0": [("l/1", 2.0), ("l/2", 1.0)]}

        def close(self) -> None:
            self.open = False

    monkeypatch.setattr(e2_bright, "named_retriever", Lucene)
    outcome = e2_bright.run({**cell("bright/leetcode"), "system": "lucene"}, Context(root))
    assert outcome.scores is not None
    assert outcome.scores.means["nDCG@10"] == 1.0
    assert outcome.scores.means[WITHOUT_EXCLUSIONS] == pytest.approx(SECOND)


def test_cells_of_the_paper_tier() -> None:
    configs = e2_bright.cells(Plan("paper", (*e2_bright.COLLECTIONS, "beir/scifact")))
    assert {c["collection"] for c in configs} == set(e2_bright.COLLECTIONS)
    own = [c for c in configs if c["collection"] == "bright/pony" and c["system"] != "lucene"]
    assert len(own) == 3 * 3 + 5
    assert e2_bright.cells(Plan("embedded", ("pydocs",))) == []
    assert all(pinned(name) for name in e2_bright.COLLECTIONS)
    chosen = e2_bright.cells(Plan("small", ("local/mine",), chosen=True))
    assert {c["queries"] for c in chosen} == {"original"}
    for config in configs:
        assert all(config[key] == v for key, v in bright.SYSTEMS[config["system"]].items())


def test_systems_are_the_ones_of_the_reference() -> None:
    model = named_retriever("bm25q", **bright.SYSTEMS["bm25q"])
    assert (model.k1, model.b) == (0.9, 0.4)
    assert bright.mean_of_subsets(dict.fromkeys(bright.SUBSETS, 0.25)) == 0.25
    with pytest.raises(InputError, match="no value for pony"):
        bright.mean_of_subsets({s: 1.0 for s in bright.SUBSETS if s != "pony"})
    with pytest.raises(InputError, match="unknown moon"):
        bright.mean_of_subsets(dict.fromkeys((*bright.SUBSETS, "moon"), 1.0))


# ---- The command line


def test_the_whole_path(replicate: Replicate, root: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    result = replicate(
        "run", "tongsearch_qr", "--tier", "paper", "--experiment", "E2",
        "--data-root", root, "--store", store, "--no-download",
    )  # fmt: skip
    assert result.status == 0, result
    assert "10 collections are not at hand (bright/earth_science" in result.err
    records = Store(store).records("tongsearch_qr", "paper")
    kept = [r for r in records if r.config["system"] != "lucene"]
    assert len(kept) == 2 * (3 * 3 + 5)
    assert {r.status for r in kept} == {"ok"}
    assert len({r.facts["queries_sha256"] for r in kept}) == 4
    assert sum(r.run is not None for r in kept) == 2 * 8
    for record in kept:
        assert record.provenance["data_mismatch"], "three documents are not the benchmark"


def test_the_dry_run_tells_the_downloads(replicate: Replicate, tmp_path: Path) -> None:
    result = replicate("run", "tongsearch_qr", "--tier", "paper", "--experiment", "E2", "--dry-run")
    assert result.status == 0
    assert "collection bright/leetcode: 413,932 documents, 142 queries" in result.out
    assert "downloads: about 470 MB" in result.out
    assert not (tmp_path / "cache").exists()


def _without_corpus(folder: Path) -> None:
    (folder / "documents" / "part.jsonl").unlink()


def _gold_excluded(folder: Path) -> None:
    rows = [{**row, "excluded_ids": row["gold_ids"]} for row in EXAMPLES["biology"]]
    write_lines(folder / "examples.jsonl", rows)


def _reasoned_lacks_one(folder: Path) -> None:
    write_lines(folder / "reasoned" / "tongsearch-qr-7b.jsonl", [{"_id": "0", "text": "moth"}])


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("bright/astronomy", None, "bright/astronomy: no such folder, not in the data root"),
        ("bright/biology", _without_corpus, "the corpus of bright/biology is missing; run `repl"),
        ("bright/biology", _gold_excluded, "examples.jsonl:1: document 'b/3' is both gold and exc"),
        ("bright/biology", _reasoned_lacks_one, "no reasoned query for 1 of 2 queries: '1';"),
    ],
)
def test_bad_input_is_one_line(
    replicate: Replicate,
    root: Path,
    name: str,
    damage: Callable[[Path], None] | None,
    message: str,
) -> None:
    if damage:
        damage(root / name)
    line = replicate.refused(
        "run", "tongsearch_qr", "--tier", "paper", "--experiment", "E2", "--collection", name,
        "--data-root", root, "--store", root.parent / "store", "--no-download",
    )  # fmt: skip
    assert message in line


def test_absent_reasoned_queries_cost_their_own_cells_only(
    replicate: Replicate, root: Path
) -> None:
    (root / "bright/biology/reasoned/gpt-4.jsonl").unlink()
    result = replicate(
        "run", "tongsearch_qr", "--tier", "paper", "--experiment", "E2",
        "--collection", "bright/biology", "--data-root", root, "--store", root.parent / "store",
        "--no-download",
    )  # fmt: skip
    failed = [line for line in result.err.splitlines() if line.startswith("failed: ")]
    assert result.status == 1
    assert len(failed) == 1
    assert "no reasoned queries 'gpt-4'; put them at" in failed[0]


def test_a_folder_of_ones_own(replicate: Replicate, root: Path) -> None:
    result = replicate(
        "run", "tongsearch_qr", "--experiment", "E2", "--collection", "root/bright/biology",
        "--store", root.parent / "store",
    )  # fmt: skip
    assert result.status == 0, result
    assert "recorded as local/biology" in result.err
    (record, *_) = Store(root.parent / "store").records("tongsearch_qr", "small")
    assert record.config["collection"] == "local/biology"


def test_a_record_is_kept_until_its_queries_change(
    replicate: Replicate, root: Path, tmp_path: Path
) -> None:
    job = Job("tongsearch_qr", "small", "E2", cell("bright/biology", "tongsearch-qr-7b"))
    first, reused = run_job(job, tmp_path / "store", data_root=root)
    again, reused_again = run_job(job, tmp_path / "store", data_root=root)
    assert (reused, reused_again) == (False, True)
    assert first.digest == again.digest
    assert first.means["nDCG@10"] == 1.0
    file = "bright/biology/reasoned/tongsearch-qr-7b.jsonl"
    assert set(first.provenance["data"]) == {"bright/biology", f"files:{file}"}
    write_lines(root / file, [{"_id": "0", "text": "kidneys"}, {"_id": "1", "text": "lamp"}])
    other, reused = run_job(job, tmp_path / "store", data_root=root)
    assert not reused
    assert other.means["nDCG@10"] == 0.0
