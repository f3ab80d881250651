"""Lines of a UTF-8 file, plain or gzip, with line numbers in every error."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.errors import InputError
from shared.reading import BOM, JOINED, open_input, parse_json


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of each line that is not blank.

    Raises InputError for a file that cannot be read, bytes that are not UTF-8, and a gzip file
    that is cut short or damaged, each with the line.
    """
    number = 0
    try:
        with open_input(path) as raw:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 18) if zipped else raw
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8").rstrip("\r\n")
                if text.startswith(BOM):
                    if number > 1:
                        raise InputError(f"{path}:{number}: {JOINED}")
                    text = text.removeprefix(BOM)
                if text and not text.isspace():
                    yield number, text
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}:{number + 1}: the gzip data is cut short or damaged here; "
            "copy or download the file again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a file with one JSON object on each line."""
    for number, line in numbered_lines(path):
        record = parse_json(line, f"{path}:{number}")
        if not isinstance(record, dict):
            raise InputError(
                f"{path}:{number}: expected a JSON object, found {type(record).__name__}"
            )
        yield number, record


def only_file(folder: Path, name: str) -> Path | None:
    """Return `folder/name` or its .gz form, None if neither exists; both at once is an error."""
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.exists()]
    if len(found) == 2:
        raise InputError(f"{folder}: both {name} and {name}.gz are there; remove one of them")
    return found[0] if found else None
