"""A paper's figures, each drawn from the records of the larger tier that has something to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ir_replications.reports.pages.plots import Figure
from ir_replications.reports.records.record import Record

TIERS = ("small", "embedded")
Draw = Callable[[Sequence[Record], str], Figure | None]
"""Draws records of one tier, named beside them; None where there is nothing to draw."""
Plan = Sequence[tuple[Sequence[str], Draw]]
"""(experiments, what draws their records), in the order of the page."""


def drawn(records: Iterable[Record], plan: Plan) -> list[Figure]:
    """The figures of a plan that the good records suffice for."""
    good = [record for record in records if record.status == "ok"]
    found: list[Figure] = []
    for experiments, draw in plan:
        for tier in TIERS:
            chosen = [r for r in good if r.experiment in experiments and r.tier == tier]
            if chosen and (figure := draw(chosen, tier)):
                found.append(figure)
                break
    return found
