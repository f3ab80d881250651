"""A folder of papers with one toy paper whose figures draw hostile texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.example import FIGURES, write_paper


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = write_paper(tmp_path / "papers")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "figures.py").write_text(FIGURES)
    return tmp_path / "papers"
