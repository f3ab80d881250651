"""Progress over the systems of a bench, whose cells take from a second to many minutes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ir_replications.bench.systems import BenchJob, weight
from ir_replications.engine.door import tell
from ir_replications.engine.executors import execute
from ir_replications.reports.records.record import Record
from ir_replications.shared.progress import duration


class WeightedProgress:
    """What runs, how much is done and how long the rest may take: a bar, or plain lines."""

    def __init__(self, documents: int, queries: int) -> None:
        self._size = (documents, queries)
        self._weights: dict[Any, float] = {}
        self._done = self._spent = 0.0
        self._count = 0
        self._bar: Progress | None = None
        self._task: Any = None

    @contextlib.contextmanager
    def shown(self, jobs: Sequence[BenchJob]) -> Iterator[None]:
        """Show progress within the block, over these cells."""
        self._weights = {job.config["system"]: weight(job, *self._size) for job in jobs}
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
                   TextColumn("{task.fields[left]}"))  # fmt: skip
        console = Console(stderr=True, markup=False)
        with Progress(*columns, console=console, transient=True) as self._bar:
            total = sum(self._weights.values())
            self._task = self._bar.add_task("", total=total, left="")
            yield

    def run(self, jobs: Sequence[BenchJob], store: Path, **options: Any) -> dict[Any, Record]:
        """Run cells; records by the keys of their cells."""
        records: dict[Any, Record] = {}
        names = {job.key: str(job.config["system"]) for job in jobs}
        started = time.perf_counter()
        if jobs:
            self._say_next(str(jobs[0].config["system"]))
        for record, reused in execute(jobs, store, **options):
            records[record.key] = record
            name, took = names[record.key], time.perf_counter() - started
            started = time.perf_counter()
            self._count += 1
            own = self._weights.pop(name, 0.0)
            if not reused:
                self._done, self._spent = self._done + own, self._spent + took
            left = [n for key, n in names.items() if key not in records]
            self._say(name, record, took, reused, own, left[0] if left else "")
        return records

    def _left(self) -> str:
        """The time that the rest may take, at the pace so far; a guess counts as 20 s of it."""
        pace = (self._spent + 20) / (self._done + 20)
        return duration(pace * sum(self._weights.values()))

    def _say_next(self, name: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=name, left=f"about {self._left()} left")

    def _say(
        self, name: str, record: Record, took: float, reused: bool, own: float, following: str
    ) -> None:
        left = f"about {self._left()} left" if self._weights else "done"
        if self._bar is not None:
            self._bar.update(self._task, advance=own, description=following or name, left=left)
            return
        total = self._count + len(self._weights)
        what = "kept from before" if reused else f"{took:.1f} s"
        what = f"failed: {record.error}" if record.error else what
        tell(f"[{self._count}/{total}] {name}: {what}; {left}", err=True)
