"""Values per query of all systems of an experiment on one collection, to compare any two of them.

The page holds the values as CSV text, which the script reads; without it, a table says of every
system how many queries it has better and worse than the first stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ir_replications.reports.pages.export import csv_cell
from ir_replications.reports.pages.formatting import number, signed
from ir_replications.reports.pages.record_views import HEADLINE, Link
from ir_replications.reports.records.record import Record, order, slug

BASES = ("bm25", "original", "untrained", "zero-shot")  # what others are compared with, if there
DECIMALS = 4


@dataclass(frozen=True)
class Column:
    """One system's values, or those of one of its measures."""

    name: str
    record: Record
    measure: str
    values: dict[str, float]

    @property
    def mean(self) -> float:
        """The mean over its queries."""
        return math.fsum(self.values.values()) / len(self.values)


@dataclass(frozen=True)
class Against:
    """One system against the base, as text: differences in points, queries with their ids."""

    column: Column
    mean: str
    difference: str
    better: int
    equal: int
    worse: int
    helped: str
    hurt: str


@dataclass(frozen=True)
class QueryPage:
    """Values per query; `measure` is "" where the columns' names say which."""

    name: str  # path below the pages, without its suffix
    title: str
    measure: str
    base: str
    rows: list[Against]
    csv: str
    places: Mapping[tuple[str, str], int]  # (digest of a record, measure) -> its column, from 1

    def link(self, a: Record, b: Record, measure: str) -> Link | None:
        """The link that compares two of its systems; None where it lacks one."""
        found = [self.places.get((record.digest, measure)) for record in (a, b)]
        if None in found:
            return None
        return Link(f"{self.name}.html#{found[0]}-{found[1]}", "query by query")


def query_pages(records: Iterable[Record]) -> dict[tuple[str, str, str], QueryPage]:
    """(tier, experiment, collection) -> page, where there are two columns to compare."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(records, key=order):
        if record.per_query:
            groups.setdefault(group_of(record), []).append(record)
    pages = {}
    for (tier, experiment, collection), own in groups.items():
        columns = _columns(own, collection)
        if len(columns) < 2:
            continue
        part = f"-{slug(collection)}" if collection else ""
        base = next((c for word in BASES for c in columns if word in c.name), columns[0])
        pages[tier, experiment, collection] = QueryPage(
            f"records/{own[0].paper}/{tier}-{experiment}{part}-queries",
            " ".join(filter(None, (experiment, tier, collection))),
            HEADLINE if all(HEADLINE in r.per_query for r in own) else "",
            base.name,
            [_against(column, base) for column in columns],
            _csv(columns),
            {(c.record.digest, c.measure): i for i, c in enumerate(columns, 1)},
        )
    return pages


def group_of(record: Record) -> tuple[str, str, str]:
    """What the systems on one page have in common."""
    return record.tier, record.experiment, str(record.config.get("collection") or "")


def _columns(records: Sequence[Record], collection: str) -> list[Column]:
    """nDCG@10 of every record where all have it, else every measure of each."""
    plain = all(HEADLINE in record.per_query for record in records)
    found = []
    for record in records:
        seed = "" if record.seed is None else f" seed={record.seed}"
        name = " ".join(record.label.replace(collection, " ").split()) + seed
        for measure, values in record.per_query.items():
            if plain and measure != HEADLINE:
                continue
            shown = name if plain else f"{name} · {measure}"
            found.append(Column(shown, record, measure, values))
    names = [column.name for column in found]
    return [
        column
        if names.count(column.name) == 1
        else replace(column, name=f"{column.name} {column.record.config_hash[:6]}")
        for column in found
    ]


def _against(column: Column, base: Column) -> Against:
    """A column beside the base, over the queries that both have."""
    gaps = {q: v - base.values[q] for q, v in column.values.items() if q in base.values}
    best = max(gaps, key=lambda q: (gaps[q], q), default="")
    worst = min(gaps, key=lambda q: (gaps[q], q), default="")

    def told(query: str) -> str:
        return f"{query} ({signed(100 * gaps[query], 1)})"

    return Against(
        column=column,
        mean=number(100 * column.mean, 2),
        difference=signed(100 * math.fsum(gaps.values()) / len(gaps), 2) if gaps else "",
        better=sum(gap > 0 for gap in gaps.values()),
        equal=sum(gap == 0 for gap in gaps.values()),
        worse=sum(gap < 0 for gap in gaps.values()),
        helped=told(best) if best and gaps[best] > 0 else "",
        hurt=told(worst) if worst and gaps[worst] < 0 else "",
    )


def _csv(columns: Sequence[Column]) -> str:
    """One line per query, one column per system; empty where a system has no such query."""
    lines = [",".join(["query-id", *(csv_cell(column.name) for column in columns)])]
    values = [column.values for column in columns]
    for query in dict.fromkeys(query for each in values for query in each):
        numbers = [f"{each[query]:.{DECIMALS}g}" if query in each else "" for each in values]
        lines.append(",".join([csv_cell(query), *numbers]))
    return "\n".join(lines) + "\n"
