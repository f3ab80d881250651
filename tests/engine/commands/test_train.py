"""`replicate train PAPER RECIPE`, and the shell's completion of it and the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ir_replications.engine.commands.group import COMMANDS
from ir_replications.engine.registry import PAPERS_FOLDER, papers
from tests.cli import Replicate

TRAINED = [paper for paper in papers() if (PAPERS_FOLDER / paper / "training/train.py").is_file()]


def test_every_paper_that_trains_is_named(replicate: Replicate) -> None:
    told = replicate("train", "--help")
    assert told.status == 0 and len(TRAINED) == 3
    for paper in TRAINED:
        assert f"replicate train {paper} --help" in told.out
    line = replicate.refused("train", "bmx", "small")
    assert line.endswith(f"'bmx' is no paper that trains; expected one of {', '.join(TRAINED)}")
    assert "error: no recipe 'none'" in replicate("train", "prorank", "none").err


@pytest.mark.parametrize("paper", TRAINED)
def test_the_paper_s_own_options_are_its_own(paper: str, replicate: Replicate) -> None:
    pytest.importorskip("torch")
    told = replicate("train", paper, "--help")
    assert (told.status, told.err) == (0, "")
    assert "--dry-run" in told.out and f"train {paper} [OPTIONS] RECIPE" in told.out


def _completed(words: str) -> list[str]:
    """What the shell is told for the last word."""
    done = subprocess.run(
        [sys.executable, "-m", "ir_replications"],
        env={
            **os.environ,
            "_REPLICATE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.removeprefix("plain,") for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("replicate re", ["report", "rerank", "rewrite"]),
        ("replicate train ", TRAINED),
        ("replicate train prorank rel", ["released-0.5b"]),
        ("replicate run bm", ["bmx"]),
        ("replicate run bmx --tier ", ["embedded", "small", "paper"]),
        ("replicate rerank bm25 --collection beir/scif", ["beir/scifact"]),
        ("replicate rerank bm25 --collection ./m", ["dir,./m"]),
        ("replicate data fe", ["fetch"]),
    ],
)
def test_the_shell_completes(words: str, offered: list[str]) -> None:
    assert _completed(words) == offered


def test_every_command_is_completed() -> None:
    assert _completed("replicate ") == sorted(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ir_replications"],
        env={**os.environ, "_REPLICATE_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "_REPLICATE_COMPLETE" in done.stdout
    if found := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(done.stdout)
        assert subprocess.run([found, "-n", str(script)]).returncode == 0
