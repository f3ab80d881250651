"""A lock that a file stands for, between processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ir_replications.shared.errors import InputError


@contextmanager
def turn_at(path: Path) -> Iterator[None]:
    """Wait for the lock of `path` and hold it to the end of the block; its folder is made.

    Raises InputError where the lock's file cannot be written, or cannot be locked.
    """
    from filelock import FileLock  # takes 15 ms, which a start may not need

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # where no file can be made filelock would try for ever
        lock.acquire()
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    except NotImplementedError as error:  # filelock, of a file system without locks
        raise InputError(f"{path}: its file system has no locks; choose another folder") from error
    try:
        yield
    finally:
        lock.release()
