"""Public names of the papers: each is there, and asking for one imports no other's libraries."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from ir_replications.engine.registry import papers

CODE = """
import sys, ir_replications.{0} as paper
assert "torch" not in sys.modules
print(*paper.__all__)
"""


@pytest.mark.parametrize("paper", papers())
def test_a_paper_is_imported_without_torch(paper: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(paper)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()


@pytest.mark.parametrize("paper", papers())
def test_every_public_name_stands_for_something(paper: str) -> None:
    pytest.importorskip("torch")
    package = import_module(f"ir_replications.{paper}")
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
