"""A small BEIR folder, and a cache of its own for every test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPUS = """\
{"_id": "d2", "title": "Wings", "text": "lift of a wing"}
{"_id": "d1", "title": "", "text": "heat of a body"}
{"_id": "d10", "text": "flow past a plate"}
"""
QUERIES = """\
{"_id": "q2", "text": "lift"}
{"_id": "q1", "text": "heat flow"}
"""
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td10\t1\nq2\td2\t1\n"


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IR_REPLICATIONS_DATA", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


def write_folder(path: Path, *, qrels: str = QRELS) -> Path:
    (path / "qrels").mkdir(parents=True)
    (path / "corpus.jsonl").write_text(CORPUS, encoding="utf-8")
    (path / "queries.jsonl").write_text(QUERIES, encoding="utf-8")
    (path / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return path
