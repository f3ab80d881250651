"""Claims as text: findings tier by tier, their numbers, and the drawing of their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ir_replications.reports.claims.judge import SUPPORTS, Finding, Judgement
from ir_replications.reports.claims.points import POINTS, SHARES
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Claim, Paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages.drawings import Scale, mark
from ir_replications.reports.pages.formatting import (
    MINUS,
    count,
    interval,
    number,
    p_value,
    scalar,
    signed,
)
from ir_replications.reports.pages.query_views import QueryPage, group_of
from ir_replications.reports.pages.record_views import Link, Places
from ir_replications.reports.records.record import TIERS

QUANTITIES = {  # of golden checks, where their names are short
    "max_error": "largest error",
    "max_relative_error": "largest relative error",
    "violations": "cases that violate it",
    "refused": "wrong inputs refused",
}
OPERATORS = {"<=": "≤", ">=": "≥", "==": "="}
FRONT = 4  # claims of a paper on the index where its file chooses none


@dataclass(frozen=True)
class FindingView:
    """One finding as text; `drawing` shows its interval, or the value beside the printed one."""

    finding: Finding
    ours: str
    unit: str
    interval: str
    printed: str
    details: list[tuple[str, str]]
    drawing: Markup | None
    links: list[Link]


@dataclass(frozen=True)
class ClaimView:
    """A claim with its findings, tier by tier; `not_run` holds the commands still to be run.

    `label` names what is compared, or the quantity that is bounded, in words.
    """

    claim: Claim
    label: str
    findings: list[FindingView]
    not_run: list[str]
    missing: list[str]
    second_hand: bool


@dataclass(frozen=True)
class FrontLine:
    """A claim on the index: verdicts with their numbers, our number, what it was measured on."""

    claim: Claim
    verdicts: list[tuple[Verdict, int]]
    ours: str
    interval: str
    scale: list[str]
    quantity: str  # what a bound is about; "" of differences, which need no name
    why: str  # what keeps a single finding from a decision; "" of others


def is_published(paper: Paper, source: str | None) -> bool:
    """True for what others published; False for what was derived or measured here."""
    return source is not None and paper.sources[source].trust in ("primary", "second-hand")


def claim_view(
    paper: Paper,
    claim: Claim,
    judgements: Mapping[str, Judgement],
    places: Places,
    queries: Mapping[tuple[str, str, str], QueryPage],
) -> ClaimView:
    """Findings of every tier; their intervals share one scale."""
    findings = _findings(claim, judgements)
    source = paper.sources[claim.source] if claim.source else None
    ends = [
        end
        for finding in findings
        if finding.effect is not None
        for end in (finding.effect.low, finding.effect.high, finding.effect.difference)
    ]
    scale = Scale.of(ends, balanced=True)
    absent = [finding for finding in findings if finding.verdict is Verdict.NOT_RUN]
    sides = _sides(claim, paper.words)
    published = is_published(paper, claim.source)
    return ClaimView(
        claim=claim,
        label=" minus ".join(sides) if sides else quantity(claim, paper.words),
        findings=[
            _finding_view(
                claim,
                f,
                scale,
                published,
                sides,
                _compared(claim, f, queries) + places.links(f.records),
            )
            for f in findings
            if f not in absent
        ],
        not_run=list(dict.fromkeys(finding.command for finding in absent)),
        missing=list(dict.fromkeys(finding.tier for finding in absent)),
        second_hand=bool(source and source.trust not in ("primary", "ours")),
    )


def front_lines(paper: Paper, judgements: Mapping[str, Judgement]) -> list[FrontLine]:
    """The claims that the index shows: those that the file chooses, else the first headlines."""
    by_id = {claim.id: claim for claim in paper.claims}
    chosen = [by_id[name] for name in paper.index]
    headlines = [claim for claim in paper.claims if claim.kind == "headline"]
    own = [claim for claim in paper.claims if claim.kind == "claim"]
    return [
        _front_line(paper, claim, judgements)
        for claim in chosen or headlines[:FRONT] or own[:FRONT] or paper.claims[:FRONT]
    ]


def checks_held(paper: Paper, judgements: Mapping[str, Judgement]) -> tuple[int, int]:
    """How many findings of implementation checks hold, and how many there are.

    These are bounds and values that the released code, a library or a derivation gives. Effects
    that were asked here are no checks of an implementation.
    """
    checks = {
        claim.id
        for claim in paper.claims
        if claim.kind == "check" and claim.check.kind in ("bound", "value", "interval")
    }
    found = [
        finding
        for judgement in judgements.values()
        for finding in judgement.findings
        if finding.claim in checks and finding.verdict is not Verdict.NOT_RUN
    ]
    return sum(finding.verdict in SUPPORTS for finding in found), len(found)


def _compared(
    claim: Claim, finding: Finding, queries: Mapping[tuple[str, str, str], QueryPage]
) -> list[Link]:
    """The link to both systems of a difference query by query, where one page has them."""
    pages = {group_of(record) for record in finding.records}
    if finding.effect is None or len(pages) != 1 or not (page := queries.get(next(iter(pages)))):
        return []
    middle = len(finding.records) // 2  # as many trainings on either side: the same seed
    link = page.link(finding.records[0], finding.records[middle], claim.check.measure)
    return [link] if link else []


def unit_of(claim: Claim) -> str:
    """ "points" of a measure that is a share, shown times 100; "" of any other quantity."""
    check = claim.check
    return "points" if check.scale == POINTS and check.measure.startswith(SHARES) else ""


def quantity(claim: Claim, words: Mapping[str, str]) -> str:
    """The measure or fact of a bound or value, in words."""
    name = claim.check.measure
    known = {**QUANTITIES, **words}
    return known.get(name) or " · ".join(name.replace("_", " ").split("."))


def _findings(claim: Claim, judgements: Mapping[str, Judgement]) -> list[Finding]:
    return [
        finding
        for tier in TIERS
        for finding in judgements[tier].findings
        if finding.claim == claim.id
    ]


def _sides(claim: Claim, words: Mapping[str, str]) -> tuple[str, ...]:
    """What a and b stand for: the values of the keys in which they differ, in the paper's words."""
    a, b = claim.check.a, claim.check.b
    if not a:
        return ()
    return tuple(_side(own, other, words) for own, other in ((a, b), (b, a)))


