"""How many cells run side by side: never more than there are cores, and the line that says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ir_replications.bmx.experiments import testbeds
from ir_replications.engine import cores
from ir_replications.engine.cores import at_most, usable_cores
from ir_replications.engine.executors import execute
from ir_replications.engine.jobs import plan_jobs
from ir_replications.shared.errors import InputError
from tests.cli import E2, Replicate


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four cores that this process may use; the file of a container's quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


@pytest.mark.parametrize(
    ("quota", "expected"),
    [(None, 4), ("max 100000", 4), ("200000 100000", 2), ("150000 100000", 2),
     ("30000 100000", 1), ("900000 100000", 4), ("broken", 4), ("1 0", 4)],
)  # fmt: skip
def test_cores_are_those_of_the_affinity_within_the_quota(
    machine: Path, quota: str | None, expected: int
) -> None:
    if quota is not None:
        machine.write_text(quota + "\n")
    assert usable_cores() == expected


def test_more_jobs_than_cores_are_cut_with_a_line(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (at_most(None), at_most(1), at_most(4)) == (4, 1, 4)
    assert capsys.readouterr().err == ""
    assert at_most(64) == 4
    assert capsys.readouterr().err == "note: 64 jobs on 4 usable cores: 4 run side by side\n"


@pytest.mark.parametrize("jobs", [0, -1])
def test_fewer_than_one_is_refused(replicate: Replicate, jobs: int, tmp_path: Path) -> None:
    for command in ("run bmx", "attest"):
        line = replicate.refused(*command.split(), "--jobs", jobs)
        assert f"Invalid value for '--jobs': {jobs} is not in the range x>=1" in line
    for executor in ("local", "ray"):
        with pytest.raises(InputError, match="expected at least 1"):
            list(execute([], tmp_path, n_jobs=jobs, executor=executor))
    with pytest.raises(InputError, match="expected at least 1"):
        at_most(jobs)


def test_no_more_processes_start_than_there_are_cores(
    replicate: Replicate, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_replications.engine import side_by_side

    started: list[int] = []

    def watched(lanes: object, n_workers: int, work: object) -> list[object]:
        started.append(n_workers)
        return []

    monkeypatch.setattr(side_by_side, "side_by_side", watched)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(cores, "_QUOTA", tiny / "none")
    list(execute(plan_jobs("bmx", "embedded", only=["E1"]), tiny.parent / "s", n_jobs=64))
    assert started == [3]


def test_a_huge_number_runs_on_this_machine(
    replicate: Replicate, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processes need not import another analyzer's stemmer, which takes seconds.
    monkeypatch.setattr(testbeds, "ANALYZERS", (("bm25s", "space"),))
    result = replicate("run", "bmx", "--collection", tiny, *E2, "--store", "s", "--jobs", 10**9)
    assert result.status == 0 and "9 cells: 9 run" in result.out
    assert f"note: {10**9} jobs on {usable_cores()} usable cores: " in result.err
