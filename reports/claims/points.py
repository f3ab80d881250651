"""One unit for measures that are shares (nDCG@10): points, times 100, whatever the file writes.

Claims and tables that give no scale are written in shares; they are judged and shown in points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ir_replications.reports.claims.types import Check, Numbers, Paper, Table

SHARES = ("nDCG@", "AP@", "R@", "RR@", "P@")  # measures between 0 and 1
POINTS = 100.0


def in_points(paper: Paper) -> Paper:
    """The paper with every claim and table of such a measure in points; others as they are."""
    return replace(
        paper,
        claims=tuple(replace(claim, check=_check(claim.check)) for claim in paper.claims),
        tables=tuple(_table(table) for table in paper.tables),
    )


def _check(check: Check) -> Check:
    """A value, effect or equivalence with all its numbers in points."""
    limit = check.kind in ("bound", "interval")
    if limit or check.scale != 1 or not check.measure.startswith(SHARES):
        return check

    def times(value: Numbers) -> Numbers:
        if isinstance(value, Mapping):
            return {group: POINTS * each for group, each in value.items()}
        return value if value is None else POINTS * value

    def hundredfold(value: float | None) -> float | None:
        return value if value is None else POINTS * value

    return replace(
        check,
        scale=POINTS,
        decimals=max(check.decimals - 2, 0),
        value=POINTS * check.value,
        bound=POINTS * check.bound,
        subtract_from=hundredfold(check.subtract_from),
        sesoi=hundredfold(check.sesoi),
        tolerance=hundredfold(check.tolerance),
        paper_a=times(check.paper_a),
        paper_b=times(check.paper_b),
        paper_effect=times(check.paper_effect),
    )


def _table(table: Table) -> Table:
    """The table with every column in points whose measure is a share.

    A tolerance is of all columns: where they differ in unit, it stays, and so do they.
    """
    shares = [
        (column.measure or table.measure).startswith(SHARES) and (column.scale or table.scale) == 1
        for column in table.columns
    ]
    if not any(shares):
        return table
    banded = table.tolerance is not None or any(row.tolerance is not None for row in table.rows)
    if banded and not all(shares):
        return table
    columns = tuple(
        replace(
            column,
            scale=POINTS,
            decimals=max((table.decimals if column.decimals is None else column.decimals) - 2, 0),
        )
        if share
        else column
        for column, share in zip(table.columns, shares, strict=True)
    )
    rows = tuple(
        replace(
            row,
            values=tuple(
                POINTS * value if share and value is not None else value
                for value, share in zip(row.values, shares, strict=True)
            ),
            tolerance=None if row.tolerance is None else POINTS * row.tolerance,
        )
        for row in table.rows
    )
    tolerance = None if table.tolerance is None else POINTS * table.tolerance
    if all(shares):
        decimals = max(table.decimals - 2, 0)
        table = replace(table, scale=POINTS, decimals=decimals)
    return replace(table, columns=columns, rows=rows, tolerance=tolerance)
