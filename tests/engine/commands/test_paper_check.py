"""`replicate check` says every fault of a paper's folder in a line of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ir_replications.engine import paper_check, registry
from ir_replications.engine.commands.papers.check import check
from ir_replications.engine.registry import papers
from tests.reports.example import CLAIMS, NUMBERS, write_paper


@pytest.mark.parametrize("paper", papers())
def test_papers_are_sound(paper: str) -> None:
    assert paper_check.faults(paper) == []
    assert paper_check.summary(paper).startswith(f"{paper}: ")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of papers with one toy, whose experiments are E1 and E2."""
    folder = write_paper(tmp_path)
    (folder / "README.md").write_text("A toy.\n")
    monkeypatch.setattr(registry, "PAPERS_FOLDER", tmp_path)
    monkeypatch.setattr(paper_check, "PAPERS_FOLDER", tmp_path)
    monkeypatch.setattr(paper_check, "experiments", lambda _: {"E1": None, "E2": None})
    monkeypatch.setattr(paper_check, "plan_jobs", lambda *_: [])
    return folder


def run(*names: str) -> tuple[int, list[str]]:
    """Exit status and lines."""
    done = CliRunner().invoke(check, names)
    return done.exit_code, done.output.splitlines()


def test_a_sound_paper_is_counted(toy: Path) -> None:
    status, lines = run()
    assert status == 0
    assert lines == ["toy: 3 claims (0 headline, 3 more of the paper, 0 checks), 2 tables: sound"]


def test_every_fault_is_a_line(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy / "README.md").unlink()
    (toy / "numbers.toml").write_text(NUMBERS.replace("relative = 1e-5", "relative = -1"))
    (toy / "claims.toml").write_text(
        CLAIMS.replace('select = {experiment = "E2"}', 'select = {experiment = "E9"}')
    )
    status, lines = run("toy")
    assert status == 2
    assert [line.removeprefix(str(toy)).split(": ")[0] for line in lines] == [
        "", "/numbers.toml", "/claims.toml",
    ]  # fmt: skip
    assert "[[claim]] C1: no experiment 'E9'; experiments/registry.py has: E1, E2" in lines[2]


def test_the_file_of_a_table_is_named(toy: Path) -> None:
    claims, table, rest = CLAIMS.partition("[[table]]")
    tables, claim, rest = (table + rest).partition("[[claim]]")
    (toy / "claims.toml").write_text(claims + claim + rest)
    (toy / "tables.toml").write_text(tables.replace('experiment = "E1"', 'experiment = "E9"'))
    status, lines = run("toy")
    assert status == 2 and lines
    assert {line.removeprefix(str(toy)).split(": ")[0] for line in lines} == {"/tables.toml"}


def test_an_unknown_paper_is_refused(toy: Path) -> None:
    done = CliRunner().invoke(check, ["tay"])
    assert done.exit_code and "no paper named 'tay'; the papers are: toy" in str(done.exception)
