"""Checksums of files that one process checks many times."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from shared import files
from shared.files import sha256_unchanged


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
