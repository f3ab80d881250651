"""What `replicate run` prints of names that are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.engine.commands.papers.tables import show_plan, show_results
from ir_replications.engine.jobs import Job
from ir_replications.reports.records.record import Record

BAD = "local/\x1b]0;x\x07\u202egnp[red]"
SEEN = r"local/\x1b]0;x\x07\u202egnp[red]"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


def test_names_of_users_do_not_act_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job("bmx", "small", "E2", {"collection": BAD, "system": "bm25\n", BAD: "x"})
    record = Record.create(
        paper="bmx", experiment="E2", tier="small", label="x", config=job.config,
        means={BAD: 0.5},
    )  # fmt: skip
    facts = Record.create(
        paper="bmx", experiment="E1", tier="small", label="x", config={"system": BAD},
        facts={"note": BAD},
    )  # fmt: skip
    show_results([job, Job("bmx", "small", "E1", facts.config)], [record, facts])
    text = capsys.readouterr().out
    assert text.count(SEEN) == 5 and r"bm25\n" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_a_plan_shows_names_as_they_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    job = Job("bmx", "small", "E2", {"collection": BAD, "system": "bm25"})
    folder = tmp_path / "a\x1b[2J"
    show_plan("small", [job], folders={BAD: folder}, data_root=None, store=Path(BAD))
    text = capsys.readouterr().out
    assert f"collection {SEEN}: folder {tmp_path}/a" + r"\x1b[2J" in text
    assert f"MB into {SEEN}" in text and not set(text) & {"\x1b", "\x07", "\u202e"}
