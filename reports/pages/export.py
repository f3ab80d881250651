"""Tables as files for other programs: CSV, Markdown and LaTeX (with booktabs).

A spreadsheet runs texts that begin like a formula: they get an apostrophe in front in CSV.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ir_replications.reports.pages.cite import tex
from ir_replications.reports.pages.formatting import MINUS
from ir_replications.shared.printable import printable, spreadsheet_text
from ir_replications.shared.reading import finite_number

_SEPARATORS = re.compile(r"""[,;\t\r\n"']""")
FORMATS = ("csv", "md.txt", "tex")  # .md alone would become a page of a site's own
Grid = Sequence[Sequence[object]]  # header row first


def exported(name: str, grid: Grid) -> dict[str, str]:
    """The files of a table: `name` with the suffix of each format -> its text."""
    texts = (as_csv(grid), as_markdown(grid), as_latex(grid))
    return {f"{name}.{suffix}": text for suffix, text in zip(FORMATS, texts, strict=True)}


def as_csv(grid: Grid) -> str:
    """Lines of comma-separated cells; quoted where they hold a separator."""
    return "".join(",".join(csv_cell(_plain(cell)) for cell in row) + "\n" for row in grid)


def as_markdown(grid: Grid) -> str:
    """A table of GitHub's Markdown."""

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(row) + " |\n"

    head, *body = [
        [printable(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
         for cell in row]
        for row in grid
    ]  # fmt: skip
    return line(head) + line(["---"] * len(head)) + "".join(map(line, body))


def as_latex(grid: Grid) -> str:
    """A tabular environment; needs \\usepackage{booktabs}."""

    def line(row: Sequence[str]) -> str:
        return " & ".join(row) + r" \\" + "\n"

    head, *body = [[tex(printable(cell)).replace(MINUS, "$-$") for cell in row] for row in grid]
    columns = "l" + "r" * (len(head) - 1)
    rows = "".join(map(line, body))
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{line(head)}\\midrule\n{rows}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def csv_cell(text: str) -> str:
    """A text as a cell, quoted where it holds a separator or a spreadsheet would run it."""
    safe = spreadsheet_text(text)
    quoted = '"' + safe.replace('"', '""') + '"'
    return quoted if safe != text or not text or _SEPARATORS.search(text) else text


def _plain(cell: object) -> str:
    """A number with the minus sign that programs read."""
    text = str(cell)
    number = text.replace(MINUS, "-")
    return number if finite_number(number) is not None else text
