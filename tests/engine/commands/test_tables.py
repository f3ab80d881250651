"""What `replicate run` prints of names that are not ours."""

from __future__ import annotations

from dataclasses import replace
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


@pytest.mark.parametrize("cells", [1, 3])
def test_more_measures_than_fit_beside_each_other_stand_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    configs = [{"collection": "beir/scifact", "system": f"system {i}"} for i in range(cells)]
    jobs = [Job("bmx", "small", "E2", config) for config in configs]
    means = {f"nDCG@10, retriever {n}, append": n / 8 for n in range(6)}
    records = [
        Record.create(
            paper="bmx", experiment="E2", tier="small", label="x", config=config, means=means
        )
        for config in configs
    ]
    show_results(jobs, records)
    text = capsys.readouterr().out
    assert [text.count(f"{name} ") for name in means] == [cells] * 6
    assert [text.count(c["system"]) for c in configs] == [1] * text.count("beir/scifact")
    assert "0.6250" in text and max(map(len, text.splitlines())) <= 100
    show_results(jobs, [replace(record, means={"nDCG@10": 0.5}) for record in records])
    assert capsys.readouterr().out.count("nDCG@10") == 1
