"""Damage to bytes, texts and JSON values, drawn from a seeded generator."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

# Written in place of a value, in any notation: what a parser might believe.
ODD = (
    "null", "true", "false", "0", "-1", "1.5", '""', '"x"', "[]", "{}", "[1]", '{"a": 1}', "NaN",
    "Infinity", "-Infinity", "1e999", "1e308", "-1e308", "1e-320", "1_0", "01", "+1", ".5", "0x10",
    "2.0", "9" * 19, "9" * 400, "9" * 5_000, "-" + "9" * 30, "\uff11\uff12", "\u0661", '"1"',
    r'"\ud800"', r'"\u0000"', r'"\u001b[31m"', '"' + "x" * 9_000 + '"', '"a\\nb"', '" x "',
    "[" * 60 + "]" * 60, "[" * 100_000, '{"a":' * 50_000, '"../../x"', '"/etc/passwd"', "'x'",
)  # fmt: skip
# Only in YAML and TOML.
ODD_SETTINGS = (
    "nan", "inf", "-inf", ".nan", ".inf", "-.inf", "1:30", "0o17", "0b11", "yes", "~", "2020-01-01",
    "999999", "1e400", "!!python/object/apply:os.getcwd []", "*a", "&a [*a]", "{<<: *a}",
    "&a [1, 1], b: [*a, *a]", "1e-3", "1_000", "'''x'''", '"""', "[[1], 2]", "12:34:56", "|", ">-",
)  # fmt: skip
CHARACTERS = (
    "\ufeff", "\0", "\x1b[31m", "\x07", "\x85", "\u2028", "\u00a0", "\u3000", "\u200b", "\u202e",
    "\x1c", "\x0b", "\x0c", "\r", "\t", "\n", '"', "'", "\\", "#", ",", ";", "_", "\ud83d\ude00"
    .encode("utf-16", "surrogatepass").decode("utf-16"), "\uff10", "=", ":", "%", "<b>",
)  # fmt: skip


def of_bytes(content: bytes, rng: Random) -> bytes:
    """Cut, flip, blank, drop, repeat or insert bytes."""
    if not content:
        return rng.randbytes(rng.randrange(1, 30))
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.choice((1, 1, 4, 8, 50)))
    kind = rng.randrange(9)
    if kind == 0:
        return content[: rng.choice((0, 1, start, len(content) - 1))]
    if kind in (1, 2):
        return (
            content[:start] + bytes([content[start] ^ 1 << rng.randrange(8)]) + content[start + 1 :]
        )
    if kind == 3:
        return content[:start] + bytes(end - start) + content[end:]
    if kind == 4:
        return content[:start] + content[end:]
    if kind == 5:
        return content[:end] + content[start:end] + content[end:]
    if kind == 6:
        return content[:start] + rng.randbytes(end - start) + content[end:]
    if kind == 7:
        return content[:start] + b"\xff" * (end - start) + content[end:]
    return content[:start] + rng.choice((b"\xff\xfe", b"\xc3", b"\xed\xa0\x80")) + content[start:]


def of_encoding(content: bytes, rng: Random) -> bytes:
    """Another encoding, another line end, compression, damaged compression, files joined."""
    text = content.decode("utf-8", "replace")
    kind = rng.randrange(11)
    zipped = gzip.compress(content, mtime=0)
    if kind == 0:
        return b"\xef\xbb\xbf" + content
    if kind == 1:
        return content + b"\xef\xbb\xbf" + content
    if kind == 2:
        return text.encode(rng.choice(("utf-16", "utf-32", "utf-16-le")))
    if kind == 3:
        return (text[:9] + "\u00e9" + text[9:]).encode("latin-1", "replace")
    if kind == 4:
        return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\r\n", b"\x85")))
    if kind == 5:
        return content.rstrip(b"\n") if rng.random() < 0.5 else content + b"\n \n\t\n"
    if kind == 6:
        return zipped
    if kind == 7:
        return zipped[: rng.randrange(len(zipped))]
    if kind == 8:
        return of_bytes(zipped, rng)
    return zipped + (zipped if kind == 9 else b"rest")


def of_text(content: bytes, rng: Random) -> bytes:
    """Odd characters, odd digits, lines that come twice, go, move or are blank."""
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    line = rng.randrange(len(lines))
    place = rng.randrange(len(text) + 1)
    kind = rng.randrange(10)
    if kind in (0, 1):
        return (text[:place] + rng.choice(CHARACTERS) + text[place:]).encode()
    if kind == 2:
        lines.insert(line, lines[line])
    elif kind == 3:
        del lines[line]
    elif kind == 4:
        lines.insert(line, rng.choice(("", " ", "\t", "# note", "\ufeff", "{}", "[]", "null")))
    elif kind == 5:
        lines[line] = rng.choice(CHARACTERS) + lines[line]
    elif kind == 6:
        lines[line] = lines[line] + rng.choice(CHARACTERS)
    elif kind == 7:
        other = rng.randrange(len(lines))
        lines[line], lines[other] = lines[other], lines[line]
    else:
        numbers = list(re.finditer(r"-?\d+(\.\d+)?", text))
        if not numbers:
            return of_bytes(content, rng)
        found = rng.choice(numbers)
        odd = rng.choice([o for o in ODD if len(o) < 10_000])
        return (text[: found.start()] + odd + text[found.end() :]).encode("utf-8", "replace")
    return "\n".join(lines).encode()


