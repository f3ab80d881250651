"""Atomic writes and what killed writers leave; checksums of files checked many times."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from ir_replications.reports.records.store import Store
from ir_replications.shared import files
from ir_replications.shared.files import (
    atomic_write,
    remove_abandoned,
    replace_folder,
    scratch_folder,
    sha256_unchanged,
)
from tests.reports.example import record

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from ir_replications.shared.files import atomic_write, scratch_folder
def wait():
    print("open", flush=True)
    sys.stdin.readline()
if sys.argv[2] == "file":
    with atomic_write(sys.argv[1]) as handle:
        handle.write("theirs"); handle.flush()
        wait()
else:
    with scratch_folder(sys.argv[1]) as made:
        (made / "a").write_text("theirs")
        wait()
        made.rename(sys.argv[1])
"""


@contextmanager
def writer(path: Path, kind: str = "file") -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a write; a line on its standard input lets it end."""
    command = [sys.executable, "-c", WRITER, str(path), kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        yield process


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "record.json"
    with writer(path, kind) as process:
        process.send_signal(signal.SIGKILL)
    assert len(left(tmp_path)) == 1 and not path.exists()
    with atomic_write(tmp_path / "other.json") as handle:
        handle.write("x")
    assert len(left(tmp_path)) == 2  # of another file
    with atomic_write(path) as handle:
        handle.write("ours")
    assert left(tmp_path) == ["other.json", "record.json"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_living_writer_keeps_its_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "record.json"
    with writer(path, kind) as process:
        if kind == "file":
            with atomic_write(path) as handle:
                handle.write("ours")
            assert path.read_text() == "ours"
        remove_abandoned(tmp_path)
        process.communicate("\n")
        assert process.returncode == 0
    assert left(tmp_path) == ["record.json"]
    assert (path if kind == "file" else path / "a").read_text() == "theirs"


def test_writers_of_one_file_at_once_do_not_take_each_others(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def write(number: int) -> None:
        for _ in range(20):
            with atomic_write(path) as handle:
                handle.write(f"{number}" * 1000)
            with scratch_folder(path) as made:
                (made / "x").write_text("x")
                assert (made / "x").read_text() == "x"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert left(tmp_path) == ["a.json"]
    assert path.read_text() in {f"{number}" * 1000 for number in range(8)}


@pytest.mark.parametrize("refused", [False, True])
def test_a_folder_is_replaced_whole_or_stays(
    refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, replace = tmp_path / "index", os.replace
    folder.mkdir()
    (folder / "old").touch()
    with scratch_folder(folder) as scratch:
        made = scratch / "made"
        made.mkdir()
        (made / "new").touch()

        def refuse(source: Path, target: Path) -> None:
            if refused and source == made:
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="No space") if refused else nullcontext():
            replace_folder(made, folder)
    assert left(folder) == (["old"] if refused else ["new"])
    assert left(tmp_path) == ["index"]


def test_only_files_of_that_kind_are_removed(tmp_path: Path) -> None:
    kept = [".a.json.tmp", ".a.json.0123456.tmp", ".a.json.ABCDEFGH.tmp", "a.json.abcdefgh.tmp",
            ".b.json.abcdefgh.tmp", ".a.json.abcdefgh.tmp.gz"]  # fmt: skip
    for name in (*kept, ".a.json.abcdefgh.tmp"):
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / ".a.json.aaaaaaaa.tmp")
    (tmp_path / "target").write_text("x")
    (tmp_path / ".a.json.bbbbbbbb.tmp").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "a.json") as handle:
        handle.write("x")
    link = ".a.json.bbbbbbbb.tmp"
    assert left(tmp_path) == sorted([*kept, "a.json", "target", link])


def test_without_locks_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    young, old = tmp_path / ".a.abcdefgh.tmp", tmp_path / ".a.12345678.tmp"
    for path in (young, old):
        path.write_text("x")
    os.utime(old, (0, 0))
    with atomic_write(tmp_path / "a") as handle:
        handle.write("x")
    assert left(tmp_path) == [young.name, "a"]


def test_a_store_is_rid_of_what_killed_runs_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put = store.put(record("bm25", "a", 0.5), {"q1": [("d1", 1.0)]})
    folder = store.path(put).parent
    (folder / ".gone-0123456789.json.abcdefgh.tmp").write_text("x")
    (folder / "runs" / ".gone-0123456789.run.gz.abcdefgh.tmp").mkdir()
    (folder / "runs" / ".gone-0123456789.run.gz.abcdefgh.tmp" / "x").write_text("x")
    Store(tmp_path).claim(False)
    assert left(folder) == sorted([store.path(put).name, "runs"])
    assert left(folder / "runs") == [store.run_path(put).name] and store.has_run(put)


def test_a_tilde_in_a_path_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with atomic_write("~/a.txt") as handle:
        handle.write("x")
    assert left(tmp_path) == ["a.txt"]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read."""
    found: list[Path] = []

    def noted(path: Path) -> str:
        found.append(Path(path))
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    monkeypatch.setattr(files, "sha256_file", noted)
    return found


def settled(path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the file as if some time ago."""
    path.write_bytes(content)
    monkeypatch.setattr(files.time, "time", lambda: path.stat().st_ctime + 10)


def test_an_unchanged_file_is_read_once(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    settled(path, b"abc", monkeypatch)
    sums = {sha256_unchanged(path), sha256_unchanged(str(path))}
    assert sums == {hashlib.sha256(b"abc").hexdigest()} and read == [path]


def test_a_changed_file_is_read_again_even_at_the_same_size_and_time(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    settled(path, b"abc", monkeypatch)
    before = path.stat()
    sha256_unchanged(path)
    (tmp_path / "new").write_bytes(b"abd")
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tmp_path / "new", path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns and path.stat().st_size == before.st_size
    assert sha256_unchanged(path) == hashlib.sha256(b"abd").hexdigest()
    assert len(read) == 2


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path, read: list[Path]) -> None:
    """It could change again within one tick of its clock, unseen."""
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    sha256_unchanged(path)
    sha256_unchanged(path)
    assert len(read) == 2
