"""Which records a selector stands for, and the numbers taken from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_replications.reports.claims.toml_reader import Parts, Selector
from ir_replications.reports.records.record import Record
from ir_replications.shared.rehearsal import is_rehearsal

SEED = "seed"  # records that differ in this alone are runs of one system


class SelectionError(Exception):
    """A selector is ambiguous, or its records do not hold what was asked for."""


def matching(records: Iterable[Record], selector: Selector) -> list[Record]:
    """The records that hold every pair of the selector; "" matches an absent value."""
    found = list(records)
    for key, wanted in selector.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if key in ("experiment", "label"):
            found = [record for record in found if getattr(record, key) in values]
        elif "" in values:
            found = [r for r in found if (v := r.config.get(key)) in values or v is None]
        else:
            found = [record for record in found if record.config.get(key) in values]
    return found


def matches(record: Record, selector: Selector) -> bool:
    """True when the record holds every pair of the selector; "" matches an absent value."""
    return bool(matching([record], selector))


def is_own(record: Record) -> bool:
    """True for a user's own folder, of which no paper claims anything."""
    return str(record.config.get("collection", "")).startswith("local/")


@dataclass(frozen=True)
class Sample:
    """The records of one system on one collection, one per seed, in seed order."""

    records: tuple[Record, ...]

    @property
    def stochastic(self) -> bool:
        """True when the system has a seed."""
        return any(record.seed is not None for record in self.records)

    @property
    def trained_once(self) -> bool:
        """True for one run of a system that was trained here: other runs would differ from it."""
        return len(self.good) == 1 and "training" in self.good[0].facts

    @property
    def failed(self) -> str | None:
        """The message of a failed run; of several seeds none may be missing unnoticed."""
        bad = [record for record in self.records if record.status == "error"]
        if not bad or len(bad) == len(self.records):
            return bad[0].error if bad else None
        return f"{len(bad)} of {len(self.records)} runs failed; the first: {bad[0].error}"

    @property
    def good(self) -> tuple[Record, ...]:
        """The records without error."""
        return tuple(record for record in self.records if record.status == "ok")

    def values(self, measure: str) -> list[float]:
        """One value per seed; raises SelectionError when a record lacks the measure."""
        return [value for record in self.good for value in [_single(record, measure)]]

    def by_seed(self, measure: str) -> dict[Any, float]:
        """Seed -> value."""
        return {record.seed: _single(record, measure) for record in self.good}

    def per_query(self, measure: str) -> dict[str, float]:
        """Query id -> mean over seeds; raises SelectionError when the queries differ."""
        rows = [record.per_query.get(measure) for record in self.good]
        if not rows or any(row is None for row in rows):
            return {}
        tables = [row for row in rows if row is not None]
        if any(table.keys() != tables[0].keys() for table in tables):
            raise SelectionError(f"the seeds of {self.records[0].label} have different queries")
        return {qid: math.fsum(table[qid] for table in tables) / len(tables) for qid in tables[0]}


def sample(records: Iterable[Record], selector: Selector, name: str = "selector") -> Sample:
    """The one system that a selector stands for; an empty sample when it was not run.

    Raises SelectionError when the records differ in more than the seed.
    """
    found = matching(records, selector)
    variants = {_identity(record) for record in found}
    if len(variants) > 1:
        configs = [dict(pairs) for _, pairs in variants]
        keys = sorted({key for config in configs for key in config})
        differing = [k for k in keys if len({repr(c.get(k)) for c in configs}) > 1]
        shown = "; ".join(
            f"{key} = {', '.join(sorted({str(c.get(key)) for c in configs})[:4])}"
            for key in differing[:3]
        ) or "experiment"  # fmt: skip
        raise SelectionError(
            f"{name} stands for {len(variants)} systems that differ in {shown}; name one of them"
        )
    return Sample(tuple(sorted(found, key=lambda record: (record.seed or 0, record.label))))


def as_pinned(records: Iterable[Record]) -> bool:
    """False when a record was measured on data that differ from the pinned counts or checksums.

    So are those of a rehearsal, whatever they are.
    """
    return not any(
        record.provenance.get("data_mismatch") or is_rehearsal(record.provenance)
        for record in records
    )


def groups(records: Iterable[Record], selector: Selector, key: str) -> list[str]:
    """Values of a config key among the records that a selector stands for, sorted."""
    found = matching((record for record in records if key in record.config), selector)
    return sorted({str(record.config[key]) for record in found})


def weights(parts: Parts) -> dict[str, float]:
    """Weight of every collection in the mean over `parts`; they add up to 1."""
    shares: dict[str, float] = {}
    for part in parts:
        members = (part,) if isinstance(part, str) else part
        shares.update(dict.fromkeys(members, 1 / len(parts) / len(members)))
    return shares


def average(samples: Sequence[Sample], shares: Sequence[float], measure: str) -> list[float]:
    """One value per seed: the weighted mean over the samples (one per collection)."""
    if len(samples) == 1:
        return samples[0].values(measure)
    tables = [found.by_seed(measure) for found in samples]
    seeds = [seed for seed in tables[0] if all(seed in table for table in tables)]
    if not seeds:
        raise SelectionError("the collections share no seed; run the same seeds on each")
    pairs = list(zip(shares, tables, strict=True))
    return [math.fsum(share * table[seed] for share, table in pairs) for seed in seeds]


def quantity(record: Record, name: str) -> list[float]:
    """The numbers that a record holds under a name: one mean, or all numbers of a fact.

    Facts are reached through dots ("train.gain") and may be a number, true or false, a list or a
    dict of them; "speed.a / speed.b" is the ratio of two. Raises SelectionError where there is
    none.
    """
    if " / " in name:
        over, _, under = name.partition(" / ")
        above, below = _single(record, over), _single(record, under)
        if not below:
            raise SelectionError(f"{under!r} of {record.label} is 0; no ratio to it")
        return [above / below]
    if name in record.means:
        return [record.means[name]]
    fact: Any = record.facts
    if name in record.facts:
        fact = record.facts[name]
    else:
        for part in name.split("."):
            if not isinstance(fact, Mapping) or part not in fact:
                raise SelectionError(
                    f"record {record.experiment}/{record.label} has no measure or fact {name!r}"
                )
            fact = fact[part]
    numbers = list(_numbers(fact))
    if not numbers:
        raise SelectionError(f"fact {name!r} of {record.label} holds no number")
    return numbers


def span(record: Record, name: str) -> tuple[float, float]:
    """The 95 % interval that a fact holds as {estimate, low, high}; dots as in `quantity`."""
    low, high = (quantity(record, f"{name}.{end}") for end in ("low", "high"))
    if len(low) != 1 or len(high) != 1 or low[0] > high[0]:
        raise SelectionError(f"fact {name!r} of {record.label} is no interval")
    return low[0], high[0]


def _single(record: Record, measure: str) -> float:
    numbers = quantity(record, measure)
    if len(numbers) != 1:
        raise SelectionError(f"{measure!r} of {record.label} is {len(numbers)} numbers, not one")
    return numbers[0]


def _identity(record: Record) -> tuple[str, tuple[tuple[str, Any], ...]]:
    pairs = sorted((key, value) for key, value in record.config.items() if key != SEED)
    return record.experiment, tuple(pairs)


def _numbers(value: Any) -> Iterable[float]:
    if isinstance(value, (bool, int, float)):
        yield float(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)
