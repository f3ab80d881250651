"""Cells side by side: which one a worker takes next, what is yielded, and what ends the run."""

from __future__ import annotations

import os
import signal
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from ir_replications.engine import side_by_side as side_by_side_module
from ir_replications.engine.side_by_side import Lanes, side_by_side
from ir_replications.shared.errors import InputError


def test_a_worker_stays_on_its_lane_then_opens_one_then_helps_where_most_is_left() -> None:
    lanes = Lanes({"a": [1, 2], "b": [10, 20, 30, 40], "c": [100]})
    assert lanes.take(None) == ("a", 1)
    assert lanes.take(None) == ("b", 10)
    assert lanes.take("a") == ("a", 2)
    assert lanes.take("a") == ("c", 100), "a lane that nobody is on comes before b"
    assert lanes.take("c") == ("b", 20)
    assert [lanes.take("b") for _ in range(3)] == [("b", 30), ("b", 40), None]


def test_help_goes_to_the_lane_with_the_most_left() -> None:
    lanes = Lanes({"a": [1, 2, 3], "b": [10, 20], "empty": []})
    assert [lanes.take(None) for _ in range(2)] == [("a", 1), ("b", 10)]
    assert lanes.take("done") == ("a", 2)


def _place(item: int) -> tuple[int, int, str | None]:
    if item == -1:
        raise InputError("corpus.jsonl:1: bad")
    if item == -2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item, os.getpid(), os.environ.get("OMP_NUM_THREADS")


def test_everything_is_done_once_in_as_many_processes_as_asked_for() -> None:
    done = list(side_by_side({"a": range(5), "b": range(10, 15)}, 2, _place))
    assert sorted(item for item, _, _ in done) == [*range(5), *range(10, 15)]
    workers = {pid for _, pid, _ in done}
    assert len(workers) == 2 and os.getpid() not in workers


def test_one_lane_is_shared_by_all_workers() -> None:
    assert len({pid for _, pid, _ in side_by_side({"a": range(12)}, 3, _place)}) == 3


def test_threads_are_split_among_the_workers_unless_the_user_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert [told for _, _, told in side_by_side({"a": [1]}, 2, _place)] == ["7"]
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(side_by_side_module, "usable_cores", lambda: 6)
    assert [told for _, _, told in side_by_side({"a": [1]}, 2, _place)] == ["3"]


@pytest.mark.parametrize(("item", "error"), [(-1, InputError), (-2, BrokenProcessPool)])
def test_bad_input_or_a_killed_worker_ends_the_run(item: int, error: Any) -> None:
    with pytest.raises(error):
        list(side_by_side({"a": [item], "b": [1, 2]}, 2, _place))
