"""Differences between arms, on each collection and on the mean of those that have both arms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ir_replications.reports.claims.effects import Effect, macro
from ir_replications.reports.claims.select import Sample, SelectionError, groups, sample
from ir_replications.reports.records.record import Record
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.significance import student
from ir_replications.shared.evaluation.two_level import two_level_bootstrap

MEASURE = "nDCG@10"


class Contrast(NamedTuple):
    """Arm `a` less arm `b`, of students that begin as `init`."""

    a: str
    b: str
    init: str = "pre-trained"

    @property
    def name(self) -> str:
        """ "A8 - A5", with the beginning where it is not the pre-trained model."""
        return f"{self.a} - {self.b}" + ("" if self.init == "pre-trained" else f", {self.init}")

    @property
    def sides(self) -> tuple[dict[str, str], dict[str, str]]:
        """What the configs of both arms' students hold."""
        return {"arm": self.a, "init": self.init}, {"arm": self.b, "init": self.init}


class Row(NamedTuple):
    """A difference in points with its 95 % interval, on a collection or the mean of several."""

    contrast: str
    where: str
    value: float
    low: float
    high: float
    seeds: int


H1 = (
    Contrast("A7", "A4"), Contrast("A8", "A5"), Contrast("A9", "A6"),  # C-1
    Contrast("A2", "A1"), Contrast("A7", "A10"),  # C-2
)  # fmt: skip
H2 = (
    Contrast("A13", "A8"), Contrast("A15", "A8"),  # C-3
    Contrast("A13", "A8", "teacher"), Contrast("A15", "A8", "teacher"),
    Contrast("A14", "A8"),  # C-4
)  # fmt: skip


def compared(records: Sequence[Record], contrast: Contrast) -> list[Row]:
    """The mean over all collections that have both arms, if several, then each; none if none."""
    return between(records, contrast.name, *contrast.sides)


def between(
    records: Sequence[Record], label: str, a: Mapping[str, Any], b: Mapping[str, Any]
) -> list[Row]:
    """As `compared`, of any two students, each given by what its config holds."""
    pairs = _pairs(records, a, b)
    rows = []
    if len(pairs) > 1 and (effect := _effect(pairs)):
        rows.append(_row(label, f"mean of {len(pairs)}", effect))
    for name, pair in pairs.items():
        if effect := _effect({name: pair}):
            rows.append(_row(label, name, effect))
    return rows


def combined(records: Sequence[Record], contrasts: Sequence[Contrast]) -> Row | None:
    """The mean of several contrasts over the collections and seeds that all of them have.

    The interval is the union of a two-level bootstrap of the queries' mean differences and, with
    several seeds, Student's t over the seeds' means. None where an arm is missing.
    """
    found = [_pairs(records, *contrast.sides) for contrast in contrasts]
    names = [name for name in found[0] if all(name in pairs for pairs in found)]
    samples = [side for pairs in found for name in names for side in pairs[name]]
    if not samples:
        return None
    common = set.intersection(*({r.config["seed"] for r in side.good} for side in samples))
    tables = [
        [_mean_differences([pairs[name] for pairs in found], seed) for seed in sorted(common)]
        for name in names
    ]
    try:
        spans = [two_level_bootstrap(tables)]
    except InputError:  # no seed, or other queries
        return None
    over_seeds = [mean([mean(table[i]) for table in tables]) for i in range(len(common))]
    if len(over_seeds) > 1 and max(over_seeds) > min(over_seeds):
        spans += student(over_seeds, [0.95])
    return Row(
        "mean of " + ", ".join(contrast.name for contrast in contrasts),
        f"mean of {len(names)}",
        100 * spans[0].estimate,
        100 * min(span.low for span in spans),
        100 * max(span.high for span in spans),
        len(common),
    )


def _pairs(
    records: Sequence[Record], a: Mapping[str, Any], b: Mapping[str, Any]
) -> dict[str, tuple[Sample, Sample]]:
    """Collection -> both students' records, where both are there and stand for one system each."""
    found = {}
    sides = [{"system": "student", **side} for side in (a, b)]
    for name in groups(records, sides[0], "collection"):
        try:
            first, second = (sample(records, {**side, "collection": name}) for side in sides)
        except SelectionError:
            continue
        if first.good and second.good:
            found[name] = (first, second)
    return found


def _effect(pairs: dict[str, tuple[Sample, Sample]]) -> Effect | None:
    try:
        return macro(pairs, MEASURE, 100.0)
    except SelectionError:
        return None


def _row(name: str, where: str, effect: Effect) -> Row:
    return Row(name, where, effect.difference, effect.low, effect.high, effect.seeds)


def _mean_differences(pairs: Sequence[tuple[Sample, Sample]], seed: int) -> list[float]:
    """Per query, the mean over the pairs of a - b at one seed."""
    tables = []
    for a, b in pairs:
        first, second = (
            next(r.per_query[MEASURE] for r in side.good if r.config["seed"] == seed)
            for side in (a, b)
        )
        tables.append({qid: first[qid] - second[qid] for qid in first if qid in second})
    return [mean([table[qid] for table in tables]) for qid in sorted(tables[0])]


def mean(values: Sequence[float]) -> float:
    """The mean; of nothing, not a number."""
    return math.fsum(values) / len(values) if values else math.nan
