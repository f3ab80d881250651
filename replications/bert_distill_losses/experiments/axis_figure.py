"""A figure of an axis: students that differ in one setting, against the one at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ir_replications.bert_distill_losses.experiments.contrasts import MEASURE, Row, between, mean
from ir_replications.reports.pages.plots import Figure, lines
from ir_replications.reports.records.record import Record

Point = tuple[str, Mapping[str, Any]]  # its label, what the configs of its students hold


def axis_figure(
    id: str,
    title: str,
    what: str,
    points: Sequence[Point],
    end: str,
    records: Sequence[Record],
    tier: str,
) -> Figure | None:
    """Each point less the one named `end`: the mean over collections with its band, and each."""
    labels = [label for label, _ in points]
    wanted = dict(points)
    table: list[list[object]] = [["collection", *labels]]
    for name in sorted({r.config["collection"] for r in records}):
        own = [r for r in records if r.config["collection"] == name]
        table.append([name, *(_level(own, wanted[label]) for label in labels)])
    rows = {
        label: between(records, label, wanted[label], wanted[end])
        for label in labels if label != end
    }  # fmt: skip
    series: dict[str, list[tuple[float, ...]]] = {}
    for place, label in enumerate(labels):
        for row in rows.get(label, ()):
            band = (row.low, row.high) if row.where.startswith("mean") else ()
            series.setdefault(row.where, []).append((float(place), row.value, *band))
    if not series:
        return None
    for where, curve in series.items():
        zero = (0.0, 0.0) if where.startswith("mean") else ()
        series[where] = sorted([*curve, (float(labels.index(end)), 0.0, *zero)])
        found = {row.contrast: row for group in rows.values() for row in group
                 if row.where == where}  # fmt: skip
        table.append([f"{where}, less {end}", *(_gap(found.get(label)) for label in labels)])
    seeds = sorted({row.seeds for group in rows.values() for row in group})
    number = " or ".join(map(str, seeds))
    return Figure(
        id=id,
        title=title,
        caption=(
            f"{what} Points of {MEASURE} less {end}, {number} seed{'s' * (seeds != [1])}, tier "
            f"{tier}. Band: 95 % interval of the mean over collections, over queries"
            f"{' and, where there are several, seeds' * (seeds != [1])}."
        ),
        drawing=lines(series, ylabel=f"points of {MEASURE} less {end}", ticks=labels),
        alt=f"Curves of {MEASURE} along the axis, one for each collection.",
        table=table,
    )


def _level(records: Sequence[Record], wanted: Mapping[str, Any]) -> str:
    """nDCG@10 x 100, the mean over the seeds of one student on one collection."""
    value = mean([
        r.means[MEASURE] for r in records
        if all(r.config.get(key) == wish for key, wish in wanted.items())
    ])  # fmt: skip
    return f"{100 * value:.2f}" if math.isfinite(value) else "not run"


def _gap(row: Row | None) -> str:
    return f"{row.value:+.2f} [{row.low:+.2f}, {row.high:+.2f}]" if row else ""
