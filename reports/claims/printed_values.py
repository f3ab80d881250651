"""Values of a table that stand in a CSV file beside it, where its key `values` names one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir_replications.shared.data.printed import read_printed
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import shown

_FILE = re.compile(r"(?:\w[\w-]*/)*\w[\w-]*\.csv", re.A)  # below the folder, never out of it


def with_values(table: Mapping[str, Any], path: Path, where: str) -> dict[str, Any]:
    """The table (columns and rows written out) with every row's values, for the file `path`.

    Raises InputError for a file, a column or a row that one has and the other lacks.
    """
    filled = dict(table)
    columns, names = _named(table.get("columns"))
    if columns is not None:
        filled["columns"] = columns
    if (file := filled.pop("values", None)) is None:
        return filled

    def need(holds: bool, what: str) -> None:
        if not holds:
            raise InputError(f"{path}: {where}: {what}")

    needed = 'must be a CSV file below this folder, e.g. values = "tables/name.csv"'
    need(isinstance(file, str) and bool(_FILE.fullmatch(file)), f"values {shown(file)} {needed}")
    rows = table.get("row")
    known = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    need(known, "key 'row' must be a list of tables, written [[table.row]]")
    printed = read_printed(path.parent / file)
    for name in names:
        need(name in printed.columns, f"{file} has no column {shown(name)}; name it by `printed`")
    places = [printed.columns.index(name) for name in names]
    left = dict.fromkeys(printed.rows)
    filled["row"] = []
    for row in rows or []:
        label = row.get("label")
        if isinstance(label, str) and (cells := printed.rows.get(label)) is not None:
            left.pop(label, None)
            need("values" not in row, f"row {shown(label)} has values here and in {file}")
            row = {**row, "values": ["" if cells[n] is None else cells[n] for n in places]}
        filled["row"].append(row)
    for label in left:
        need(False, f"no [[table.row]] has the label {shown(label)}, which {file} has")
    return filled


def _named(columns: Any) -> tuple[list[Any] | None, list[Any]]:
    """The columns without their key `printed`, and what each is called in the file."""
    if not isinstance(columns, list):
        return None, []
    names = [c.get("printed", c.get("label")) for c in columns if isinstance(c, dict)]
    without = [
        {key: value for key, value in column.items() if key != "printed"}
        if isinstance(column, dict)
        else column
        for column in columns
    ]
    return without, names
