"""What every reader does first: open, decode, parse and check, with one clear line on bad input."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, NoReturn

from ir_replications.shared.errors import InputError

_WRITER_S = 2.0  # how long a named pipe may stay without a writer
_AGAIN_S = 0.01
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)  # what 64 bits hold
_NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,4})?", re.ASCII)
BOM = "\ufeff"
JOINED = "a byte order mark at the start of this line (two files joined?); remove it"


def user_path(path: Path | str) -> Path:
    """The path with `~` as the user's folder: the rule for every path that a user names.

    Raises InputError for an empty path, one with NUL, and an unknown user's `~name`.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise InputError(f"{text!r}: no path; name a file or folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{text}: no such user; write the whole path") from error


def open_input(path: Path | str) -> io.BufferedReader:
    """Open a file or a pipe for reading bytes.

    Raises InputError for what cannot be opened, for folders and devices, and for a named pipe
    that nobody opens for writing within two seconds.
    """
    path = user_path(path)
    try:
        kind = path.stat().st_mode
        if stat.S_ISFIFO(kind):
            return os.fdopen(_open_pipe(path), "rb")
        if not stat.S_ISREG(kind):
            what = "a folder" if stat.S_ISDIR(kind) else "a device or socket"
            raise InputError(f"{path}: cannot be read (is {what}); expected a file")
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _open_pipe(path: Path) -> int:
    """A descriptor of the pipe; opening waits for a writer, so it waits in a thread."""
    opened: list[int | OSError] = []

    def wait() -> None:
        try:
            opened.append(os.open(path, os.O_RDONLY))
        except OSError as error:
            opened.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(_WRITER_S)
    if not opened:
        _release(path, thread, opened)
        raise InputError(f"{path}: a named pipe that nobody writes to; name a file")
    (found,) = opened
    if isinstance(found, OSError):
        raise found
    return found


def _release(path: Path, thread: threading.Thread, opened: list[int | OSError]) -> None:
    """Let the thread go that waits for a writer: by one for a moment, as soon as it waits."""
    while not opened:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:  # not: nobody reads it yet. It may wait on, as a daemon
                return
        thread.join(_AGAIN_S)
    if isinstance(opened[0], int):
        os.close(opened[0])


def read_bytes(path: Path | str) -> bytes:
    """The whole content of a file or pipe. Raises InputError as `open_input`."""
    with open_input(path) as handle:
        try:
            return handle.read()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_text(path: Path | str) -> str:
    """The whole UTF-8 text of a file or pipe, without a byte order mark at its start.

    Raises InputError, with the line, for bytes that are not UTF-8 and a mark further on (the sign
    of two files joined).
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from error
    if (joint := text.find("\n" + BOM)) >= 0:
        line = text.count("\n", 0, joint) + 2
        raise InputError(f"{path}:{line}: {JOINED}")
    return text


def read_json(path: Path | str) -> Any:
    """The JSON value of a file. Raises InputError as `read_text` and `parse_json`."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str, *, repeats: bool = False) -> Any:
    """The value of a JSON text.

    Raises InputError, starting with `where`, for what is no JSON by RFC 8259 (NaN and Infinity
    among it), a key given twice in one object, half a character, too deep nesting, and numbers
    of thousands of digits. `repeats` accepts a key given again with the same value.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        found.clear()
        for key, value in pairs:
            if key in found and not (repeats and found[key] == value):
                raise InputError(f"{where}: {key[:40]!r} is given twice; keep one of the two")
            found[key] = value
        return found

    def no_number(word: str) -> NoReturn:
        raise InputError(f"{where}: {word} is no JSON number")

    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except InputError:
        raise
    except json.JSONDecodeError as error:
        line = f":{error.lineno}" if "\n" in text.rstrip("\n") else ""
        raise InputError(f"{where}{line}: malformed JSON ({error.msg}); correct it") from error
    except RecursionError as error:
        raise InputError(f"{where}: JSON nested too deeply") from error
    except ValueError as error:  # int() of thousands of digits
        raise InputError(f"{where}: malformed JSON (a number of too many digits)") from error
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"{where}: a \\ud escape stands for half a character; write the whole character"
            ) from error
    return value


def is_cut_line(rest: bytes, start: bytes) -> bool:
    """Whether what follows the last line end is a cut off line of those that begin with `start`."""
    return rest.startswith(start) or start.startswith(rest)


def whole_number(text: str) -> int | None:
    """The whole number an ASCII text of at most 18 digits writes; None where it is none.

    Unlike `int`: no `1_0`, no digits of other scripts, no blanks.
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def finite_number(text: str) -> float | None:
    """The finite number an ASCII text writes (12, -.5, 1e-6); None where it is none.

    Unlike `float`: no `1_0`, no digits of other scripts, no blanks, no infinity, no NaN.
    """
    found = float(text) if _NUMBER.fullmatch(text) else math.inf
    return found if math.isfinite(found) else None


def is_whole(value: object, at_least: int = 0) -> bool:
    """Whether a parsed value is a whole number (no bool) of 64 bits, not below `at_least`."""
    return type(value) is int and at_least <= value < 2**63


def is_finite(value: object) -> bool:
    """Whether a parsed value is a finite number (no bool)."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and abs(value) < 2**63
