"""Tables as a paper prints them, cell by cell, in CSV files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import finite_number, read_text

NAMES = (["system"], ["library", "system"])


@dataclass(frozen=True)
class Printed:
    """Columns of numbers, rows by their full name ("bm25s ATIRE"), and whose library each is.

    A cell that has no sourced value is None; `libraries` holds "" where the table does not say.
    """

    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]
    libraries: dict[str, str]


def read_printed(path: Path) -> Printed:
    """Read a CSV file: library (may be absent), system, then one column of numbers each.

    Raises InputError naming file and line of what is not as expected.
    """
    try:
        lines = list(csv.reader(read_text(path).splitlines(), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not valid CSV ({error}); correct it") from None
    head = lines[0] if lines else []
    named = 1 + head.index("system") if "system" in head else 0
    columns = tuple(head[named:])
    if head[:named] not in NAMES or not columns or len(set(columns)) < len(columns):
        raise InputError(
            f"{path}:1: expected the columns library (may be absent), system, and one of its own "
            "name for each column of numbers"
        )
    found = Printed(columns, {}, {})
    for number, line in enumerate(lines[1:], start=2):
        cells = [finite_number(cell) for cell in line[named:]]
        wrong = [
            cell for cell, value in zip(line[named:], cells, strict=True) if cell and value is None
        ]
        full = " ".join(part for part in line[:named] if part)
        if len(line) != len(head) or wrong or not full or full in found.rows:
            raise InputError(
                f"{path}:{number}: expected {len(columns)} numbers after a library and a "
                "system that no other line has"
            )
        found.rows[full] = tuple(cells)
        found.libraries[full] = line[0] if named > 1 else ""
    return found
