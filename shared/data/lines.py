"""Lines of a UTF-8 file, plain or gzip, with line numbers in every error."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.errors import InputError


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of each line that is not blank.

    Raises InputError for a file that cannot be read, bytes that are not UTF-8, and a gzip file
    that is cut short or damaged, each with the line.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 18) if zipped else raw
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8").rstrip("\r\n")
                if number == 1:
                    text = text.removeprefix("\ufeff")
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
        try:
            record = json.loads(line)
        except ValueError as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise InputError(
                f"{path}:{number}: malformed JSON ({reason}); expected one object per line"
            ) from error
        except RecursionError as error:
            raise InputError(f"{path}:{number}: JSON nested too deeply") from error
        if not isinstance(record, dict):
            raise InputError(
                f"{path}:{number}: expected a JSON object, found {type(record).__name__}"
            )
        if "\\ud" in line.lower():
            check_unicode(line, f"{path}:{number}", record)
        yield number, record


def check_unicode(line: str, where: str, record: object) -> None:
    """Raise InputError when a \\ud... escape of `line` left half a character in `record`."""
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: a \\ud escape stands for half a character; write the whole character"
        ) from error


def only_file(folder: Path, name: str) -> Path | None:
    """Return `folder/name` or its .gz form, None if neither exists; both at once is an error."""
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.exists()]
    if len(found) == 2:
        raise InputError(f"{folder}: both {name} and {name}.gz are there; remove one of them")
    return found[0] if found else None