def _side(own: Selector, other: Selector, words: Mapping[str, str]) -> str:
    told = []
    differing = [k for k, value in own.items() if other.get(k) != value and value != ""]
    for key in differing:
        if key == "experiment" and len(differing) > 1:
            continue
        value = own[key]
        texts = [scalar(each) for each in (value if isinstance(value, list) else [value])]
        named = [words.get(text) for text in texts]
        if all(named):
            told.append(" or ".join(filter(None, named)))
        else:
            told.append(" or ".join(texts) if _tells(texts) else f"{key} {' or '.join(texts)}")
    return ", ".join(told) or "the same without"


def _tells(texts: Sequence[str]) -> bool:
    """False for bare numbers, which need the name of their key."""
    return any(text[:1].isalpha() for text in texts)


def _finding_view(
    claim: Claim,
    finding: Finding,
    scale: Scale,
    published: bool,
    sides: Sequence[str],
    links: list[Link],
) -> FindingView:
    check, effect = claim.check, finding.effect
    decimals = _decimals(claim, finding)
    details: list[tuple[str, str]] = []
    ours = _ours(claim, finding)
    printed = ""
    if finding.printed is not None:
        if check.kind in ("bound", "interval"):
            printed = f"claimed {OPERATORS.get(check.op, check.op)} {scalar(finding.printed)}"
        else:
            text = number if effect is None else signed
            printed = f"{'published' if published else 'expected'} "
            printed += text(finding.printed, check.decimals)
    elif check.kind == "effect":
        printed = "claimed > 0" if check.expect == "greater" else "claimed < 0"
    elif check.kind == "equivalent":
        printed = f"claimed within ±{scalar(check.bound)}"
    if effect is not None:
        details = [
            (sides[0], number(effect.mean_a, decimals)),
            (sides[1], number(effect.mean_b, decimals)),
            (effect.unit, f"{effect.n:,}"),
            ("p", p_value(effect.p)),
            ("p, Holm", p_value(finding.p_holm)),
            ("effect ratio", number(finding.ratio, 2)),
            ("ΔRI", signed(finding.delta_ri, 3)),
        ]
        if effect.seeds > 1:
            details.insert(3, ("seeds", str(effect.seeds)))
        if len(effect.groups) > 1:
            wins = sum(value > 0 for value in effect.groups.values())
            details.insert(2, ("higher on", f"{wins} of {len(effect.groups)} collections"))
    return FindingView(
        finding=finding,
        ours=ours,
        unit=unit_of(claim) if ours else "",
        interval=interval(effect.low, effect.high, decimals) if effect else "",
        printed=printed,
        details=[(name, text) for name, text in details if text],
        drawing=_drawing(claim, finding, scale),
        links=links,
    )


