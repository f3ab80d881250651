"""A function over a few large items, side by side in forks of this process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_task: tuple[Callable[[Any], Any], Sequence[Any]] | None = None


def forked(function: Callable[[T], R], items: Sequence[T], processes: int) -> list[R]:
    """`[function(item) for item in items]`, in as many processes where the system can fork.

    A fork sees what this process holds, so function and items are not copied; results are. The
    process must have no other threads: a fork would inherit the locks that they hold.
    """
    global _task
    can = "fork" in multiprocessing.get_all_start_methods()
    if not can or processes < 2 or len(items) < 2:
        return [function(item) for item in items]
    _task = function, items
    try:
        with ProcessPoolExecutor(
            min(processes, len(items)), mp_context=multiprocessing.get_context("fork")
        ) as pool:
            return list(pool.map(_run, range(len(items))))
    finally:
        _task = None


def _run(index: int) -> Any:
    assert _task is not None
    function, items = _task
    return function(items[index])
