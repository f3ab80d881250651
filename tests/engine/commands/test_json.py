"""`--json`: the same numbers as the tables, for programs, and nothing else on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Replicate


@pytest.fixture
def ask(replicate: Replicate) -> Any:
    def asked(*arguments: object) -> Any:
        result = replicate(*arguments, "--json")
        assert result.status == 0, result.err
        return json.loads(result.out)

    return asked


def test_lists_for_programs(ask: Any, replicate: Replicate) -> None:
    papers = ask("list")
    table = replicate("list").out
    assert papers["cannot be used"] == {}
    assert all(row["experiment"] in table for row in papers["experiments"])
    bmx = [row for row in papers["experiments"] if row["paper"] == "bmx"]
    assert bmx[0]["experiment"] == "E1" and set(bmx[0]["cost"]) == {"embedded", "small", "paper"}
    collections = {row["id"]: row for row in ask("data", "list")}
    assert collections["pydocs"]["found in"] == "embedded"
    assert collections["beir/scifact"]["documents"] == 5183
    models = {row["reference"]: row["cached"] for row in ask("models", "list")}
    assert set(map(type, models.values())) == {bool} and "embedded:minilm-l6" in models


def test_what_is_wrong_is_told_and_exits_as_the_table_does(
    replicate: Replicate, tiny: Path
) -> None:
    ((found),) = json.loads(replicate("data", "check", "pydocs", "--json").out)
    assert found["mismatches"] == [] and len(found["sha256"]) == 64
    wrong = replicate("models", "check", "hub:no/such@" + "0" * 40, "--json")
    assert wrong.status != 0 and json.loads(wrong.out)[0]["problems"]


def test_a_run_for_programs(ask: Any, tmp_path: Path, replicate: Replicate) -> None:
    asked = ("run", "bmx", "--experiment", "E1", "--where", "claim=C1", "--store", tmp_path / "s")
    (plan,) = ask(*asked, "--dry-run")
    assert plan["config"] == {"claim": "C1"}
    assert plan["command"].endswith("--experiment E1 --where claim=C1")
    assert not (tmp_path / "s").exists()
    (cell,) = ask(*asked)
    assert cell["status"] == "ok" and cell["facts"]["max_error"] < 1e-6
    again = replicate(*asked, "--json")
    assert json.loads(again.out) == [cell]
    assert "0 run, 1 kept from before" in again.err and "records: " in again.err


def test_a_comparison_for_programs(ask: Any, replicate: Replicate, tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("q1 Q0 d1 1 2.0 a\nq1 Q0 d2 2 1.0 a\nq2 Q0 d3 1 1.0 a\n")
    (tmp_path / "b.run").write_text("q1 Q0 d2 1 2.0 b\nq1 Q0 d1 2 1.0 b\nq2 Q0 d3 1 1.0 b\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d3 1\n")
    runs = ("compare", tmp_path / "a.run", tmp_path / "b.run", "--qrels", tmp_path / "qrels")
    found = ask(*runs, "--measure", "RR@10")
    (row,) = found["measures"]
    assert (row["a"], row["b"], row["difference"]) == (1.0, 0.75, -0.25)
    assert found["queries"] == 2 and found["notes"] == []
    assert "-0.2500" in replicate(*runs, "--measure", "RR@10").out
