"""What a command imports before it works: a start costs no library that the command leaves idle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ir_replications.engine.commands.group import COMMANDS, cli
from ir_replications.engine.registry import papers

ROOT = Path(__file__).resolve().parents[2]
# Each takes from 0.1 to several seconds of processor time.
HEAVY = (
    "bm25s", "datasets", "huggingface_hub", "matplotlib", "nltk", "numba", "pandas",
    "scipy", "sklearn", "torch", "transformers",
)  # fmt: skip
CALL = "from ir_replications.__main__ import main; main({arguments!r})"


def heavy_modules(code: str) -> list[str]:
    """The libraries of HEAVY that a new interpreter holds after `code`."""
    code += f"; import sys; print('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout.splitlines()[-1].removeprefix("loaded:").split()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["compare", "--help"], ["run", "--help"], ["data", "list"]]
)
def test_a_command_imports_no_library_that_it_leaves_idle(arguments: list[str]) -> None:
    assert heavy_modules(CALL.format(arguments=arguments)) == []


@pytest.mark.parametrize("paper", papers())
def test_the_experiments_of_a_paper_are_listed_without_a_library(paper: str) -> None:
    assert heavy_modules(f"import ir_replications.{paper}.experiments.registry") == []


def test_the_check_sees_a_library() -> None:
    assert "scipy" in heavy_modules("import scipy.stats")


def test_the_help_names_every_command_as_the_command_does() -> None:
    folder = ROOT / "replications" / "engine" / "commands"
    context = cli.make_context("replicate", ["list"])
    for name, (place, text) in COMMANDS.items():
        assert (folder / f"{place.partition(':')[0].replace('.', '/')}.py").is_file()
        command = cli.get_command(context, name)
        assert command is not None and command.name == name and text
    assert cli.get_command(context, "nothing") is None
