"""File primitives: the cache folder, atomic writes, what killed writers left, checksums."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import platformdirs

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import user_path
from ir_replications.shared.scratch import note_once, private_folder, usable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DAY_S = 86400.0
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no pipe keeps us waiting


def find_cache_dir(cache_dir: Path | str | None = None) -> Path:
    """Return the cache: the argument, else IR_REPLICATIONS_CACHE, else the user's cache folder.

    Where the user has no home that can be written it is a private temporary folder, with a note.
    """
    chosen = cache_dir or os.environ.get("IR_REPLICATIONS_CACHE")
    if chosen:
        return user_path(chosen)
    usual = platformdirs.user_cache_path("ir-replications")
    if usable(usual):
        return usual
    remedy = "set IR_REPLICATIONS_CACHE to a folder that can be written"
    if (folder := private_folder("cache")) is None:
        raise InputError(f"{usual}: the cache cannot be made there; {remedy}")
    note_once(f"{usual} cannot be made; the cache is {folder} ({remedy} to keep it elsewhere)")
    return folder


def nameless_file() -> IO[bytes]:
    """A file in the cache that goes with its last handle or map; InputError where none can be."""
    folder = find_cache_dir() / "scratch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); a large collection needs disk there: "
            "set IR_REPLICATIONS_CACHE to a folder with space"
        ) from error


@contextmanager
def atomic_write(path: Path | str, mode: str = "w", *, durable: bool = True) -> Iterator[IO]:
    """Yield a handle whose content appears at `path` only when the block ends without error.

    `mode` is "w" (UTF-8 text) or "wb". The temporary file lives beside `path`, is flushed to
    disk, and is removed when the block raises, so a full disk or a kill leaves nothing behind
    that a reader could take for a result. What can be made again need not be `durable`: it is not
    flushed, and a machine that loses its power may lose it. What a killed writer of the same path
    left is removed.
    Raises InputError when the folder cannot be written.
    """
    path = user_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent, path.name)
        fd, name, lock = _temporary(path, tempfile.mkstemp)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        with open(fd, mode, encoding=None if "b" in mode else "utf-8") as handle:
            yield handle
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise InputError(
            f"{path}: not written ({error.strerror or error}); free some space and run again"
        ) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        _release(lock)


@contextmanager
def scratch_folder(path: Path | str) -> Iterator[Path]:
    """Yield an empty folder beside `path`, whose content is to be moved there; gone at the end.

    What a killed maker of the same path left is removed. Raises OSError.
    """
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, path.name)
    _, name, lock = _temporary(path, lambda **place: (-1, tempfile.mkdtemp(**place)))
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
        _release(lock)


def replace_folder(made: Path, folder: Path) -> None:
    """Move `made`, which lies in a scratch folder beside `folder`, to its place.

    What was there goes, and is there again where the disk refuses the new one. Raises OSError.
    """
    if not os.path.lexists(folder):
        os.replace(made, folder)
        return
    old = made.with_name(f"{made.name}.old")
    os.replace(folder, old)  # never half there for who reads it now
    try:
        os.replace(made, folder)
    except BaseException:
        with contextlib.suppress(OSError):  # another process has put one there meanwhile
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove_abandoned(folder: Path, name: str | None = None) -> None:
    """Remove temporary files and folders whose writer was killed: those for `name`, or all.

    A living writer holds a lock; where a file system has none, nothing younger than a day goes.
    """
    target = ".+" if name is None else re.escape(name)
    pattern = re.compile(rf"\.{target}\.[a-z0-9_]{{8}}\.tmp")
    try:
        names = [f for f in os.listdir(folder) if f.startswith(".") and pattern.fullmatch(f)]
    except OSError:
        return
    for found in names:
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            fd = os.open(folder / found, os.O_RDONLY | _NO_LINK)
            try:
                if not _is_held(fd):
                    if stat.S_ISDIR(os.fstat(fd).st_mode):
                        shutil.rmtree(folder / found, ignore_errors=True)
                    else:
                        os.unlink(folder / found)
            finally:
                os.close(fd)


def _temporary(path: Path, make: Callable[..., tuple[int, str]]) -> tuple[int, str, int]:
    """A new file or folder beside `path`: (its descriptor, its name, that of its lock)."""
    while True:
        fd, name = make(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        lock = -1
        with contextlib.suppress(FileNotFoundError):
            if fcntl is not None:
                lock = os.open(name, os.O_RDONLY)
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.lexists(name):
            return fd, name, lock
        # Another process saw it without its lock and removed it.
        _release(fd)
        _release(lock)


def _is_held(fd: int) -> bool:
    """Whether a living writer has the temporary file or folder."""
    if fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            pass
    return time.time() - os.fstat(fd).st_mtime < _DAY_S


def _release(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def sha256_file(path: Path | str) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


_Stat = tuple[int, int, int, int]
_known_sums: dict[Path, tuple[_Stat, str]] = {}
_SETTLED_S = 2.0  # a younger file can change again within one tick of its clock


def sha256_unchanged(path: Path | str) -> str:
    """`sha256_file`, read again only when the file's size, times or inode are others.

    For large files that one process checks many times. Remembered in this process alone.
    """
    place = Path(path).absolute()
    found = place.stat()
    state = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    known = _known_sums.get(place)
    if known is not None and known[0] == state:
        return known[1]
    digest = sha256_file(place)
    if time.time() - max(found.st_mtime, found.st_ctime) > _SETTLED_S:
        _known_sums[place] = (state, digest)
    return digest
