"""The tables of the pages as grids for export: header row first, what a cell links to left out."""

from __future__ import annotations

from collections.abc import Iterable

from ir_replications.reports.pages.claim_views import ClaimView
from ir_replications.reports.pages.export import exported
from ir_replications.reports.pages.views import PaperView, TableView

Grid = list[list[object]]


def table_files(view: PaperView) -> dict[str, str]:
    """Every table, figure and list of claims of a paper's page, in each format of export.py."""
    folder = f"tables/{view.paper.id}"
    grids: dict[str, Grid] = {"claims": claims_grid(view.claims)}
    grids |= {f"table-{item.table.id}": table_grid(item) for item in view.tables}
    grids |= {
        f"figure-{figure.id}": [list(row) for row in figure.table]
        for figure in view.figures
        if figure.table
    }
    files: dict[str, str] = {}
    for name, grid in grids.items():
        files |= exported(f"{folder}/{name}", grid)
    return files


def claims_grid(claims: Iterable[ClaimView]) -> Grid:
    """A row per finding, and one per claim that was not run."""
    rows: Grid = [
        ["claim", "kind", "text", "compared", "tier", "group", "verdict", "ours", "unit",
         "interval", "compared with", "why"]
    ]  # fmt: skip
    for item in claims:
        head = [item.claim.id, item.claim.kind, item.claim.text, item.label]
        for shown in item.findings:
            f = shown.finding
            rows.append([*head, f.tier, f.group, f.verdict.word, shown.ours, shown.unit,
                         shown.interval, shown.printed, f.why])  # fmt: skip
        rows += [[*head, tier, "", "not run", "", "", "", "", ""] for tier in item.missing]
    return rows


def table_grid(item: TableView) -> Grid:
    """The printed value and ours side by side, with the verdict; our own tables hold ours alone."""
    table = item.table
    printed = table.has_paper_values
    head: list[object] = [""]
    for column in table.columns:
        head += (
            [f"{column.label}, printed", f"{column.label}, ours", f"{column.label}, verdict"]
            if printed
            else [column.label]
        )
    rows: Grid = [head]
    for label, _, cells in item.rows:
        row: list[object] = [label]
        for cell in cells:
            if cell is None:
                row += ["", "", ""] if printed else [""]
            elif printed:
                row += [cell.paper, cell.ours, cell.verdict.word if cell.verdict else ""]
            else:
                row.append(cell.ours)
        rows.append(row)
    return rows


def index_grid(views: Iterable[PaperView]) -> Grid:
    """The headline claims of all papers, as the index shows them."""
    rows: Grid = [
        ["paper", "claim", "verdict", "why", "quantity", "ours", "95 % interval", "measured on"]
    ]
    for view in views:
        for line in view.front:
            verdicts = ", ".join(f"{n} {v.word}" if n > 1 else v.word for v, n in line.verdicts)
            rows.append([view.paper.name, line.claim.text, verdicts, line.why, line.quantity,
                         line.ours, line.interval, ", ".join(line.scale)])  # fmt: skip
    return rows
