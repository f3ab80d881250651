"""The authors' own result tables, cell by cell as printed; tables/SOURCE.toml says where."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import finite_number, read_text

FOLDER = Path(__file__).parents[1] / "tables"
NAMES = ("beir", "bright", "multilingual")


@dataclass(frozen=True)
class PrintedTable:
    """Rows by their full name ("Baguetter BMX"), one value per column, in points.

    `averages` are the printed ones, `libraries` whose implementation a row is ("" where the table
    does not say).
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    averages: Mapping[str, float]
    libraries: Mapping[str, str]

    def differences(self, a: str, b: str) -> dict[str, float]:
        """Column -> a - b. Raises InputError for a row that the table does not have."""
        for name in (a, b):
            if name not in self.rows:
                raise InputError(f"no printed row {name!r}; the rows are: {', '.join(self.rows)}")
        pairs = zip(self.columns, self.rows[a], self.rows[b], strict=True)
        return {column: first - second for column, first, second in pairs}


def read_table(name: str, folder: Path = FOLDER) -> PrintedTable:
    """Read folder/name.csv: library, system, one column per data set, Avg.

    Raises InputError naming file and line of what is not as expected.
    """
    path = folder / f"{name}.csv"
    lines = list(csv.reader(read_text(path).splitlines()))
    if not lines or lines[0][:2] != ["library", "system"] or lines[0][-1] != "Avg":
        raise InputError(f"{path}:1: expected the columns library, system, data sets, Avg")
    rows: dict[str, tuple[float, ...]] = {}
    averages, libraries = {}, {}
    for number, line in enumerate(lines[1:], start=2):
        cells = [finite_number(cell) for cell in line[2:]]
        values = tuple(cell for cell in cells if cell is not None)
        full = " ".join(part for part in line[:2] if part)
        if len(line) != len(lines[0]) or len(values) != len(cells) or full in rows:
            raise InputError(
                f"{path}:{number}: expected {len(lines[0]) - 2} numbers after a library and a "
                "system that no other line has"
            )
        rows[full], averages[full], libraries[full] = values[:-1], values[-1], line[0]
    return PrintedTable(tuple(lines[0][2:-1]), rows, averages, libraries)
