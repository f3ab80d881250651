"""Fixtures of the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import OURS, Replicate, beir, broken_papers, forget


@pytest.fixture
def _sound_papers(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leave out what is unfinished in this checkout: commands name it and end otherwise."""
    from ir_replications.engine import paper_check, registry
    from ir_replications.engine.commands.papers import report

    if registry.PAPERS_FOLDER != OURS or not (broken := broken_papers()):
        return
    folder = tmp_path_factory.mktemp("papers")
    for path in registry.PAPERS_FOLDER.iterdir():
        if path.name not in broken:
            (folder / path.name).symlink_to(path)
    for module in (registry, paper_check, report):
        monkeypatch.setattr(module, "PAPERS_FOLDER", folder)


@pytest.fixture
def replicate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    _sound_papers: None,
) -> Iterator[Replicate]:
    """The command line in `tmp_path`, with its own cache, one analyzer and nothing published."""
    from ir_replications.bmx.experiments import testbeds
    from ir_replications.engine.commands.papers import report

    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IR_REPLICATIONS_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(testbeds, "ANALYZERS", (("baguetter", "newline"),))
    monkeypatch.setattr(report, "PUBLISHED", tmp_path / "none")
    yield Replicate(capsys)
    forget()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A tiny BEIR folder."""
    return beir(tmp_path / "tiny")
