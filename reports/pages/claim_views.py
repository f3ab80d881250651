"""Claims as text: findings tier by tier, their numbers, and the drawing of their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ir_replications.reports.claims.judge import Finding, Judgement
from ir_replications.reports.claims.types import Claim, Paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages.formatting import interval, number, p_value, scalar, signed
from ir_replications.reports.records.record import TIERS, Record

STRIP = (150, 14)  # size of an interval strip, in CSS pixels


@dataclass(frozen=True)
class FindingView:
    """One finding as text; `strip` is the geometry of its interval drawing, or None."""

    finding: Finding
    ours: str
    interval: str
    printed: str
    details: list[tuple[str, str]]
    strip: dict[str, Any] | None
    records: list[str]


@dataclass(frozen=True)
class ClaimView:
    """A claim with its findings, tier by tier; `not_run` holds the commands still to be run."""

    claim: Claim
    findings: list[FindingView]
    not_run: list[str]
    missing: list[str]
    second_hand: bool


def anchor(record: Record) -> str:
    """Page anchor and file name of a record, unique within its paper."""
    return f"{record.tier}-{record.experiment}-{record.stem}"


def is_published(paper: Paper, source: str | None) -> bool:
    """True for what others published; False for what was derived or measured here."""
    return source is not None and paper.sources[source].trust in ("primary", "second-hand")


def claim_view(paper: Paper, claim: Claim, judgements: Mapping[str, Judgement]) -> ClaimView:
    """Findings of every tier; their interval strips share one scale."""
    findings = [
        finding
        for tier in TIERS
        for finding in judgements[tier].findings
        if finding.claim == claim.id
    ]
    source = paper.sources[claim.source] if claim.source else None
    ends = [
        abs(end)
        for finding in findings
        if finding.effect is not None
        for end in (finding.effect.low, finding.effect.high, finding.effect.difference)
        if math.isfinite(end)
    ]
    widest = max(ends, default=0.0)
    absent = [finding for finding in findings if finding.verdict is Verdict.NOT_RUN]
    return ClaimView(
        claim=claim,
        findings=[
            _finding_view(claim, f, widest, is_published(paper, claim.source))
            for f in findings
            if f not in absent
        ],
        not_run=list(dict.fromkeys(finding.command for finding in absent)),
        missing=list(dict.fromkeys(finding.tier for finding in absent)),
        second_hand=bool(source and source.trust not in ("primary", "ours")),
    )


def _finding_view(claim: Claim, finding: Finding, widest: float, published: bool) -> FindingView:
    check, effect = claim.check, finding.effect
    decimals = min(check.decimals + 1, 6) if check.kind != "bound" else 6
    details: list[tuple[str, str]] = []
    ours = scalar(finding.value) if check.kind == "bound" and finding.value is not None else ""
    if check.kind == "value":
        ours = number(finding.value, decimals)
    printed = ""
    if finding.printed is not None:
        if check.kind == "bound":
            sign = {"<=": "≤", ">=": "≥", "==": "="}.get(check.op, check.op)
            printed = f"claimed {sign} {scalar(finding.printed)}"
        else:
            exact = effect is None
            printed = (
                number(finding.printed, check.decimals)
                if exact
                else signed(finding.printed, check.decimals)
            )
            printed = f"{'published' if published else 'expected'} {printed}"
    elif check.kind == "effect":
        printed = "claimed > 0" if check.expect == "greater" else "claimed < 0"
    elif check.kind == "equivalent":
        printed = f"claimed within ±{scalar(check.bound)}"
    span = ""
    if effect is not None:
        ours, span = (
            signed(effect.difference, decimals),
            interval(effect.low, effect.high, decimals),
        )
        details = [
            ("a", number(effect.mean_a, decimals)),
            ("b", number(effect.mean_b, decimals)),
            ("n", f"{effect.n:,} {effect.unit}"),
            ("p", p_value(effect.p)),
            ("Holm p", p_value(finding.p_holm)),
            ("effect ratio", number(finding.ratio, 2)),
            ("ΔRI", signed(finding.delta_ri, 3)),
        ]
        if effect.seeds > 1:
            details.insert(3, ("seeds", str(effect.seeds)))
        if len(effect.groups) > 1:
            wins = sum(value > 0 for value in effect.groups.values())
            details.insert(2, ("a > b on", f"{wins} of {len(effect.groups)} collections"))
    return FindingView(
        finding=finding,
        ours=ours,
        interval=span,
        printed=printed,
        details=[(name, text) for name, text in details if text],
        strip=_strip(finding, widest),
        records=list(dict.fromkeys(anchor(record) for record in finding.records)),
    )


def _strip(finding: Finding, widest: float) -> dict[str, Any] | None:
    """Pixel geometry of point, interval and the paper's value on a scale with 0 in the middle."""
    effect = finding.effect
    if effect is None or widest == 0 or math.isinf(effect.low) or math.isinf(effect.high):
        return None
    width, height = STRIP

    def x(value: float) -> float:
        return round(width / 2 + value / widest * (width / 2 - 4), 1)

    printed = finding.printed
    inside = printed is not None and abs(printed) <= widest
    return {
        "width": width,
        "height": height,
        "zero": width / 2,
        "low": x(effect.low),
        "high": x(effect.high),
        "mean": x(effect.difference),
        "printed": x(printed) if inside and printed is not None else None,
    }
