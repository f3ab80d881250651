"""The statistics of one paired comparison, as claims and figures need them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_replications.reports.claims.select import Sample, SelectionError
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.significance import (
    macro_bootstraps,
    macro_randomization_test,
    randomization_test,
    student,
)
from ir_replications.shared.evaluation.two_level import two_level_bootstraps

_cache: dict[tuple[Any, ...], Effect] = {}  # the same pair is judged for pages, tests and drift


@dataclass(frozen=True)
class Effect:
    """A difference a - b in the printed scale, with intervals.

    [low, high] has 95 %, [low90, high90] 90 % (two one-sided tests). With two or more seeds a
    claim has to hold over queries and over seeds, so the intervals are the union of both and `p`
    is the larger of both; `test` names the methods, see `macro`. `groups` maps a collection to
    its own difference; `wanted` is the number of collections that the paper averages over.
    `trained_once`: a side is one run of a system trained here, so that the spread over trainings
    is in no interval.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    low90: float
    high90: float
    p: float
    test: str
    n: int
    unit: str
    seeds: int
    seed_differences: tuple[float, ...]
    groups: Mapping[str, float]
    wanted: int = 0
    trained_once: bool = False


def compare(a: Sample, b: Sample, measure: str, scale: float = 1.0) -> Effect:
    """Compare two systems on one collection; see `macro`."""
    return macro({"": (a, b)}, measure, scale)


def macro(
    pairs: Mapping[str, tuple[Sample, Sample]],
    measure: str,
    scale: float = 1.0,
    shares: Mapping[str, float] | None = None,
) -> Effect:
    """Compare two systems over collections, `{collection: (a, b)}`.

    `shares` gives each collection's weight, adding up to 1; by default all weigh the same.

    Over queries, a query's value being its mean over the seeds: bootstrap interval, stratified by
    collection, with the (stratified) sign-flip randomisation p: a bootstrap p of few queries is far
    too small. Over several collections where both sides have two or more seeds in common: two-level
    bootstrap interval (seeds, then queries within each collection) with the same p. Over seeds:
    Student's t on the differences per seed; a side with one run counts as a constant, unless it was
    trained and the other has a run of its seed: then those two are compared. A measure that has no
    per-query values is compared over seeds alone.
    Raises SelectionError when queries, data or seeds of the two sides do not agree.
    """
    shares = shares or dict.fromkeys(pairs, 1 / len(pairs))
    key = tuple(
        (
            name,
            *(tuple(record.digest for record in side.good) for side in pair),
            measure,
            scale,
            shares[name],
        )
        for name, pair in pairs.items()
    )
    if key not in _cache:
        try:
            _cache[key] = _macro(pairs, measure, scale, shares)
        except InputError as error:
            raise SelectionError(str(error)) from error
    return _cache[key]


def _macro(
    pairs: Mapping[str, tuple[Sample, Sample]],
    measure: str,
    scale: float,
    shares: Mapping[str, float],
) -> Effect:
    matched = {name: _match(a, b) for name, (a, b) in pairs.items()}
    means = [(_mean(a, measure), _mean(b, measure)) for a, b in matched.values()]
    share = [shares[name] for name in matched]
    mean_a, mean_b = (
        scale * math.fsum(w * value for w, value in zip(share, side, strict=True))
        for side in zip(*means, strict=True)
    )
    over_seeds = _seed_differences(list(matched.values()), measure, share)
    over_seeds = [scale * value for value in over_seeds]
    spans: list[tuple[float, float, float, float]] = []
    p_values, tests, count, unit = [], [], 0, "seeds"
    # The bootstrap weighs collections alike, so a share other than 1/n is put into the values.
    factors = [scale * w * len(share) for w in share]
    diffs = [
        _query_differences(a, b, measure, factor)
        for factor, (a, b) in zip(factors, matched.values(), strict=True)
    ]
    two_level = False
    if all(diffs):
        by_seed = _query_differences_by_seed(list(matched.values()), measure, factors)
        two_level = len(diffs) > 1 and bool(by_seed)
        if two_level:
            wide, narrow = two_level_bootstraps(by_seed, [0.95, 0.90])
        else:
            wide, narrow = macro_bootstraps(diffs, [0.95, 0.90])
        spans.append((wide.low, wide.high, narrow.low, narrow.high))
        if len(diffs) == 1:
            p_values.append(randomization_test(diffs[0], [0.0] * len(diffs[0])).p)
            tests.append("sign-flip randomisation")
        else:
            p_values.append(macro_randomization_test(diffs).p)
            tests.append("stratified sign-flip randomisation")
        count, unit = sum(map(len, diffs)), "queries"
    elif any(diffs):
        raise SelectionError(f"only some collections have per-query values of {measure}")
    if len(over_seeds) >= 2 and max(over_seeds) > min(over_seeds):
        wide, narrow = student(over_seeds, [0.95, 0.90])
        spans.append((wide.low, wide.high, narrow.low, narrow.high))
        p_values.append(1.0 if wide.p is None else wide.p)
        tests.append("t over seeds")
    if not spans:
        raise SelectionError(f"{measure} has no per-query values and fewer than two seeds")
    return Effect(
        mean_a=mean_a,
        mean_b=mean_b,
        difference=mean_a - mean_b,
        low=min(span[0] for span in spans),
        high=max(span[1] for span in spans),
        low90=min(span[2] for span in spans),
        high90=max(span[3] for span in spans),
        p=max(p_values),
        test=" and ".join(tests) + ("; two-level bootstrap interval" if two_level else ""),
        n=count or len(over_seeds),
        unit=unit,
        seeds=max(1, len(over_seeds)),
        seed_differences=tuple(over_seeds),
        groups={name: scale * (a - b) for name, (a, b) in zip(matched, means, strict=True) if name},
        trained_once=any(side.trained_once for pair in matched.values() for side in pair),
    )


