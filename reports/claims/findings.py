"""The outcome of each claim: measure it, correct the p-values of its family, decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ir_replications.reports.claims.effects import Effect, compare, macro
from ir_replications.reports.claims.select import (
    SelectionError,
    as_pinned,
    average,
    groups,
    is_own,
    matching,
    quantity,
    sample,
    span,
    weights,
)
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Claim, Paper
from ir_replications.reports.claims.verdicts import (
    Decision,
    Verdict,
    judge_bound,
    judge_effect,
    judge_equivalence,
    judge_few,
    judge_interval,
    judge_once,
    judge_value,
)
from ir_replications.reports.records.commands import run_command
from ir_replications.reports.records.record import Record
from ir_replications.shared.evaluation.run_similarity import delta_ri, effect_ratio
from ir_replications.shared.evaluation.significance import holm


@dataclass(frozen=True)
class Finding:
    """The outcome of one claim, or of one of its groups (a collection).

    `value` is our number: the measured value or fact, or the difference a - b with its 95 %
    interval, n and p-values, all in the printed scale.
    """

    claim: str
    group: str
    tier: str
    verdict: Verdict
    why: str
    command: str = ""
    records: tuple[Record, ...] = ()
    value: float | None = None
    printed: float | None = None
    effect: Effect | None = None
    p_holm: float | None = None
    ratio: float | None = None
    delta_ri: float | None = None

    @property
    def id(self) -> str:
        """Claim id, with its group in brackets: "C16[beir/scifact]"."""
        return f"{self.claim}[{self.group}]" if self.group else self.claim


def measure_claim(
    paper: Paper, claim: Claim, records: Sequence[Record], tier: str
) -> list[Finding]:
    """Findings of one claim; effects still wait for their Holm correction."""
    check = claim.check
    comparable = tier in claim.comparable
    selectors = [check.select] if check.select else [check.a, check.b]
    group = check.each or "collection"
    asked = weights(check.over.get(tier, ()))
    named = [{**s, group: name} for s in selectors for name in asked] or selectors
    blank = Finding(
        claim.id, "", tier, Verdict.NOT_RUN, "no record", run_command(paper.id, tier, named)
    )
    try:
        if check.kind in ("bound", "interval"):
            return [_bound(claim, blank, records, comparable)]
        if check.kind == "value":
            return [_value(claim, blank, records, comparable)]
        if check.pool:
            return [_macro(claim, blank, records)]
    except SelectionError as error:
        return [replace(blank, verdict=Verdict.ERROR, why=str(error))]
    if not check.each:
        return [_pair(claim, blank, records, check.a, check.b)]
    names = list(asked) or sorted(
        {*groups(records, check.a, check.each), *groups(records, check.b, check.each)}
    )
    findings = []
    for name in names:
        a, b = {**check.a, check.each: name}, {**check.b, check.each: name}
        own = replace(blank, group=name, command=run_command(paper.id, tier, [a, b]))
        findings.append(_pair(claim, own, records, a, b))
    return findings or [blank]


def _bound(claim: Claim, blank: Finding, records: Sequence[Record], comparable: bool) -> Finding:
    check = claim.check
    found = [record for record in matching(records, check.select) if not is_own(record)]
    good = [record for record in found if record.status == "ok"]
    if not found:
        return blank
    if bad := [record for record in found if record.status == "error"]:
        return replace(blank, verdict=Verdict.ERROR, why=bad[0].error or "", records=tuple(found))
    comparable = comparable and as_pinned(good)
    if check.kind == "interval":
        spans = [span(record, check.measure) for record in good]
        decision, worst = judge_interval(spans, check.op, check.value, comparable=comparable)
    else:
        values = [v * check.scale for record in good for v in quantity(record, check.measure)]
        tolerance = check.tolerance or 0.0
        decision, worst = judge_bound(
            values, check.op, check.value, tolerance=tolerance, comparable=comparable
        )
        seeds = {record.seed for record in good}
        if check.seeds and len(seeds) < 2:
            decision = judge_once(decision)
        else:
            decision = _preliminary(decision, check.seeds, len(seeds))
    return replace(_decided(blank, decision), value=worst, printed=check.value, records=tuple(good))


def _value(claim: Claim, blank: Finding, records: Sequence[Record], comparable: bool) -> Finding:
    check = claim.check
    shares = weights(check.over.get(blank.tier, ())) or {"": 1.0}
    found = [
        sample(records, {**check.select, "collection": name} if name else check.select, claim.id)
        for name in shares
    ]
    used = tuple(record for each in found for record in each.records)
    if missing := sum(not each.records for each in found):
        why = f"{missing} of {len(found)} collections not run" if check.over else blank.why
        return replace(blank, why=why)
    if failed := [each.failed for each in found if each.failed]:
        return replace(blank, verdict=Verdict.ERROR, why=failed[0] or "", records=used)
    values = [v * check.scale for v in average(found, list(shares.values()), check.measure)]
    if check.subtract_from is not None:
        values = [check.subtract_from - value for value in values]
    decision = judge_value(
        values,
        check.value,
        decimals=check.decimals,
        tolerance=check.tolerance,
        stochastic=any(each.stochastic for each in found),
        comparable=comparable and as_pinned(used),
    )
    return replace(
        _decided(blank, decision),
        value=math.fsum(values) / len(values),
        printed=check.value,
        records=tuple(record for each in found for record in each.good),
    )


def _pair(
    claim: Claim, blank: Finding, records: Sequence[Record], a: Selector, b: Selector
) -> Finding:
    """Compare two systems; the verdict of a measured pair is set by `_decide_effects`."""
    check = claim.check
    try:
        first, second = sample(records, a, f"{claim.id} a"), sample(records, b, f"{claim.id} b")
        used = (*first.records, *second.records)
        for name, found in (("a", first), ("b", second)):
            if not found.records:
                return replace(blank, why=f"no record of {name}", records=used)
            if found.failed:
                return replace(blank, verdict=Verdict.ERROR, why=found.failed, records=used)
        effect = compare(first, second, check.measure, check.scale)
    except SelectionError as error:
        return replace(blank, verdict=Verdict.ERROR, why=str(error))
    return replace(blank, why="", effect=effect, value=effect.difference, records=used)


def _macro(claim: Claim, blank: Finding, records: Sequence[Record]) -> Finding:
    """Compare two systems over collections, weighted as `over` says."""
    check = claim.check
    a_names = groups(records, check.a, "collection")
    b_names = groups(records, check.b, "collection")
    asked = weights(check.over.get(blank.tier, ()) or tuple(a_names))
    names = [name for name in asked if name in a_names and name in b_names]
    if not names:
        return replace(blank, why="no collection has both systems")
    pairs, used = {}, []
    for name in names:
        first = sample(records, {**check.a, "collection": name}, f"{claim.id} a")
        second = sample(records, {**check.b, "collection": name}, f"{claim.id} b")
        used += [*first.records, *second.records]
        if failed := first.failed or second.failed:
            return replace(blank, verdict=Verdict.ERROR, why=failed, records=tuple(used))
        pairs[name] = (first, second)
    total = math.fsum(asked[name] for name in names)
    shares = {name: asked[name] / total for name in names}
    effect = macro(pairs, check.measure, check.scale, shares)
    effect = replace(effect, wanted=len(asked))
    return replace(blank, why="", effect=effect, value=effect.difference, records=tuple(used))


def decide_effects(claims: Sequence[Claim], findings: Sequence[Finding]) -> list[Finding]:
    """Correct the p-values within each planned family, then judge every measured pair.

    A family is as large as the claims file plans it: tests that were not run yet count.
    """
    by_id = {claim.id: claim for claim in claims}
    corrected: dict[str, float] = {}
    for family in {claim.family for claim in claims}:
        planned = [
            finding
            for finding in findings
            if by_id[finding.claim].check.kind == "effect" and by_id[finding.claim].family == family
        ]
        p_values = {f.id: f.effect.p for f in planned if f.effect is not None}
        adjusted = holm(list(p_values.values()), len(planned))
        corrected.update(zip(p_values, adjusted, strict=True))
    return [_decide(by_id[f.claim], f, corrected.get(f.id)) if f.effect else f for f in findings]


def _decide(claim: Claim, finding: Finding, p_holm: float | None) -> Finding:
    check, effect = claim.check, finding.effect
    assert effect is not None
    # A mean over some of the paper's collections is not the paper's mean.
    complete = len(effect.groups) >= effect.wanted and as_pinned(finding.records)
    comparable = finding.tier in claim.comparable and complete
    if check.kind == "equivalent":
        decision = judge_equivalence(
            (effect.low, effect.high),
            (effect.low90, effect.high90),
            bound=check.bound,
            comparable=comparable,
        )
        return _decided(finding, _limited(decision, claim, effect))
    paper_a, paper_b = _number(check.paper_a, finding.group), _number(check.paper_b, finding.group)
    printed = _number(check.paper_effect, finding.group)
    if printed is None and paper_a is not None and paper_b is not None:
        printed = paper_a - paper_b
    decision = judge_effect(
        effect.difference,
        effect.low,
        effect.high,
        effect.p if p_holm is None else float(p_holm),
        expect=check.expect,
        comparable=comparable,
        printed=printed,
        decimals=check.decimals,
        tolerance=check.tolerance,
        sesoi=check.sesoi,
        seed_differences=effect.seed_differences,
    )
    decision = _limited(decision, claim, effect)
    ratio = change = None
    if printed is not None:
        base = paper_b or 0.0
        against = {"baseline": effect.mean_b, "advanced": effect.mean_a}
        theirs = {"paper_baseline": base, "paper_advanced": base + printed}
        ratio = effect_ratio(**against, **theirs).value
        change = delta_ri(**against, **theirs).value if paper_b is not None else None
    return replace(
        _decided(finding, decision), printed=printed, p_holm=p_holm, ratio=ratio, delta_ri=change
    )


def _limited(decision: Decision, claim: Claim, effect: Effect) -> Decision:
    """The decision as far as so many queries and trainings can carry it."""
    check = claim.check
    if effect.unit == "queries" and effect.low < effect.high:  # else every query says the same
        decision = judge_few(decision, effect.n)
    if effect.trained_once and not check.these_weights:
        return judge_once(decision)
    return _preliminary(decision, check.seeds, effect.seeds)


def _preliminary(decision: Decision, planned: int, seeds: int) -> Decision:
    """The decision, saying so where the plan asks for more seeds than there are."""
    if seeds >= planned:
        return decision
    return replace(decision, why=f"{decision.why}; preliminary: {seeds} of {planned} seeds")


def _decided(finding: Finding, decision: Decision) -> Finding:
    return replace(finding, verdict=decision.verdict, why=decision.why)


def _number(value: object, group: str) -> float | None:
    if isinstance(value, dict):
        return value.get(group)
    return value if isinstance(value, float) else None
