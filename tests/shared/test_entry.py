"""The one door of every command: each kind of end is a status and at most one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
import pytest

from ir_replications.shared.entry import TRACEBACK, answered
from ir_replications.shared.errors import InputError
from tests.unprivileged import unprivileged

ROOT = Path(__file__).resolve().parents[2]


def _raise(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


ENDS: dict[str, tuple[BaseException, int, str]] = {
    "bad input": (InputError("x.tsv:3: bad"), 2, "error: x.tsv:3: bad"),
    "input of several lines": (InputError("a\n  b"), 2, "error: a b"),
    "no right": (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied"),
    "full disk": (OSError(28, "No space left on device"), 2, "error: No space left on device"),
    "a library's OSError": (OSError("no file\nnamed x"), 2, "error: no file named x"),
    "memory": (MemoryError(), 2, "error: out of memory; ask for less"),
    "memory of torch": (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"),
        2,
        "error: out of memory (DefaultCPUAllocator",
    ),
    "no package": (
        ModuleNotFoundError("No module named 'torch'"),
        2,
        "error: No module named 'torch'; install what this needs: pip install",
    ),
    "usage": (click.UsageError("no such thing"), 2, "error: no such thing (see replicate --help)"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "stopped; what is finished is kept"),
    "a worker is gone": (BrokenPipeError(32, "Broken pipe"), 2, "error: Broken pipe"),
    "escape sequences": (InputError("\x1b[31mred\x07"), 2, "error: \\x1b[31mred\\x07"),
    "a fault of ours": (
        KeyError("k"),
        2,
        "error: KeyError: 'k' (test_entry.py, line ",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_whatever_ends_the_work_is_one_line(
    capsys: pytest.CaptureFixture[str], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TRACEBACK, raising=False)
    error, status, line = ENDS[case]
    assert answered(_raise(error)) == status
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(line)


def test_memory_that_numpy_cannot_get_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert answered(lambda: int(np.empty(2**50)[0])) == 2
    assert re.match(r"error: out of memory \(Unable to allocate .*\); ", capsys.readouterr().err)


def test_a_fault_of_ours_shows_where_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRACEBACK, "1")
    assert answered(_raise(KeyError("k"))) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_the_status_is_what_the_work_returns(returned: int | None, status: int) -> None:
    assert answered(lambda: returned) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_work_which_tidies_up(
    capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    tidied = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            tidied.append(True)
            raise RuntimeError("a library says it otherwise") from error

    given = signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler
    before = signal.signal(number, given)  # a shell may start the tests with the signal ignored
    try:
        assert answered(work) == 128 + number
        name = "" if number == signal.SIGINT else f" by {number.name}"
        assert tidied and capsys.readouterr().err == (
            f"stopped{name}; what is finished is kept, run the same command to go on\n"
        )
        assert signal.getsignal(number) == given
        assert answered(lambda: None) == 0, "it is not remembered"
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert answered(lambda: signal.raise_signal(signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def _process(
    arguments: Sequence[str], tail: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`python -m ir_replications` with what the shell does to its output."""
    line = f'"$0" -m replications "$@" {tail}'
    return subprocess.run(
        ["bash", "-c", line, sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_characters_that_the_terminal_lacks_are_written_out(tmp_path: Path, encoding: str) -> None:
    run = tmp_path / "lauf\u2013é\u202e\udce4\x1b[31m.run"
    run.write_text("q Q0 d1 1 2 r\n")
    (tmp_path / "qrels.txt").write_text("q 0 d1 1\n")
    names = [str(run), str(run), "--qrels", str(tmp_path / "qrels.txt")]
    done = _process(["compare", *names], PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    dash = b"\\u2013" if encoding in ("ascii", "latin-1") else "\u2013".encode(encoding)
    assert b"A = lauf" + dash in done.stdout
    assert rb"\u202e\udce4\x1b[31m.run" in done.stdout and b"\x1b" not in done.stdout


def test_a_bad_name_in_an_error_is_written_out_too(tmp_path: Path) -> None:
    done = _process(["compare", "\u2013\udce4", "b", "--qrels", "q"], PYTHONIOENCODING="ascii")
    assert done.returncode == 2 and done.stderr.startswith(b"error: \\u2013\\udce4: ")


@pytest.mark.parametrize(
    ("tail", "status", "error"),
    [
        ("| true; exit ${PIPESTATUS[0]}", 128 + signal.SIGPIPE, b""),
        (">&-", 0, b""),
        ("2>&-", 0, b""),
        ("< /dev/null > /dev/full", 2, b"error: No space left on device\n"),
    ],
)
def test_output_that_nobody_can_take(tail: str, status: int, error: bytes) -> None:
    # The table is larger than what a pipe holds only in a slow writer: a moment for `true`.
    slow = "import sys, time; time.sleep(.5); from ir_replications.__main__ import main; main()"
    if tail.startswith("|"):
        line = f'"$0" -c "{slow}" list {tail}'
        done = subprocess.run(
            ["bash", "-c", line, sys.executable],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
    else:
        done = _process(["list"], tail)
    assert (done.returncode, done.stderr) == (status, error)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "ir_replications", "data", "check", "closed"],
        ["-m", "ir_replications", "run", "bmx", "--collection", "closed", "--store", "s"],
        ["-m", "ir_replications", "run", "bmx", "--collection", "tiny", "--store", "closed/s"],
        ["-m", "ir_replications", "compare", "closed/a", "closed/b", "--qrels", "q"],
        ["-m", "ir_replications", "report", "--published-only", "--out", "closed"],
        ["-m", "ir_replications", "evaluate", "closed/a", "--qrels", "q"],
        ["-m", "ir_replications", "evaluate", "tiny/a", "--collection", "closed"],
        ["-m", "ir_replications", "rerank", "bm25", "--model", "m", "--collection", "closed"],
        ["-m", "ir_replications", "rerank", "closed/r", "--model", "m", "--collection", "tiny"],
        ["-m", "ir_replications", "train", "prorank", "closed/r.yaml"],
        ["-m", "ir_replications", "train", "tongsearch_qr", "closed/r.yaml"],
        ["-m", "ir_replications", "rewrite", "closed/q.jsonl", "--model", "m", "--output", "o"],
        ["-m", "ir_replications", "train", "bert_distill_losses", "closed/r.yaml"],
        ["-m", "ir_replications.reports.claims.spreads", "closed/store"],
    ],
    ids=lambda arguments: " ".join(arguments[1:]),
)  # fmt: skip
def test_folders_that_nobody_may_enter_are_one_line(
    tiny: Path, tmp_path: Path, arguments: list[str]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        done = unprivileged(arguments, tmp_path, IR_REPLICATIONS_CACHE=str(tmp_path / "cache"))
    finally:
        closed.chmod(0o755)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert (done.returncode, done.stdout, len(lines)) == (2, "", 1), done
    assert lines[0].startswith("error: ")
