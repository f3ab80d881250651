"""Drift: do fresh records still say what the published ones say?

This is the golden-value check, kept apart from the verdict on the paper: an honest "differs"
that stays as recorded is no drift. What a number is decides how it is compared (kinds.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ir_replications.reports.claims.kinds import (
    COMPARED,
    FLOOR,
    SPREADS,
    SWAP,
    Kind,
    Numbers,
    Rule,
    numbers_of,
)
from ir_replications.reports.claims.select import matching
from ir_replications.reports.claims.types import Paper
from ir_replications.reports.records.checks import PER_QUERY_DECIMALS
from ir_replications.reports.records.record import Record
from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import is_finite

PER_QUERY = 10**-PER_QUERY_DECIMALS + 1e-9  # equal numbers may round to neighbouring digits


@dataclass(frozen=True)
class Deviation:
    """One number of a fresh cell against the published one.

    `size` is relative (float64, float32), the share of its limit (error-bound, trained: 1 is the
    limit itself), or 0 and 1 for equal and not (exact). `line` says what is wrong, "" if nothing.
    """

    kind: Kind
    experiment: str
    name: str
    size: float
    line: str


@dataclass(frozen=True)
class Comparison:
    """Fresh records held against the published ones.

    `compared` counts values per kind, `deviation` has the largest size per kind (see Deviation),
    `disagreements` and `left_out` (cells on other data or models) are one line each.
    """

    compared: Mapping[str, int]
    deviation: Mapping[str, float]
    disagreements: tuple[str, ...]
    left_out: tuple[str, ...]


def compare(
    paper: Paper, numbers: Numbers, published: Iterable[Record], fresh: Iterable[Record]
) -> Comparison:
    """Hold every number of the cells that both sides have against its published value.

    A fresh cell without a published record is a disagreement: its numbers are pinned by nothing.
    Raises InputError for a number that has no kind.
    """
    known = {record.key: record for record in published}
    compared = {kind.value: 0 for kind in COMPARED}
    deviation = {kind.value: 0.0 for kind in COMPARED}
    lines, left_out, unpublished = [], [], []
    for record in fresh:
        old = known.get(record.key)
        if old is None:
            unpublished.append(_name(record))
        elif not same_data(old, record):
            left_out.append(f"{_name(record)}: other data or models than published; not compared")
        elif old.status != record.status:
            why = record.error or "no error"
            lines.append(f"{_name(record)}: was {old.status}, is now {record.status} ({why})")
        elif other := sorted(_models(old) ^ _models(record)):
            lines.append(f"{_name(record)}: notes other models than published: {', '.join(other)}")
        else:
            for found in deviations(paper, numbers, old, record):
                compared[found.kind.value] += 1
                deviation[found.kind.value] = max(deviation[found.kind.value], found.size)
                if found.line:
                    lines.append(found.line + _instruction_sets(old, record))
    if unpublished:
        lines.append(
            f"{len(unpublished)} cells have no published record, e.g. {unpublished[0]}; "
            "publish this tier's records"
        )
    return Comparison(compared, deviation, tuple(lines), tuple(left_out))


def deviations(paper: Paper, numbers: Numbers, old: Record, new: Record) -> Iterator[Deviation]:
    """Every number of a cell that is compared at all, and those that one side alone has."""
    for first, second in ((old.means, new.means), (old.facts, new.facts)):
        before, after = numbers_of(first), numbers_of(second)
        for name, place in sorted(before.keys() | after.keys()):
            rule = numbers.rule(new.experiment, name)
            limit = _limit(rule, paper, numbers, new, name)
            if rule.kind not in COMPARED or (rule.kind is Kind.TRAINED and limit is None):
                continue
            where = f"{_name(new)}: {place}"
            if (name, place) not in before or (name, place) not in after:
                side = "gone" if (name, place) in before else "new"
                size, line = 1.0, f"{where} is {side}; publish the records again"
            else:
                was, now = before[name, place], after[name, place]
                size, good = _held(rule.kind, was, now, limit)
                line = "" if good else _moved(where, rule.kind, was, now, limit)
            yield Deviation(rule.kind, new.experiment, name, size, line)
    yield from _per_query(numbers, old, new)


def _per_query(numbers: Numbers, old: Record, new: Record) -> Iterator[Deviation]:
    for measure in sorted(old.per_query.keys() & new.per_query.keys()):
        kind = numbers.rule(new.experiment, measure).kind
        if kind not in (Kind.EXACT, Kind.FLOAT64):
            continue
        rows, fresh, where = old.per_query[measure], new.per_query[measure], _name(new)
        if rows.keys() != fresh.keys():
            line = f"{where}: {measure} has other queries than published"
            yield Deviation(Kind.EXACT, new.experiment, measure, 1.0, line)
            continue
        moved = [qid for qid in rows if abs(rows[qid] - fresh[qid]) > PER_QUERY]
        line = f"{where}: {measure} moved on {len(moved)} queries, e.g. {moved[0]}" if moved else ""
        yield Deviation(kind, new.experiment, measure, 0.0, line)


def error_bounds(paper: Paper, record: Record, name: str) -> list[float]:
    """The bounds that claims set on an error of this record."""
    return [
        claim.check.value
        for claim in paper.claims
        if claim.check.kind == "bound"
        and claim.check.measure == name
        and claim.check.op in ("<=", "<", "==")
        and matching([record], claim.check.select)
    ]


def _limit(rule: Rule, paper: Paper, numbers: Numbers, record: Record, name: str) -> float | None:
    if rule.kind is Kind.TRAINED:
        spread = numbers.spread(record.tier, record.experiment, name)
        queries = len(record.per_query.get(name, ()))
        swap = SWAP / queries if queries else 0.0
        return None if spread is None else max(SPREADS * spread, FLOOR, swap)
    if rule.kind is Kind.ERROR:
        found = error_bounds(paper, record, name)
        if not found and rule.limit is None:
            raise InputError(
                f"{numbers.place}: no claim bounds the error {name!r} of {_name(record)}; state "
                f"its bound in [{record.experiment}.bounds]"
            )
        return min(found) if found else rule.limit
    return rule.limit


def _held(kind: Kind, was: Any, now: Any, limit: float | None) -> tuple[float, bool]:
    """(size of the deviation, does the fresh value agree)."""
    if limit is None or not (is_finite(was) and is_finite(now)):
        equal = was == now and isinstance(was, bool) == isinstance(now, bool)
        return 0.0 if equal else 1.0, equal
    if kind is Kind.ERROR:
        share = abs(now) / limit if limit else 2.0 * (now != 0)  # twice nothing: beyond it
        return share, share <= 1
    if kind is Kind.TRAINED:
        return abs(was - now) / limit, abs(was - now) <= limit
    size = abs(was - now) / (max(abs(was), abs(now)) or 1.0)
    return size, size <= limit


def _moved(where: str, kind: Kind, was: Any, now: Any, limit: float | None) -> str:
    if kind is Kind.ERROR:
        return f"{where} is {now!r}, above its bound {limit:g}"
    allowed = {
        Kind.FLOAT64: f"relative {limit}", Kind.FLOAT32: f"relative {limit}",
        Kind.TRAINED: f"±{limit}",
    }.get(kind, "equal")  # fmt: skip
    return f"{where} was {was!r}, is now {now!r} ({kind.value}: {allowed})"


def _instruction_sets(old: Record, new: Record) -> str:
    sets = [r.provenance.get("cpu", {}).get("instruction_set") for r in (old, new)]
    if None in sets or sets[0] == sets[1]:
        return ""
    return f" (other instruction set: {sets[1]}, published with {sets[0]})"


def same_data(old: Record, new: Record) -> bool:
    """True when both cells were measured on the same data and models, by checksum.

    One may note more than the other: what both note has to agree.
    """
    for kind in ("data", "models"):
        before, after = old.provenance.get(kind, {}), new.provenance.get(kind, {})
        both = before.keys() & after.keys()
        if len(both) < min(len(before), len(after)) or any(before[n] != after[n] for n in both):
            return False
    return True


def _models(record: Record) -> set[str]:
    return set(record.provenance.get("models", {}))


def _name(record: Record) -> str:
    return f"{record.paper}/{record.tier}/{record.experiment}/{record.label}"
