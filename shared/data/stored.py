"""Documents of a large corpus in a file without a name: memory holds their ids and places alone."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, overload

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import find_cache_dir, nameless_file

LARGE = 64 << 20
"""Bytes of a file from which on its content stays on disk."""
_ZIPPED = 4  # text is about so much longer than its gzip


def is_large(path: Path) -> bool:
    """Whether the texts of a file stay on disk, for which there must be positional reads.

    Raises InputError where the file is gone.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return size * (_ZIPPED if path.name.endswith(".gz") else 1) >= LARGE and hasattr(os, "pread")


class StoredDocuments(Mapping[str, tuple[str, str]]):
    """Document id -> (title, text), whose texts are read from disk each time they are asked for."""

    def __init__(self, documents: Iterable[tuple[str, tuple[str, str]]]) -> None:
        self._rows: dict[str, int] = {}
        ends = array("q", [0])
        self._file = nameless_file()
        try:
            for key, parts in documents:
                self._rows[key] = len(self._rows)
                for part in parts:
                    data = part.encode("utf-8", "surrogatepass")
                    self._file.write(data)
                    ends.append(ends[-1] + len(data))
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{find_cache_dir()}: no space for the documents ({error.strerror}); free some, or "
                "set IR_REPLICATIONS_CACHE to another folder"
            ) from error
        self._ends = np.frombuffer(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> tuple[str, str]:
        row = 2 * self._rows[key]
        return _read(self._file, self._ends, row), _read(self._file, self._ends, row + 1)

    def columns(self, doc_ids: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Titles and texts of the documents, in the order of `doc_ids`."""
        rows = np.fromiter((2 * self._rows[each] for each in doc_ids), np.int64, len(doc_ids))
        titles = StoredTexts(self._file, self._ends, rows)
        return titles, StoredTexts(self._file, self._ends, rows + 1)


class StoredTexts(Sequence[str]):
    """Texts of a file; a slice is a list."""

    def __init__(self, file: IO[bytes], ends: np.ndarray, rows: np.ndarray) -> None:
        self._file, self._ends, self._rows = file, ends, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [_read(self._file, self._ends, row) for row in self._rows[place]]
        return _read(self._file, self._ends, self._rows[place])

    def __iter__(self) -> Iterator[str]:
        return (_read(self._file, self._ends, row) for row in self._rows)

    def __reduce__(self) -> tuple[type[list[str]], tuple[list[str]]]:
        return list, (list(self),)  # the file belongs to this process and its forks


def _read(file: IO[bytes], ends: np.ndarray, row: int) -> str:
    start, end = int(ends[row]), int(ends[row + 1])
    # Positional: threads and forked processes share the handle, and must not share its place.
    return os.pread(file.fileno(), end - start, start).decode("utf-8", "surrogatepass")
