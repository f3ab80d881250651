"""Publishing: what is packed, what is refused, and what a kill or another publisher can do."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import ir_replications.reports.records.publish
from ir_replications.reports.records.files import read_pack
from ir_replications.reports.records.publish import publish
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import record

CLEAN = {"git": {"commit": "0" * 40, "dirty": False}}
RUN = {"q1": [("d1", 1.0)]}
Files = dict[str, bytes]


def cell(name: str, mean: float = 0.5, **fields: Any) -> Record:
    known = {**CLEAN, **fields.pop("provenance", {})}
    return record("bm25", f"beir/{name}", mean, provenance=known, **fields)


PLANNED = {cell(name).key for name in ("a", "b", "c", "d")}


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    """A store of the cells a, b (new) and c, and published a and b (old), with run files."""
    own, published = Store(tmp_path / "own"), Store(tmp_path / "published")
    for name in ("a", "b"):
        own.put(cell(name), {**RUN, "q2": [(name, 1.0)]})
    publish(own, published, "toy", "small", PLANNED)
    own.put(cell("b", 0.6), {"q1": [("other", 2.0)]})
    own.put(cell("c"), RUN)
    own.path(cell("a")).unlink()
    return own, published


def files(store: Store) -> Files:
    found = (path for path in store.root.rglob("*") if path.is_file())
    return {str(p.relative_to(store.root)): p.read_bytes() for p in found if p.name[0] != "."}


def labels(found: Any) -> list[str]:
    return [each.label.removeprefix("beir/").removesuffix(" bm25") for each in found]


def test_what_is_added_replaced_and_left_is_said_and_nothing_is_lost(
    stores: tuple[Store, Store],
) -> None:
    own, published = stores
    (change,) = publish(own, published, "toy", "small", PLANNED)
    assert labels(change.added) == ["c"] and labels(change.replaced) == ["b"]
    assert labels(change.left) == ["a"] and not change.same and not change.lost_runs
    found = published.records()
    assert labels(found) == ["a", "b", "c"] and labels(read_pack(change.pack)) == ["a", "b", "c"]
    assert [each.means["nDCG@10"] for each in found] == [0.5, 0.6, 0.5]
    assert all(each.run and published.has_run(each) for each in found)
    before = files(published)
    runs = sorted(f"toy/small/E1/runs/{each.stem}.run.gz" for each in found)
    assert sorted(before) == ["toy/small/E1.jsonl", *runs]
    (again,) = publish(own, published, "toy", "small", PLANNED)
    assert labels(again.same) == ["b", "c"] and files(published) == before


def test_a_run_file_that_goes_is_said(stores: tuple[Store, Store]) -> None:
    own, published = stores
    old = published.run_path(cell("b"))
    own.put(cell("b", 0.7))
    (change,) = publish(own, published, "toy", "small", PLANNED)
    assert labels(change.lost_runs) == ["b"] and not old.exists()


def test_another_label_is_the_same_cell(stores: tuple[Store, Store]) -> None:
    own, published = stores
    old = published.run_path(cell("b"))
    own.put(cell("b", 0.6, label="renamed"), RUN)
    (change,) = publish(own, published, "toy", "small", PLANNED)
    assert labels(change.replaced) == ["renamed"] and not old.exists()
    assert labels(published.records()) == ["a", "c", "renamed"]


def test_loose_published_records_move_into_the_pack(tmp_path: Path) -> None:
    own, published = Store(tmp_path / "own"), Store(tmp_path / "published")
    for name in ("a", "b"):
        own.put(cell(name), RUN)
    publish(own, published, "toy", "small", PLANNED)
    for each in (cell("b", 0.6), cell("c"), cell("d", experiment="E2")):
        published.path(each).parent.mkdir(exist_ok=True)
        published.path(each).write_text(each.to_json(), "utf-8")
    planned = {*PLANNED, cell("d", experiment="E2").key}
    changes = publish(published, published, "toy", "small", planned)
    assert [(labels(c.added), labels(c.replaced), labels(c.left)) for c in changes] == [
        (["c"], ["b"], ["a"]), (["d"], [], []),
    ]  # fmt: skip
    assert sorted(files(published)) == [
        "toy/small/E1.jsonl", f"toy/small/E1/runs/{cell('a').stem}.run.gz", "toy/small/E2.jsonl",
    ]  # fmt: skip
    assert not (published.root / "toy/small/E2").exists()
    assert publish(published, published, "toy", "small", planned) == []


def test_published_loose_records_that_the_store_lacks_are_packed_too(tmp_path: Path) -> None:
    own, published = Store(tmp_path / "own"), Store(tmp_path / "published")
    own.put(cell("a"))
    published.put(cell("b"), RUN)
    (change,) = publish(own, published, "toy", "small", PLANNED)
    assert labels(change.left) == ["b"] and labels(published.records()) == ["a", "b"]
    assert not published.path(cell("b")).exists() and published.has_run(published.records()[1])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (cell("c", provenance={"git": {"commit": "0" * 40, "dirty": True}}), "not committed; com"),
        (cell("c", provenance={"git": None}), "made outside a git clone"),
        (cell("other"), "is no cell of toy small"),
        (cell("b", error="no luck"), r"a failure \(no luck\) in place of a published result"),
    ],
)
def test_what_may_not_be_published_is_refused_and_nothing_is_written(
    stores: tuple[Store, Store], bad: Record, message: str
) -> None:
    own, published = stores
    before = files(published)
    own.put(bad)
    with pytest.raises(InputError, match=message) as error:
        publish(own, published, "toy", "small", PLANNED)
    assert str(error.value).startswith(f"{own.path(bad)}: ") and files(published) == before


def test_a_rehearsal_is_never_published(tmp_path: Path) -> None:
    own = Store(tmp_path / "own")
    own.put(cell("a", provenance={"rehearsal": "1"}))
    with pytest.raises(InputError, match="never published"):
        publish(own, Store(tmp_path / "published"), "toy", "small", PLANNED)


@pytest.mark.parametrize("where", ["own", "published"])
def test_an_altered_run_file_is_refused(stores: tuple[Store, Store], where: str) -> None:
    own, published = stores
    store, name = (own, "c") if where == "own" else (published, "a")
    store.run_path(cell(name)).write_bytes(b"x")
    before = files(published)
    with pytest.raises(InputError, match="sha256 differs"):
        publish(own, published, "toy", "small", PLANNED)
    assert files(published) == before


def test_a_store_without_such_records_is_refused(stores: tuple[Store, Store]) -> None:
    own, published = stores
    with pytest.raises(InputError, match=r"no records of toy paper; run it again"):
        publish(own, published, "toy", "paper", PLANNED)


def _dies(own: Store, published: Store, at: int) -> None:
    """Publish, and be killed before the `at`-th rename or removal."""
    left = [at]

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    os.replace = counted(os.replace)
    Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
    publish(own, published, "toy", "small", PLANNED)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_kill_between_the_renames_loses_nothing(stores: tuple[Store, Store], at: int) -> None:
    own, published = stores
    kept = files(own)
    process = multiprocessing.get_context("fork").Process(target=_dies, args=(own, published, at))
    process.start()
    process.join()
    died = process.exitcode == -signal.SIGKILL
    assert died == (at < 7), "two run files, the pack, and three removals that find nothing"
    now = {each.label: each.means["nDCG@10"] for each in published.records()}
    assert now["beir/a bm25"] == 0.5 and now["beir/b bm25"] in (0.5, 0.6)
    assert files(own) == kept
    publish(own, published, "toy", "small", PLANNED)
    assert labels(published.records()) == ["a", "b", "c"]
    assert all(published.has_run(each) for each in published.records())
    assert not list(published.root.rglob(".*.tmp"))


def _publishes(own: Path, published: Path) -> None:
    publish(Store(own), Store(published), "toy", "small", PLANNED)


def test_publishers_at_the_same_time_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ir_replications.reports.records.publish.pack_text

    def slow(records: Any) -> str:
        import time

        time.sleep(0.3)  # between what was read and what is written
        return real(records)

    monkeypatch.setattr(ir_replications.reports.records.publish, "pack_text", slow)
    names = ("a", "b", "c", "d")
    for name in names:
        Store(tmp_path / name).put(cell(name), RUN)
    fork = multiprocessing.get_context("fork")
    all_of_them = [
        fork.Process(target=_publishes, args=(tmp_path / name, tmp_path / "published"))
        for name in names
    ]
    for process in all_of_them:
        process.start()
    for process in all_of_them:
        process.join()
    assert [process.exitcode for process in all_of_them] == [0] * 4
    assert labels(Store(tmp_path / "published").records()) == list(names)