def _decimals(claim: Claim, finding: Finding | None = None) -> int:
    """One more than printed; differences in points have two.

    A difference without a unit and without a printed value has no more than its interval tells
    apart, three digits of its width, so that five zeros never stand for "none".
    """
    if claim.check.kind in ("effect", "equivalent") and unit_of(claim):
        return 2
    most = min(claim.check.decimals + 1, 6) if claim.check.kind != "bound" else 6
    effect = finding.effect if finding and finding.printed is None else None
    if effect is None:
        return most
    width = effect.high - effect.low
    if not 0 < width < math.inf:
        return min(most, 3)
    return max(min(most, 2 - math.floor(math.log10(width))), 0)


def _ours(claim: Claim, finding: Finding) -> str:
    """Our number: a difference with its sign, a value, or what is bounded; "" without one."""
    if finding.effect is not None:
        return signed(finding.effect.difference, _decimals(claim, finding))
    if finding.value is None:
        return ""
    if claim.check.kind in ("bound", "interval"):
        return scalar(finding.value)
    return number(finding.value, _decimals(claim))


def _drawing(claim: Claim, finding: Finding, scale: Scale) -> Markup | None:
    effect, css = finding.effect, finding.verdict.css
    if effect is not None:
        if math.isinf(effect.low) or math.isinf(effect.high):
            return None
        ends = effect.low, effect.difference, effect.high
        return mark(scale, *ends, css, printed=finding.printed)
    value, printed = finding.value, finding.printed
    if claim.kind == "check" or value is None or printed is None or value == printed:
        return None
    return mark(Scale.of([value, printed]), value, value, value, css, printed=printed)


def _front_line(paper: Paper, claim: Claim, judgements: Mapping[str, Judgement]) -> FrontLine:
    """The highest tier that measured the claim; without one, what would have to be run."""
    found = _findings(claim, judgements)
    model = paper.index.get(claim.id, "")
    run = [f for f in found if f.verdict is not Verdict.NOT_RUN]
    tier = max((f.tier for f in run), key=TIERS.index, default="")
    own = [f for f in run if f.tier == tier] or found
    tally = Counter(finding.verdict for finding in own)
    if not run:
        verdicts = [(Verdict.NOT_RUN, 1)]
        return FrontLine(claim, verdicts, "", "", [model] if model else [], "", "")
    unit = unit_of(claim)
    ours = span = ""
    if len(own) == 1:
        ours = _ours(claim, own[0])
        if claim.check.kind in ("bound", "interval") and own[0].value is not None:
            ours = f"{own[0].value:.3g}".replace("-", MINUS)
        if effect := own[0].effect:
            span = interval(effect.low, effect.high, _decimals(claim, own[0]))
    elif values := [f.value for f in own if f.value is not None]:
        text = signed if own[0].effect else number
        low, high = text(min(values), _decimals(claim)), text(max(values), _decimals(claim))
        ours = f"{low} to {high}"
    if ours and unit:
        ours = f"{ours} {unit}"
    return FrontLine(
        claim,
        [(verdict, tally[verdict]) for verdict in Verdict if tally[verdict]],
        ours,
        span,
        _scale(model, own),
        "" if own[0].effect or not ours else quantity(claim, paper.words),
        own[0].why if len(own) == 1 and own[0].verdict is Verdict.INCONCLUSIVE else "",
    )


def _scale(model: str, findings: Sequence[Finding]) -> list[str]:
    """What findings of one tier rest on: model, collections, queries, seeds, tier."""
    records = [record for finding in findings for record in finding.records]
    names = list(dict.fromkeys(str(c) for r in records if (c := r.config.get("collection"))))
    places = ", ".join(names) if len(names) <= 2 else count(len(names), "collection")
    effects = [finding.effect for finding in findings if finding.effect]
    units = {effect.unit for effect in effects}
    total = sum(effect.n for effect in effects)
    seeds = max((effect.seeds for effect in effects), default=0)
    trained = seeds and any(record.seed is not None for record in records)
    return [
        *filter(None, (model, places)),
        *([f"{total:,} {units.pop()}"] if len(units) == 1 and units != {"seeds"} else []),
        *([count(seeds, "seed")] if trained else []),
        f"{findings[0].tier} tier",
    ]
