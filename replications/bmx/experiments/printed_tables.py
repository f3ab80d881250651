"""The authors' own result tables, cell by cell as printed; tables/SOURCE.toml says where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ir_replications.shared.data.printed import read_printed
from ir_replications.shared.errors import InputError

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
    """Read folder/name.csv: library, system, one column per data set, Avg; every cell a number.

    Raises InputError naming the file, and the line of what is not as expected.
    """
    path = folder / f"{name}.csv"
    printed = read_printed(path)
    *columns, last = printed.columns
    rows: dict[str, tuple[float, ...]] = {}
    averages = {}
    for full, cells in printed.rows.items():
        values = tuple(cell for cell in cells if cell is not None)
        if last != "Avg" or len(values) < len(cells):
            raise InputError(f"{path}: {full}: expected a number in each column, Avg the last")
        rows[full], averages[full] = values[:-1], values[-1]
    return PrintedTable(tuple(columns), rows, averages, printed.libraries)
