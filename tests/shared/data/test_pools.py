"""Candidate pools: what is read, and the line that every fault is reported on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.data.pools import pool_qrels, pools, read_pool
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import canonical, read_run, write_run


def line(qid: str, *candidates: tuple[str, float], **changes: Any) -> str:
    rows = [
        {"docid": docid, "rank": rank, "score": score} | changes
        for rank, (docid, score) in enumerate(candidates, start=1)
    ]
    return json.dumps({"qid": qid, "query": "words", "candidates": rows}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.BM25.jsonl"


def test_ranks_decide_where_stored_scores_tie(path: Path, tmp_path: Path) -> None:
    path.write_text(line("q2", ("c", 0.85), ("b", 0.85), ("a", 0.85), ("d", 0)) + line("q1"))
    run = read_pool(path)
    assert list(run) == ["q2", "q1"]
    assert [docid for docid, _ in run["q2"]] == ["c", "b", "a", "d"]
    assert canonical(run) == run
    assert run["q2"][0][1] == 0.85
    assert run["q2"][3] == ("d", 0.0)
    write_run(tmp_path / "run.txt", run, "pool")
    assert [docid for docid, _ in read_run(tmp_path / "run.txt")["q2"]] == ["c", "b", "a", "d"]


def test_all_pools_of_a_folder_by_name(tmp_path: Path) -> None:
    (tmp_path / "run.B.jsonl.gz").write_bytes(gzip.compress(line("q", ("b", 1.0)).encode()))
    (tmp_path / "run.A_x.1.jsonl").write_text(line("q", ("a", 1.0)))
    (tmp_path / "run.notes.jsonl.bak").write_text("not read")
    assert pools(tmp_path) == {"A_x.1": {"q": [("a", 1.0)]}, "B": {"q": [("b", 1.0)]}}
    (tmp_path / "run.B.jsonl").write_text(line("q", ("b", 1.0)))
    with pytest.raises(InputError, match=r"pool 'B' is there twice; remove the \.jsonl or"):
        pools(tmp_path)


def test_a_folder_without_pools(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no pools; expected files named run\.<name>\.jsonl"):
        pools(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        pools(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "malformed JSON"),
        ("[]", "expected a JSON object"),
        ('{"candidates": []}', 'expected {"qid": "...", "candidates": \\[{"docid"'),
        ('{"qid": 3, "candidates": []}', '"qid" is int, expected a string'),
        ('{"qid": "", "candidates": []}', '"qid" is empty'),
        ('{"qid": "r", "candidates": {}}', "expected"),
        ('{"qid": "r", "candidates": [["a", 1, 2.0]]}', "candidate 1: expected"),
        (line("r", ("a", 1.0), docid=7), 'candidate 1: "docid" is int, expected a string'),
        (line("r", ("", 1.0)), 'candidate 1: "docid" is empty'),
        (line("r", ("a\0b", 1.0)), r"candidate 1: .* holds the character '.x00'"),
        (line("r", ("a", 1.0), rank=True), "candidate 1 has rank bool"),
        (line("r", ("a", 1.0), score="1"), "a finite score"),
        (line("r", ("a", 1.0), score=True), "a finite score"),
        (line("r", ("a", 1.0), score=None), "a finite score"),
        (line("r", ("a", float("nan"))), "no JSON number"),
        (line("r", ("a", float("inf"))), "no JSON number"),
        (line("r", ("a", 10**400)), "a finite score"),
        (line("r", ("a", 1.0), rank=2), "candidate 1 has rank 2; list the candidates best first"),
        (line("r", ("a", 1.0), rank=None), "candidate 1 has rank None"),
        (line("r", ("a", 1.0), ("b", 2.0)), "candidate 2 has score 2.0, above the one before it"),
        (line("r", ("a", 1.0), ("a", 0.5)), "document 'a' is a candidate twice"),
        (line("q", ("a", 1.0)), "query 'q' is there twice"),
    ],
)
def test_a_bad_line_is_named(path: Path, text: str, message: str) -> None:
    path.write_text(line("q", ("a", 1.0)) + text.rstrip() + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_pool(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_empty_absent_and_damaged_files(path: Path, tmp_path: Path) -> None:
    path.write_text("\n")
    with pytest.raises(InputError, match=r"no candidates; expected one query per line"):
        read_pool(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_pool(tmp_path / "absent.jsonl")
    path.write_bytes(gzip.compress(line("q", ("a", 1.0)).encode())[:-9])
    with pytest.raises(InputError, match="cut short or damaged"):
        read_pool(path)


def test_judgements_of_documents_outside_the_pool_are_kept(folder: Path) -> None:
    full = folder / "qrels" / "test.full.tsv"
    full.write_text("query-id\tcorpus-id\tscore\nq1\tnot in the corpus\t3\nq1\td1\t0\n")
    assert pool_qrels(folder) == {"q1": {"not in the corpus": 3, "d1": 0}}
    assert pool_qrels(folder, "test")["q2"] == {"d2": 1}
    full.unlink()
    with pytest.raises(InputError, match=r"no test\.full\.tsv; put the complete judgements"):
        pool_qrels(folder)


def test_the_stored_pools(data_root: Path) -> None:
    """Ranks, scores and ids of every stored pool agree; their number is that of SOURCE.json."""
    if not (data_root / "rerank" / "dl21").is_dir():
        pytest.skip("no rerank/dl21 in the data root")
    found = pools(data_root / "rerank" / "dl21")
    assert list(found) == ["BM25", "BM25_RM3", "SPLADE_P_P_ENSEMBLE_DISTIL"]
    assert {len(run) for run in found.values()} == {53}
    assert {sum(map(len, run.values())) for run in found.values()} == {5300}
