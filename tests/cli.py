"""A tiny BEIR folder and the command line in this process: shared by the tests of the commands."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
import pytest
from click.testing import CliRunner
from click.testing import Result as ClickResult

from ir_replications.__main__ import main
from ir_replications.engine import context, registry
from ir_replications.engine.paper_check import unreadable
from ir_replications.reports.records import provenance

DOCS = [
    {"_id": "d1", "title": "Wings", "text": "lift and drag of a wing in subsonic flow"},
    {"_id": "d2", "title": "", "text": "heat flow past a flat plate"},
    {"_id": "d3", "title": "Jets", "text": "thrust of a rocket engine with a nozzle"},
    {"_id": "d4", "title": "Orbits", "text": "the orbit of a planet around a star"},
    {"_id": "d5", "title": "Shock", "text": "shock wave ahead of a blunt body in flow"},
]
QUERIES = [{"_id": "q1", "text": "wing lift"}, {"_id": "q2", "text": "heat of a plate"}]
QRELS = [("q1", "d1", 1), ("q2", "d2", 2), ("q2", "d5", 1)]

COMPILING = "note: compiling search kernels"
PROGRESS = re.compile(r"[\d,]+ of [\d,]+ [\w ]+(, (about|first) |$)")
E2 = ("--experiment", "E2")
SYSTEMS = 9  # cells of E2 for one analyzer and title handling


def beir(
    folder: Path,
    *,
    docs: Iterable[dict[str, str]] = DOCS,
    queries: Iterable[dict[str, str]] = QUERIES,
    qrels: Iterable[tuple[str, str, int]] = QRELS,
    split: str = "test",
) -> Path:
    """Write a BEIR folder."""
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", docs), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in qrels)]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def append(name: str, line: bytes) -> Callable[[Path], None]:
    """A change of a folder: one more line at the end of a file."""

    def change(folder: Path) -> None:
        with (folder / name).open("ab") as handle:
            handle.write(line + b"\n")

    return change


class Result(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


class Replicate:
    """Calls the command line as a new process would: nothing is remembered between calls."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Result:
        forget()
        self.capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        return Result(status, out, said(err))

    def refused(self, *arguments: object) -> str:
        """The one line on stderr of a command that must be refused; notes are left out."""
        result = self(*arguments)
        lines = [line for line in result.err.splitlines() if not line.startswith("note: ")]
        assert (result.status, len(lines)) == (2, 1), result
        assert lines[0].startswith("error: "), lines
        return lines[0]


class _Line(click.Command):
    """`replicate` as click's runner calls a command."""

    def main(self, args: Any = None, *_: Any, **__: Any) -> NoReturn:
        sys.exit(main(list(args or [])))


def invoked(*arguments: object) -> ClickResult:
    """`replicate` with these arguments in this process: its exit code, stdout and stderr."""
    return CliRunner().invoke(_Line("replicate"), [str(argument) for argument in arguments])


def said(err: str) -> str:
    """What is on stderr but for the note of a first search and the lines of slow progress.

    test_compiling.py and test_progress.py are about these.
    """
    lines = err.splitlines(keepends=True)
    return "".join(n for n in lines if not n.startswith(COMPILING) and not PROGRESS.match(n))


def forget() -> None:
    """Drop what a process remembers."""
    context.cached_collection.cache_clear()
    context._tokens.cache_clear()
    provenance.running_code.cache_clear()


OURS = registry.PAPERS_FOLDER


@cache
def broken_papers() -> tuple[str, ...]:
    """Papers of this checkout that are unfinished; their own tests say why, no other test fails."""
    return tuple(paper for paper in registry.papers() if unreadable(paper))


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
