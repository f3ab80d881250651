"""Judge one paper at one tier: every table cell and every claim, from its records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from ir_replications.reports.claims.findings import Finding, decide_effects, measure_claim
from ir_replications.reports.claims.select import (
    SelectionError,
    as_pinned,
    average,
    sample,
    weights,
)
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Claim, Column, Paper, Row, Table
from ir_replications.reports.claims.verdicts import Verdict, judge_value
from ir_replications.reports.records.record import Record
from ir_replications.shared.rehearsal import is_rehearsal

SUPPORTS = (Verdict.REPRODUCED, Verdict.WITHIN, Verdict.DIRECTION)


@dataclass(frozen=True)
class Cell:
    """One table cell: `paper` and `values` (one per seed) in the printed scale.

    `verdict` is None where there is nothing to judge: no sourced value, but our own number, or a
    system that is not run here. `selectors`, one per collection, say which records it stands for.
    """

    table: str
    row: int
    column: int
    tier: str
    paper: float | None
    values: tuple[float, ...]
    verdict: Verdict | None
    why: str
    selectors: tuple[Selector, ...]
    records: tuple[Record, ...]

    @property
    def ours(self) -> float | None:
        """Mean over seeds, or None when it was not run."""
        return math.fsum(self.values) / len(self.values) if self.values else None


@dataclass(frozen=True)
class Judgement:
    """Everything judged for one paper at one tier."""

    paper: str
    tier: str
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]

    def counts(self, claims: Collection[str] | None = None) -> dict[Verdict, int]:
        """Findings (of these claims) per verdict, in display order, absent verdicts left out."""
        found = Counter(f.verdict for f in self.findings if claims is None or f.claim in claims)
        return {verdict: found[verdict] for verdict in Verdict if found[verdict]}


def cell_counts(cells: Iterable[Cell]) -> dict[Verdict, int]:
    """Table cells with a sourced value per verdict, in display order."""
    found = Counter(cell.verdict for cell in cells if cell.paper is not None and cell.verdict)
    return {verdict: found[verdict] for verdict in Verdict if found[verdict]}


def judge(paper: Paper, records: Iterable[Record], tier: str) -> Judgement:
    """Judge the tables and claims of a paper at one tier; records of others are left aside.

    What rests on a rehearsal's records is "not comparable", and says what it would have been.
    """
    own = [record for record in records if record.paper == paper.id and record.tier == tier]
    cells = [
        _cell(table, i, row, j, column, own, tier)
        for table in paper.tables
        for i, row in enumerate(table.rows)
        for j, column in enumerate(table.columns)
        if tier in (column.tiers or table.tiers)
    ]
    claims = [claim for claim in paper.claims if tier in claim.tiers]
    measured = [finding for claim in claims for finding in measure_claim(paper, claim, own, tier)]
    decided = decide_effects(claims, measured)
    gated = _apply_gates(claims, decided)
    return Judgement(paper.id, tier, tuple(map(_marked, cells)), tuple(map(_marked, gated)))


Judged = TypeVar("Judged", Cell, Finding)


def _marked(judged: Judged) -> Judged:
    """A verdict on a rehearsal's records as one that counts for nothing."""
    measured = judged.verdict not in (None, Verdict.NOT_RUN, Verdict.ERROR)
    if not measured or not any(is_rehearsal(record.provenance) for record in judged.records):
        return judged
    word = judged.verdict.word if judged.verdict else ""
    why = f"rehearsal: on the real thing this would read: {word} ({judged.why})"
    return replace(judged, verdict=Verdict.NOT_COMPARABLE, why=why)


def _cell(
    table: Table,
    i: int,
    row: Row,
    j: int,
    column: Column,
    records: Sequence[Record],
    tier: str,
) -> Cell:
    selector = {**table.ours, **row.ours, **column.ours}
    printed = row.values[j]
    shares = weights(column.over) or {"": 1.0}
    parts = [{**selector, "collection": name} if name else selector for name in shares]
    blank = Cell(
        table.id, i, j, tier, printed, (), Verdict.NOT_RUN, "", tuple(parts), ()
    )  # fmt: skip
    if not row.compared:
        return replace(blank, verdict=None, selectors=())
    try:
        samples = [sample(records, part, f"{table.id} {row.label!r}") for part in parts]
        used = tuple(record for found in samples for record in found.records)
        if missing := sum(not found.records for found in samples):
            why = f"{missing} of {len(parts)} collections not run" if column.over else "no record"
            return replace(blank, why=why)
        if failed := [found.failed for found in samples if found.failed]:
            return replace(blank, verdict=Verdict.ERROR, why=failed[0] or "", records=used)
        scale = column.scale if column.scale is not None else table.scale
        measure = column.measure or table.measure
        values = [value * scale for value in average(samples, list(shares.values()), measure)]
    except SelectionError as error:
        return replace(blank, verdict=Verdict.ERROR, why=str(error))
    cell = replace(blank, values=tuple(values), verdict=None, records=used)
    if printed is None:
        return cell
    decision = judge_value(
        values,
        printed,
        decimals=column.decimals if column.decimals is not None else table.decimals,
        tolerance=row.tolerance if row.tolerance is not None else table.tolerance,
        stochastic=any(found.stochastic for found in samples),
        comparable=tier in table.comparable and as_pinned(used),
    )
    return replace(cell, verdict=decision.verdict, why=decision.why)


def _apply_gates(claims: Sequence[Claim], findings: Sequence[Finding]) -> list[Finding]:
    """A claim whose gate did not hold cannot be judged: its findings become inconclusive."""
    by_id = {claim.id: claim for claim in claims}

    @cache
    def blocked(claim: str) -> str | None:
        for name in by_id[claim].requires:
            words = [f.verdict.word for f in findings if f.claim == name]
            if name not in by_id:
                continue
            if not words or any(f.verdict not in SUPPORTS for f in findings if f.claim == name):
                return f"its precondition {name}: {', '.join(dict.fromkeys(words)) or 'not run'}"
            if above := blocked(name):
                return above
        return None

    gated = []
    for finding in findings:
        reason = blocked(finding.claim)
        if reason and finding.verdict not in (Verdict.NOT_RUN, Verdict.ERROR):
            finding = replace(finding, verdict=Verdict.INCONCLUSIVE, why=reason)
        gated.append(finding)
    return gated
