"""`replicate evaluate`: what runs are worth, as a table, JSON and CSV; what it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from tests.cli import Replicate, beir


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A run that finds both relevant documents first, and one that finds one, second."""
    good, poor = tmp_path / "good.run", tmp_path / "[b]poor.run"
    good.write_text("q1 Q0 d1 1 2 a\nq2 Q0 d2 1 2 a\nq2 Q0 d5 2 1 a\n")
    poor.write_text("q1 Q0 d2 1 2 b\nq1 Q0 d1 2 1 b\nq9 Q0 d1 1 1 b\n")
    return good, poor


def test_means_of_several_runs(
    replicate: Replicate, tiny: Path, tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    qrels = tiny / "qrels" / "test.tsv"
    result = replicate("evaluate", *runs, "--qrels", qrels, "--measure", "RR@10")
    assert result.status == 0
    # By hand: (1 + 1) / 2, and (1/2 + 0) / 2.
    rows = [line.replace(" ", "") for line in result.out.splitlines() if ".run" in line]
    assert rows == ["│good.run│1.0000│", "│[b]poor.run│0.2500│"]
    assert result.err.splitlines() == [
        "note: [b]poor.run: 1 of 2 judged queries have no results and score 0 (first: 'q2')",
        "note: [b]poor.run: 1 queries of the run are not judged and do not count (first: 'q9')",
    ]
    told = replicate("evaluate", *runs, "--collection", tiny).out
    assert told.startswith(f"2 judged queries of {tiny} test\n")


def test_json_and_csv_hold_every_query(
    replicate: Replicate, tiny: Path, tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    out = tmp_path / "values.csv"
    command = ("evaluate", *runs, "--collection", tiny, "--measure", "RR@10", "--json")
    result = replicate(*command, "--per-query", out)
    assert (result.status, result.err) == (0, "")
    told = json.loads(result.out)
    assert told["queries"] == 2
    assert [(each["run"], each["means"]) for each in told["runs"]] == [
        ("good.run", {"RR@10": 1.0}), ("[b]poor.run", {"RR@10": 0.25}),
    ]  # fmt: skip
    assert told["runs"][1]["per_query"] == {"RR@10": {"q1": 0.5, "q2": 0.0}}
    rows = list(csv.DictReader(out.open()))
    assert rows[2] == {"run": "[b]poor.run", "measure": "RR@10", "query": "q1", "value": "0.5"}
    assert len(rows) == 4
    line = replicate.refused(*command, "--per-query", out)
    assert "is there already; name another file" in line


def test_no_spreadsheet_runs_an_id(replicate: Replicate, tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("=1+1 Q0 d 1 1.0 x\n")
    (tmp_path / "a.qrels").write_text("=1+1 0 d 1\n")
    out = tmp_path / "values.csv"
    told = ("--qrels", tmp_path / "a.qrels", "--measure", "RR@10", "--per-query", out)
    assert replicate("evaluate", tmp_path / "a.run", *told).status == 0
    assert out.read_text().splitlines()[1] == "a.run,RR@10,'=1+1,1.0"


def test_two_runs_of_one_name_stay_apart(replicate: Replicate, tiny: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.run").write_text("q1 Q0 d1 1 2 a\n")
    told = replicate("evaluate", "a/x.run", "b/x.run", "--collection", tiny, "--json").out
    assert [each["run"] for each in json.loads(told)["runs"]] == ["x.run", "b/x.run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good.run"], "expected one of --qrels and --collection"),
        (["good.run", "--qrels", "q", "--collection", "c"], "expected one of --qrels and"),
        (["good.run", "--qrels", "none"], "none: no such file; expected a TREC run or a qrels"),
        (["none.run", "--collection", "tiny"], "none.run: no such file"),
        (["good.run", "--collection", "tiny", "--split", "dev"], "no split 'dev'"),
        (["good.run", "--qrels", "tiny/qrels/test.tsv", "--split", "dev"], "--split is of a"),
        (["good.run", "--collection", "tiny", "--measure", "best"], "measure 'best' is unknown"),
        (["other.run", "--collection", "tiny"], "other.run: none of its queries is judged in"),
        (["tiny/queries.jsonl", "--collection", "tiny"], "queries.jsonl:1: "),
    ],
)
def test_what_is_refused_is_one_line(
    arguments: list[str], message: str, replicate: Replicate, tiny: Path, runs: object
) -> None:
    Path("other.run").write_text("q7 Q0 d1 1 2 a\n")
    assert message in replicate.refused("evaluate", *arguments)


def test_tables_are_as_wide_as_columns_says_and_cut_no_id(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = beir(tmp_path / "mine")
    run = tmp_path / f"{'long-name-' * 4}.run"
    run.write_text("q1 Q0 d1 1 2 a\n")
    monkeypatch.setenv("COLUMNS", "80")
    result = replicate("evaluate", run, "--collection", folder)
    told = result.out.splitlines()[1:]
    assert max(map(len, told)) <= 80 and "0.5000" in result.out
    parts = [line.split("│")[1].strip() for line in told if line.startswith("│")]
    assert "".join(parts) == run.name, "it goes on below"
    listed = [replicate("list"), replicate("data", "list"), replicate("models", "list")]
    for each in listed:
        assert max(map(len, each.out.splitlines())) <= 80
        assert "…" not in each.out
    assert "tongsearch_qr" in listed[0].out and "embedded:smollm2-135m-instruct" in listed[2].out
    assert "classic/npl-vaswani" in listed[1].out
    monkeypatch.setenv("COLUMNS", "40")
    parts = [line.split("│")[1].strip() for line in replicate("models", "list").out.splitlines()
             if line.startswith("│")]  # fmt: skip
    assert "".join(parts).startswith("embedded:smollm2-135m-instructembedded:minilm-l6")
    monkeypatch.setenv("COLUMNS", "wide")
    assert max(map(len, replicate("data", "list").out.splitlines())) > 80
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in replicate("list").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[([0-9;]*;)?[349][0-7]m", replicate("list").out), "bold is none"
