"""Lines of a UTF-8 file, plain or gzip, with line numbers in every error; files of a folder."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import BOM, JOINED, open_input, parse_json


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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


# One decoder for all lines: making one costs as much as reading a line of a corpus.
_decode = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number).decode
_half_character = re.compile(r"\\u[dD][89a-fA-F]").search


_no_blank_of_c = re.compile("[\x1c-\x1f]").search


def blank_separated(line: str) -> list[str]:
    """The columns between blanks of ASCII alone, as trec_eval reads them."""
    if line.isascii() and not _no_blank_of_c(line):
        return line.split()
    return [part.decode("utf-8") for part in line.encode("utf-8").split()]


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a file with one JSON object on each line."""
    for number, line in numbered_lines(path):
        try:
            if _half_character(line):
                raise ValueError("perhaps half a character")
            record = _decode(line)
        except (ValueError, RecursionError):
            record = parse_json(line, f"{path}:{number}")  # which says what is wrong, if anything
        if not isinstance(record, dict):
            raise InputError(
                f"{path}:{number}: expected a JSON object, found {type(record).__name__}"
            )
        yield number, record


def only_file(folder: Path, name: str) -> Path | None:
    """Return `folder/name` or its .gz form, None if neither exists; both at once is an error."""
    found = [path for path in (folder / name, folder / f"{name}.gz") if os.path.exists(path)]
    if len(found) == 2:
        raise InputError(f"{folder}: both {name} and {name}.gz are there; remove one of them")
    return found[0] if found else None


def files_of(folder: Path, *endings: str) -> list[Path]:
    """The files of `folder` whose names end so, by name; none where there is no such folder.

    Hidden files are left out: macOS puts a `._test.tsv` beside every `test.tsv` that it copies.
    Raises InputError for a folder that cannot be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from error
    return [folder / name for name in names if name.endswith(endings) and name[0] != "."]
