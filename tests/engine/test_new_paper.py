"""`replicate new`: a folder that is green at once, and never in the place of another."""

from __future__ import annotations

import importlib
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ir_replications.engine import execute, new_paper
from ir_replications.engine.commands.papers import new
from ir_replications.engine.context import Context
from ir_replications.engine.evidence import gather
from ir_replications.engine.jobs import plan_jobs
from ir_replications.engine.paper_check import faults
from ir_replications.reports.claims.kinds import load_numbers
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.verdicts import Verdict
from tests.cli import Replicate, files
from tests.engine.toy_papers import papers_in

NAMES = ("good", "a_paper", "zeta")  # before and behind what they import


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "papers").mkdir()
    with papers_in(tmp_path / "papers", monkeypatch) as folder:
        yield folder


def test_a_new_paper_is_listed_sound_and_not_run(papers: Path, replicate: Replicate) -> None:
    for name in NAMES[1:]:
        said = replicate("new", name)
        assert (said.status, said.err) == (0, "") and str(papers / name) in said.out
        assert not [path for path in papers.iterdir() if path.name not in NAMES]
    listed = replicate("list")
    assert (listed.status, listed.err) == (0, "")
    assert {*NAMES} <= {line.strip() for line in listed.out.splitlines()}  # titles
    checked = replicate("check")
    assert (checked.status, checked.err, checked.out.count(": sound")) == (0, "", 3)
    for name in NAMES:
        assert faults(name) == []
        found = gather(name, "embedded", store=papers, data_root=None, run=False)
        assert {each.verdict for each in found.judged.findings} == {Verdict.NOT_RUN}
        assert [claim.kind for claim in found.paper.claims] == ["headline", "check"]
        assert not [line for claim in found.paper.claims for line in found.problems(claim)]
        written = {k: v for k, v in files(papers / name).items() if "__pycache__" not in k}
        text = b"".join(written.values()).decode()
        assert new_paper.PLACEHOLDER not in text and name in text


@pytest.mark.parametrize("name", NAMES)
def test_imports_are_in_order_whatever_the_name(name: str, tmp_path: Path) -> None:
    for path in new_paper.write_new_paper(name, tmp_path).rglob("*.py"):
        own = [line for line in path.read_text().splitlines() if "from ir_replications." in line]
        assert own == sorted(own), path
        compile(path.read_text(), path, "exec")


def test_its_tests_test_its_equation(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = importlib.import_module("ir_replications.good.tests.test_fusion")
    found = [value for name, value in inspect.getmembers(tests) if name.startswith("test_")]
    assert len(found) == 2
    for test in found:
        test()
    fusion = importlib.import_module("ir_replications.good.method.fusion")
    monkeypatch.setattr(tests, "fused_score", lambda ranks, k=60.0: 0.0)
    monkeypatch.setattr(fusion, "fused_score", lambda ranks, k=60.0: 0.0)
    for test in found:
        with pytest.raises(AssertionError):
            test()


def test_its_numbers_have_kinds_and_its_check_holds(papers: Path, tiny: Path) -> None:
    numbers, claims = load_numbers(papers / "good"), load_paper(papers / "good").claims
    (limit,) = (claim.check.value for claim in claims if claim.check.kind == "bound")
    jobs = plan_jobs("good", "small", collections=["tiny"])
    assert [job.config["system"] for job in jobs] == ["bm25", "bm25q", "fused"]
    for job in jobs:
        record, _ = execute.measure(job, Context(folders={"tiny": tiny}))
        assert record.status == "ok", record.error
        for name in [*record.means, *(fact for fact in record.facts if fact != "notes")]:
            assert numbers.rule("E1", name)
    assert 1 / 61 < record.facts["largest_score"] <= limit


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("good", "is a part of the suite already"),
        ("engine", "is a part of the suite already"),
        ("shared", "is a part of the suite already"),
        *((name, "cannot name a paper") for name in ("Foo", "a-b", "2x", "a/b", "", "class", "é")),
        *((name, "cannot name a paper") for name in ("all", "tests", "..", "_x")),
    ],
)
def test_names_that_are_refused(papers: Path, replicate: Replicate, name: str, why: str) -> None:
    before = files(papers)
    assert why in replicate.refused("new", name)
    assert files(papers) == before


def test_what_cannot_be_written_and_what_is_no_clone(
    papers: Path, replicate: Replicate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new, "IN_CHECKOUT", False)
    assert "in a clone of the suite" in replicate.refused("new", "x")
    monkeypatch.setattr(new, "IN_CHECKOUT", True)
    shutil.rmtree(papers)
    assert "cannot be written (No such file or directory)" in replicate.refused("new", "x")