def of_columns(content: bytes, rng: Random) -> bytes:
    """One column of one line is another, is missing, is there twice, or is quoted."""
    lines = content.decode("utf-8", "replace").split("\n")
    line = rng.randrange(len(lines))
    blank = "\t" if "\t" in lines[line] else " "
    columns = lines[line].split(blank)
    column = rng.randrange(len(columns))
    kind = rng.randrange(6)
    if kind == 0:
        del columns[column]
    elif kind == 1:
        columns.insert(column, columns[column])
    elif kind == 2:
        columns[column] = '"' + columns[column] + rng.choice(('"', "", '""', '" '))
    elif kind == 3:
        columns[column] += rng.choice(CHARACTERS)
    else:
        columns[column] = rng.choice([o for o in ODD if len(o) < 10_000])
    lines[line] = rng.choice((blank, blank, "\t", " ", "  ", "\u00a0")).join(columns)
    return "\n".join(lines).encode("utf-8", "replace")


def of_json(content: bytes, rng: Random) -> bytes:
    """One value of a JSON text is another, one key is missing, renamed, new or there twice."""
    try:
        return odd_value(json.loads(content), rng).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # damaged before
        return of_text(content, rng)


def of_rows(content: bytes, rng: Random) -> bytes:
    """One row of {table: {split: rows}} is another, gone or there twice; it stays a mapping."""
    value = json.loads(content)
    rows = rng.choice([rows for splits in value.values() for rows in splits.values()])
    place = rng.randrange(len(rows))
    kind = rng.randrange(10)
    if kind == 0:
        del rows[place]
    elif kind == 1:
        rows.append(dict(rows[place]))
    for _ in range(50 if kind > 1 else 0):
        try:
            found = json.loads(odd_value(dict(rows[place]), rng))
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            rows[place] = found
            break
    return json.dumps(value).encode()


def odd_value(value: Any, rng: Random) -> str:
    """JSON of a value after one change inside it, which need no longer be JSON."""
    places = list(_places(value))
    holder, key = rng.choice(places) if places else (None, None)
    mark, raw = "@@odd@@", rng.choice(ODD)
    kind = rng.randrange(8)
    if holder is None:
        return raw
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        # The key once more, with another value: written as one text.
        again = f"{json.dumps(key)}: {raw}, {json.dumps(key)}"
        holder["@@again@@"] = holder.pop(key)
        return json.dumps(value).replace('"@@again@@"', again, 1)
    elif kind == 2 and isinstance(holder, dict):
        holder[rng.choice(("", "x", "a\x1b[31m", f"{key} ", str(key).upper()))] = holder.pop(key)
    elif kind == 3:
        swap, other = rng.choice(places)
        holder[key], swap[other] = swap[other], holder[key]
        try:
            return json.dumps(value)
        except (ValueError, RecursionError):  # a value inside itself
            return raw
    else:
        holder[key] = mark
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).replace(f'"{mark}"', raw, 1)


def of_json_lines(content: bytes, rng: Random) -> bytes:
    """`of_json` in one line."""
    lines = content.split(b"\n")
    line = rng.randrange(len(lines))
    lines[line] = of_json(lines[line], rng)
    return b"\n".join(lines)


def of_settings(content: bytes, rng: Random) -> bytes:
    """One value of a TOML or YAML text is another, one line comes twice, is gone or indented."""
    lines = content.decode("utf-8", "replace").split("\n")
    settings = [n for n, text in enumerate(lines) if re.search(r"[=:]", text)]
    if not settings:
        return of_text(content, rng)
    line = rng.choice(settings)
    kind = rng.randrange(10)
    if kind == 0:
        lines.insert(line, lines[line])
    elif kind == 1:
        del lines[line]
    elif kind == 2:
        lines[line] = rng.choice(("  ", "\t", "- ", "? ")) + lines[line]
    elif kind == 3:
        lines.insert(line, lines[rng.randrange(len(lines))])
    else:
        values = list(
            re.finditer(r'(?<=[=:,\[{] )[^,\]}\s][^,\]}]*|(?<=[\[{])"[^"]*"', lines[line])
        )
        odd = rng.choice(ODD_SETTINGS + tuple(o for o in ODD if len(o) < 10_000 or kind == 9))
        if values:
            found = rng.choice(values)
            lines[line] = lines[line][: found.start()] + odd + lines[line][found.end() :]
    return "\n".join(lines).encode("utf-8", "replace")


def _places(value: Any) -> Any:
    """(container, key) of every value inside a JSON value."""
    if not isinstance(value, dict | list):
        return
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


KINDS: dict[str, tuple[Mutation, ...]] = {
    "bytes": (of_bytes,),
    "columns": (of_columns, of_columns, of_text, of_encoding, of_bytes),
    "json": (of_json, of_json, of_json, of_text, of_encoding, of_bytes),
    "lines": (of_json_lines, of_json_lines, of_json_lines, of_text, of_encoding, of_bytes),
    "rows": (of_rows,),
    "settings": (of_settings, of_settings, of_settings, of_text, of_encoding, of_bytes),
}


def damaged(content: bytes, kind: str, rng: Random) -> bytes:
    """The content after one, seldom two, mutations of its kind."""
    for _ in range(2 if rng.random() < 0.15 else 1):
        content = rng.choice(KINDS[kind])(content, rng)
    return content