def _match(a: Sample, b: Sample) -> tuple[Sample, Sample]:
    """Both sides on the same data, and on the seeds that both have.

    One run of a seed that the other side lacks, of none, or of a system that is not trained, is
    left to stand against all of them.
    """
    for name in {*_data(a)} & {*_data(b)}:
        if _data(a)[name] != _data(b)[name]:
            raise SelectionError(f"the two sides were measured on different versions of {name}")
    seeds = {record.seed for record in a.good} & {record.seed for record in b.good}
    several = min(len(a.good), len(b.good)) > 1
    if not several and (not seeds or not (a.trained_once or b.trained_once)):
        return a, b
    if several and len(seeds) < 2:
        raise SelectionError("the two sides share fewer than two seeds; run the same seeds on both")
    first, second = (
        Sample(tuple(record for record in side.good if record.seed in seeds)) for side in (a, b)
    )
    return first, second


def _data(side: Sample) -> dict[str, str]:
    data: dict[str, str] = {}
    for record in side.good:
        data.update(record.provenance.get("data", {}))
    return data


def _mean(side: Sample, measure: str) -> float:
    values = side.values(measure)
    return math.fsum(values) / len(values)


def _query_differences(a: Sample, b: Sample, measure: str, scale: float) -> list[float]:
    """Per-query differences of the seed means; empty when a side has no per-query values."""
    first, second = a.per_query(measure), b.per_query(measure)
    if not first or not second:
        return []
    if first.keys() != second.keys():
        lacking = len(first.keys() ^ second.keys())
        raise SelectionError(f"the two sides have different queries ({lacking} are not in both)")
    return [scale * (first[qid] - second[qid]) for qid in first]


def _query_differences_by_seed(
    pairs: Sequence[tuple[Sample, Sample]], measure: str, factors: Sequence[float]
) -> list[list[list[float]]]:
    """Per collection, rows of per-query differences, one row per seed that all sides have.

    Empty when a side has one run or the collections share fewer than two seeds.
    """
    sides = [side for pair in pairs for side in pair]
    if any(len(side.good) < 2 for side in sides):
        return []
    common = set.intersection(*({record.seed for record in side.good} for side in sides))
    seeds = [record.seed for record in sides[0].good if record.seed in common]
    if len(seeds) < 2:
        return []
    tables = []
    for factor, (a, b) in zip(factors, pairs, strict=True):
        first = {record.seed: record.per_query[measure] for record in a.good}
        second = {record.seed: record.per_query[measure] for record in b.good}
        tables.append(
            [[factor * (first[s][qid] - second[s][qid]) for qid in first[seeds[0]]] for s in seeds]
        )
    return tables


def _seed_differences(
    pairs: Sequence[tuple[Sample, Sample]], measure: str, share: Sequence[float]
) -> list[float]:
    """Per seed, the weighted mean of a - b; empty unless one side has several seeds."""
    tables = []
    for a, b in pairs:
        first, second = a.by_seed(measure), b.by_seed(measure)
        seeds = first if len(first) >= len(second) else second
        if len(seeds) < 2:
            return []
        tables.append({seed: _at(first, seed) - _at(second, seed) for seed in seeds})
    common = [seed for seed in tables[0] if all(seed in table for table in tables)]
    weighted = list(zip(share, tables, strict=True))
    return [math.fsum(w * table[seed] for w, table in weighted) for seed in common]


def _at(values: Mapping[Any, float], seed: Any) -> float:
    """The value of a seed; the only value of a side that ran once."""
    return values[seed] if len(values) > 1 else next(iter(values.values()))
