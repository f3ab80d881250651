"""File primitives: the cache folder, atomic writes, checksums, transparent gzip."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import platformdirs

from shared.errors import InputError
from shared.reading import user_path
from shared.scratch import note_once, scratch_folder, usable


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
    if (folder := scratch_folder("cache")) is None:
        raise InputError(f"{usual}: the cache cannot be made there; {remedy}")
    note_once(f"{usual} cannot be made; the cache is {folder} ({remedy} to keep it elsewhere)")
    return folder


@contextmanager
def atomic_write(path: Path | str, mode: str = "w") -> Iterator[IO]:
    """Yield a handle whose content appears at `path` only when the block ends without error.

    `mode` is "w" (UTF-8 text) or "wb". The temporary file lives beside `path`, is flushed to
    disk, and is removed when the block raises, so a full disk or a kill leaves nothing behind
    that a reader could take for a result. Raises InputError when the folder cannot be written.
    """
    path = user_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        with open(fd, mode, encoding=None if "b" in mode else "utf-8") as handle:
            yield handle
            handle.flush()
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
