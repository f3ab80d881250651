"""Drift is found in numbers and verdicts, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from reports.claims import load_paper
from reports.drift import data_changes, drift
from tests.reports.example import record, records, write_paper


def test_equal_records_do_not_drift(tmp_path: Path) -> None:
    paper = load_paper(write_paper(tmp_path))
    assert drift(records(), records(), paper=paper, tier="small") == []


def test_means_and_facts_beyond_tolerance_are_named() -> None:
    old = [record("bm25", "a", 0.5, facts={"n": 10, "rho": {"x": 0.5}})]
    assert drift(old, [record("bm25", "a", 0.5, facts={"n": 10, "rho": {"x": 0.5000005}})]) == []
    (line,) = drift(old, [record("bm25", "a", 0.5, facts={"n": 10, "rho": {"x": 0.51}})])
    assert "rho.x was 0.5, is now 0.51" in line
    lines = drift(old, [record("bm25", "a", 0.51, facts={"n": 10, "rho": {"x": 0.5}})])
    assert "nDCG@10 was 0.5, is now 0.51" in lines[0]
    assert "moved on 40 queries" in lines[1]
    assert drift(old, [record("bm25", "a", 0.5, facts={"n": 10})]) == [
        "toy/small/E1/a bm25: rho.x is gone; publish the records again"
    ]


def test_neural_tolerance_is_the_callers() -> None:
    old, new = [record("bm25", "a", 0.5)], [record("bm25", "a", 0.502)]
    assert drift(old, new, 0.005) == []
    assert drift(old, new, 0.001)


def test_time_and_speed_are_left_out() -> None:
    old = [record("bm25", "a", 0.5, facts={"time_s": 1.0, "index": {"speed_docs": 5}})]
    new = [record("bm25", "a", 0.5, facts={"time_s": 9.0, "index": {"speed_docs": 1}})]
    assert drift(old, new) == []


def test_other_data_are_not_compared_but_named() -> None:
    old = [record("bm25", "a", 0.5)]
    new = [record("bm25", "a", 0.9, provenance={"data": {"a": "other"}})]
    assert drift(old, new) == []
    assert "checksums differ" in data_changes(old, new)[0]
    assert data_changes(old, old) == []


def test_failed_experiment_is_drift() -> None:
    (line,) = drift([record("bm25", "a", 0.5)], [record("bm25", "a", 0.5, error="boom")])
    assert "was ok, is now error (boom)" in line


def test_changed_verdict_is_drift_even_inside_the_tolerance(tmp_path: Path) -> None:
    paper = load_paper(write_paper(tmp_path))
    published = records()
    fresh = [record("bm25", "beir/alpha", 0.506)]  # .506 no longer rounds to .50
    lines = drift(published, fresh, 0.01, paper=paper, tier="small")
    assert [line for line in lines if line.startswith("C3: verdict was 'reproduced', is now ")]
    assert drift(published, fresh, 0.01) == []
