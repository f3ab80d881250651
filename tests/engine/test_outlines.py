"""`replicate list` reads a paper's code once, and again when it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ir_replications.engine import paper_check
from tests.cli import Replicate
from tests.engine.toy_papers import papers_in

E1 = "good/experiments/e1_fusion.py"


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of papers with one sound paper."""
    (tmp_path / "papers").mkdir()
    with papers_in(tmp_path / "papers", monkeypatch) as folder:
        yield folder


def _refuse(paper: str) -> list[str]:
    raise AssertionError(f"{paper} is read again")


def test_a_paper_that_has_not_changed_is_not_read_again(
    papers: Path, replicate: Replicate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replicate("list", "--json")
    monkeypatch.setattr(paper_check, "unreadable", _refuse)
    assert first.status == 0 and '"E1"' in first.out
    assert replicate("list", "--json") == first


@pytest.mark.parametrize("name", [E1, "good/claims.toml"])
def test_a_paper_that_has_changed_is_read_again(
    name: str, papers: Path, replicate: Replicate, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replicate("list").status == 0
    with (papers / name).open("a") as handle:
        handle.write("\n")
    monkeypatch.setattr(paper_check, "unreadable", lambda paper: [f"{paper}: is read again"])
    assert "is read again" in replicate("list").out


def test_a_broken_paper_is_read_every_time(papers: Path, replicate: Replicate) -> None:
    sound = (papers / "good" / "claims.toml").read_text()
    (papers / "good" / "claims.toml").write_text("[paper\n")
    for _ in range(2):
        assert "not valid TOML" in replicate("list").out
    (papers / "good" / "claims.toml").write_text(sound)
    assert "cannot be used" not in replicate("list").out


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"key": "of other files"}'])
def test_what_cannot_be_remembered_is_read(
    kept: str, papers: Path, replicate: Replicate, tmp_path: Path
) -> None:
    first = replicate("list")
    path = tmp_path / "cache" / "outlines.json"
    path.write_text(kept)
    assert replicate("list") == first
    path.unlink()
    path.mkdir()  # nor can it be written
    assert replicate("list") == first
