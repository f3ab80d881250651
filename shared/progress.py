"""How far long work is: a bar on a terminal; elsewhere a plain line now and then, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import monotonic

from ir_replications.shared.entry import say

FIRST_S, LONGEST_S = 10.0, 300.0  # to the first plain line, and at most between two of them


class Follower:
    """Counts what is done of `total` things; the subclasses show it."""

    def __init__(self, total: int, unit: str, clock: Callable[[], float] = monotonic) -> None:
        self.total, self.unit, self.done, self.kept = total, unit, 0, 0
        self._clock, self._began = clock, clock()

    def advance(self, number: int = 1, *, label: str | None = None, kept: bool = False) -> None:
        """`number` more are done; `kept`: by an earlier run, so that they took no time.

        `label` names what comes next.
        """
        self.done += number
        self.kept += number if kept else 0
        self.show(label)

    @property
    def seconds_left(self) -> float | None:
        """What the rest takes at the pace so far; None before anything was done."""
        made = self.done - self.kept
        return (self._clock() - self._began) / made * (self.total - self.done) if made else None

    def show(self, label: str | None) -> None:
        """Show how far it is."""


class Lines(Follower):
    """Plain lines: the first after FIRST_S seconds, each later one after twice as long.

    Until anything is done there is no pace; a line then names the `first` thing instead.
    """

    def __init__(
        self, total: int, unit: str, clock: Callable[[], float] = monotonic, first: str = ""
    ) -> None:
        super().__init__(total, unit, clock)
        self._pause = FIRST_S
        self._due = self._began + FIRST_S
        self._first = first
        self._one_at_a_time = Lock()

    @contextmanager
    def also_while_one_thing_lasts(self) -> Iterator[Lines]:
        """Lines come when they are due, however long a single one of the things takes."""
        end = Event()

        def lines() -> None:
            while not end.wait(max(0.0, self._due - self._clock())):
                self.show(None)

        writer = Thread(target=lines, daemon=True)
        writer.start()
        try:
            yield self
        finally:
            end.set()
            writer.join()

    def show(self, label: str | None) -> None:
        """Write a line where one is due."""
        with self._one_at_a_time:
            now = self._clock()
            if now < self._due:
                return
            self._pause = min(2 * self._pause, LONGEST_S)
            self._due = now + self._pause
            if self.done >= self.total:
                return
            left = self.seconds_left
            rest = "" if left is None else f", about {duration(left)} left"
            first = f", first {self._first}" if self._first and not self.done else ""
            say(f"{self.done:,} of {self.total:,} {self.unit}{first or rest}")


@contextmanager
def progress(total: int, unit: str, label: str = "") -> Iterator[Follower]:
    """Yield what is to be told of each of `total` things that is done; `unit` names them all.

    `label` names the first.
    """
    if not sys.stderr.isatty():
        with Lines(total, unit, first=label).also_while_one_thing_lasts() as lines:
            yield lines
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
        TimeRemainingColumn(),
    )  # fmt: skip
    bar = Progress(*columns, console=Console(stderr=True, markup=False), transient=True)
    task = bar.add_task(label, total=total)

    class Bar(Follower):
        """The bar of rich."""

        def show(self, label: str | None) -> None:
            """Move the bar."""
            bar.update(task, completed=self.done, description=label)

    with bar:
        yield Bar(total, unit)


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if not hours else f"{hours} h {rest} min" if rest else f"{hours} h"
