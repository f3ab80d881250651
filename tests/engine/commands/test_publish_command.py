"""`replicate publish`: from a clean commit of a clone, a paper and tier at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.__main__ import main
from ir_replications.engine.commands.papers import publish as command
from ir_replications.engine.jobs import plan_jobs, told
from ir_replications.reports.records.files import read_pack
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store

GIT = {"commit": "0" * 40, "dirty": False}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with one cell of bmx, and a clean tree."""
    monkeypatch.setattr(command, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(command, "git_state", lambda: dict(GIT))
    job = plan_jobs("bmx", "embedded")[0]
    found = Store(tmp_path / "own")
    found.put(
        Record.create(
            paper="bmx", experiment=job.experiment, tier="embedded", label=job.label,
            config=job.config, provenance={"git": GIT},
        )
    )  # fmt: skip
    return found


@pytest.mark.parametrize("asked", [["bmx", "--tier", "embedded"], ["bmx"], ["all"]])
def test_a_cell_is_published_and_said(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    (record,) = store.records()
    assert main(["publish", *asked, "--store", str(store.root)]) == 0
    pack = tmp_path / "published" / "bmx" / "embedded" / f"{record.experiment}.jsonl"
    assert read_pack(pack) == [record]
    assert capsys.readouterr().out.splitlines() == [
        f"bmx/embedded/{pack.name}: 1 added, 0 replaced, 0 as before, 0 left",
        f"  added: {told(record)} ({record.config_hash[:10]})",
    ]
    assert main(["publish", *asked, "--store", str(tmp_path / "published")]) == 0
    assert capsys.readouterr().out == "bmx/embedded: all records are packed\n"


@pytest.mark.parametrize(
    ("asked", "state", "said"),
    [
        (["bmx"], {**GIT, "dirty": True}, "the working tree has changes that are not committed"),
        (["bmx"], None, "the working tree is no git clone"),
        (["prorank"], GIT, "no records of prorank"),
        (["prorank", "--tier", "small"], GIT, "no records of prorank small"),
        (["nothing"], GIT, "no paper named 'nothing'"),
    ],
)
def test_a_refusal_is_one_line(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: list[str],
    state: dict[str, object] | None,
    said: str,
) -> None:
    monkeypatch.setattr(command, "git_state", lambda: state)
    assert main(["publish", *asked, "--store", str(store.root)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not list(tmp_path.rglob("*.jsonl"))


def test_an_installation_publishes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "IN_CHECKOUT", False)
    assert main(["publish", "bmx", "--store", str(store.root)]) == 2
    assert "published in a clone" in capsys.readouterr().err
