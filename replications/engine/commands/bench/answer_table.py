"""What `replicate bench` prints: the answer, the table, what else has to be said."""

from __future__ import annotations

from rich.table import Table

from ir_replications.engine.commands.options import console
from ir_replications.engine.door import tell
from ir_replications.reports.bench.findings import Bench, Row, milliseconds
from ir_replications.reports.pages.formatting import interval, number, p_value, signed
from ir_replications.shared.printable import printable

WIDE = 100  # columns of a terminal that has room for all that the page shows


def show_bench(found: Bench) -> None:
    """Print a bench: the sentence first, then a row per system."""
    tell(f"\n{found.answer}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("system", no_wrap=True)
    judged = ("nDCG@10", "R@100", "difference, 95 % interval", "p")
    similar = ("overlap@10", "similarity")
    screen = console()
    costs = ("a query", "indexing", "memory")[: 1 if screen.width < WIDE else 3]
    for name in (*judged, *costs) if found.judged else (*costs, *similar):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        mark = " *" if row.front else ""
        cells = _measures(row, row is found.rows[0]) if found.judged else []
        cells += _costs(row)[: len(costs)]
        cells += [] if found.judged else [number(row.overlap, 2), number(row.similarity, 2)]
        table.add_row(printable(row.name + mark), *cells)
    screen.print(table)
    legend = "* none is both better and faster" if found.judged else "similarity: RBO, p = .9"
    tell(f"{legend}; points from 0 to 100; p by Holm" if found.judged else legend)
    for note in found.notes:
        tell(note)


def _measures(row: Row, baseline: bool) -> list[str]:
    if row.error:
        return ["not run", "", "", ""]
    if row.difference is None:
        return [number(row.ndcg, 1), number(row.recall, 1), "baseline" if baseline else "", ""]
    d = row.difference
    return [
        number(row.ndcg, 1),
        number(row.recall, 1),
        f"{signed(d.estimate, 1)} {interval(d.low, d.high, 1)}",
        p_value(row.p),
    ]


def _costs(row: Row) -> list[str]:
    if row.error:
        return ["", "", ""]
    index = "" if row.index_s is None else f"{row.index_s:.1f} s"
    memory = "" if row.memory_mib is None else f"{row.memory_mib:,.0f} MiB"
    return [milliseconds(row.query_ms), index, memory]
