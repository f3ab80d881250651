"""A folder of papers of a test's own, which commands take for that of the suite."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ir_replications
from ir_replications.engine import evidence, paper_check, registry
from ir_replications.engine.commands.papers import new, publish, report
from ir_replications.engine.new_paper import write_new_paper


@contextmanager
def papers_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have this folder hold the papers, with one sound paper, `good`, out of the template."""
    for module in (evidence, registry, paper_check, new, report):
        monkeypatch.setattr(module, "PAPERS_FOLDER", folder)
    for module in (evidence, publish, report):
        monkeypatch.setattr(module, "PUBLISHED", folder.parent / "published")
    monkeypatch.setattr(ir_replications, "__path__", [*ir_replications.__path__, str(folder)])
    write_new_paper("good", folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("ir_replications."):
            paper = name.split(".")[1]
            if (folder / paper).is_dir():
                del sys.modules[name]
                vars(ir_replications).pop(paper, None)
