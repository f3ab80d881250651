"""Progress where nobody looks at a bar: plain lines, seldom, with the time left."""

from __future__ import annotations

import io
import sys
import time

import pytest

from ir_replications.shared.progress import Lines, duration, progress
from tests.cli import PROGRESS


class Clock:
    """Seconds that a test lets go by."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_seldom_and_say_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(1000, "queries", clock)
    for second in range(1, 101):
        clock.now = float(second)
        lines.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "10 of 1,000 queries, about 16 min left",
        "30 of 1,000 queries, about 16 min left",
        "70 of 1,000 queries, about 16 min left",
    ]
    assert all(PROGRESS.match(line) for line in err.splitlines())


def test_what_an_earlier_run_made_is_no_measure_of_pace(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(10, "queries", clock)
    lines.advance(8, kept=True)
    assert lines.seconds_left is None
    clock.now = 30.0
    lines.advance()
    assert capsys.readouterr().err == "9 of 10 queries, about 30 s left\n"
    clock.now = 60.0
    lines.advance()
    assert capsys.readouterr().err == "", "the end says itself"


def test_one_long_thing_is_no_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ir_replications.shared.progress.FIRST_S", 0.05)
    with progress(2, "cells", "E2 a training") as follower:
        time.sleep(0.3)
        follower.advance(2)
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert set(lines) == {"0 of 2 cells, first E2 a training"}, "and none after the end"
    assert PROGRESS.match(lines[0])


def test_short_work_says_nothing_and_a_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(2, "queries") as follower:
        follower.advance(2)
    assert capsys.readouterr() == ("", "")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress(2, "queries", "[b]first[/b]") as follower:
        follower.advance(label="second")
    assert "second" in terminal.getvalue() and "1/2" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    monkeypatch.setattr(sys, "stderr", plain)
    with progress(2, "queries") as follower:
        follower.advance()
    assert "\x1b[38" not in plain.getvalue() and "\x1b[3" not in plain.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (89.4, "89 s"), (90, "2 min"), (3600, "1 h"), (3900, "1 h 5 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
