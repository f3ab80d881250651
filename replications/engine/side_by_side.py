"""Cells side by side in worker processes of this machine, each keeping to what it has loaded.

A worker that goes on with the cells of one lane has their libraries, kernels, collection and
tokens in memory already. A queue that all workers share would load everything everywhere, and
would let two of them wait for one and the same training.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from ir_replications.engine.cores import usable_cores
from ir_replications.reports.records.provenance import THREADS

T = TypeVar("T")
R = TypeVar("R")

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_STOPS = {getattr(signal, name) for name in _NAMES if hasattr(signal, name)}


class Lanes(Generic[T]):
    """What is still to be done, as lanes of things that share what they need."""

    def __init__(self, items: Mapping[Hashable, Sequence[T]]) -> None:
        self._left = {name: deque(lane) for name, lane in items.items() if lane}
        self._untouched = list(self._left)

    def take(self, lane: Hashable | None) -> tuple[Hashable, T] | None:
        """(its lane, next thing) for a worker that was on `lane` before; None: nothing is left.

        From the same lane, else the first that nobody is on, else the one with the most left.
        """
        if not self._left:
            return None
        if lane not in self._left:
            untouched = [name for name in self._untouched if name in self._left]
            lane = untouched[0] if untouched else max(self._left, key=lambda n: len(self._left[n]))
        if lane in self._untouched:
            self._untouched.remove(lane)
        item = self._left[lane].popleft()
        if not self._left[lane]:
            del self._left[lane]
        return lane, item


def side_by_side(
    lanes: Mapping[Hashable, Sequence[T]], n_workers: int, work: Callable[[T], R]
) -> Iterator[R]:
    """`work` of everything in all lanes, in `n_workers` processes, yielded as it ends.

    What `work` raises ends the run; BrokenProcessPool where a worker was killed. Workers live as
    long as the run, whatever memory they take: one that began anew would load everything again.
    """
    waiting = Lanes(lanes)
    workers = [
        _Worker(work, n_workers) for _ in range(min(n_workers, sum(map(len, lanes.values()))))
    ]
    on: dict[Connection, tuple[_Worker, Hashable]] = {}

    def start(worker: _Worker, lane: Hashable | None) -> None:
        if taken := waiting.take(lane):
            lane, item = taken
            worker.begin(item)
            on[worker.line] = (worker, lane)

    try:
        for worker in workers:
            start(worker, None)
        while on:
            ready = wait(list(on))
            for line in [line for line in on if line in ready]:
                worker, lane = on.pop(line)
                result = worker.result()
                start(worker, lane)
                yield result
    except BaseException:
        for worker in workers:
            worker.process.terminate()
        raise
    finally:
        for worker in workers:
            worker.line.close()  # which ends it, once it waits for more
        for worker in workers:
            worker.process.join()


class _Worker:
    """A process that does one thing after another, and the line to it."""

    def __init__(self, work: Callable[[Any], Any], n_workers: int) -> None:
        context = get_context("spawn")  # a fork would inherit the threads of NumPy and torch
        self.line, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, work), daemon=True)
        with threads_split(n_workers), _no_signals():
            self.process.start()
        other.close()

    def begin(self, item: Any) -> None:
        """Have the worker do one more thing."""
        try:
            self.line.send(item)
        except BrokenPipeError as broken:
            raise BrokenProcessPool("a worker process was killed") from broken

    def result(self) -> Any:
        """What the worker sends next; raises what `work` raised."""
        try:
            error, result = self.line.recv()
        except (EOFError, ConnectionError) as broken:
            raise BrokenProcessPool("a worker process was killed") from broken
        if error is not None:
            raise error
        return result


def _serve(line: Connection, work: Callable[[Any], Any]) -> None:
    """What a worker does until the line is closed."""
    for number in _STOPS - {signal.SIGTERM}:  # for the process that runs the workers
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    while True:
        try:
            item = line.recv()
        except (EOFError, ConnectionError):
            return
        answer: tuple[Exception | None, Any] = (None, None)
        try:
            answer = (None, work(item))
        except Exception as error:
            answer = (error, None)
        try:
            line.send(answer)
        except ConnectionError:  # the process that asked was killed
            return


@contextmanager
def _no_signals() -> Iterator[None]:
    """A process started meanwhile can be stopped from `_serve` on; this one, afterwards.

    Stopped in the middle of a start, this process would leave the other half of what it sends.
    """
    resource_tracker.ensure_running()  # its start would let the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        with _put_off():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _put_off() -> Iterator[None]:
    """Handlers of signals are called afterwards: another thread's mask may let them through."""
    if threading.current_thread() is not threading.main_thread():  # handlers do not stop this one
        yield
        return
    came: dict[int, None] = {}
    caught = {n: handler for n in _STOPS if callable(handler := signal.getsignal(n))}
    for number in caught:
        signal.signal(number, lambda sent, _frame: came.setdefault(sent))
    try:
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)
        for sent in came:
            signal.raise_signal(sent)


@contextmanager
def threads_split(n_workers: int) -> Iterator[None]:
    """Processes started meanwhile compute with their share of the cores, unless the user says."""
    threads = str(max(1, usable_cores() // n_workers))
    added = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, threads))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
