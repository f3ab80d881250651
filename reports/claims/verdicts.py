"""The verdict words and the rules that give them, two-sided and in a fixed order.

Order of rules for a number of the paper on the paper's data: (1) it rounds to the printed digits;
(2) it lies in an absolute band that somebody gave a written reason for. Both sides saw the same
queries, so an interval over a sample of queries does not describe why the two numbers differ, and,
being wide, it would pass almost anything. Over seeds the 95 % prediction interval for one more run
decides instead, and only a narrow one: seeds of .10 and .90 do not reproduce a printed .50. Better
than the paper is a difference too.

A comparison whose sides were trained here, and one of them once, says nothing of the next training:
it is preliminary, whatever its queries say (two seeds of one arm differ significantly over queries
in a tenth of all comparisons). Fewer than MIN_QUERIES queries bound no mean.

All numbers here are in the paper's printed scale.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ir_replications.shared.evaluation.significance import prediction_interval

ALPHA = 0.05
MIN_QUERIES = 20  # 95 % intervals of real, skewed differences: .86 cover at 20, .77 at 8, .71 at 4
NARROW = 0.02  # half of a prediction interval over the printed value, where no band is stated
_EPS = 1e-9  # half a printed digit is not a binary fraction
_OPS = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


class Verdict(Enum):
    """A verdict: its word, symbol and meaning; the order of members is the order of display."""

    REPRODUCED = ("reproduced", "✓", "rounds to the printed value, or the claim holds as stated")
    WITHIN = ("within tolerance", "≈", "inside a band with a written reason, or the seed interval")
    DIRECTION = ("direction only", "↗", "as claimed in sign; the published size is not confirmed")
    HIGHER = ("differs (higher)", "▲", "our value is higher than the paper's or than claimed")
    LOWER = ("differs (lower)", "▼", "our value is lower than the paper's or than claimed")
    PRELIMINARY = ("preliminary", "◔", "one training of a side: other trainings may say otherwise")
    NEGLIGIBLE = ("negligible", "=", "shown to be smaller than the smallest effect of interest")
    INCONCLUSIVE = ("inconclusive", "?", "the interval is too wide to tell")
    NOT_COMPARABLE = ("not comparable", "◇", "other data or scale than the paper's")
    NOT_RUN = ("not run", "○", "no record; the command that would run it is given")
    ERROR = ("error", "!", "the experiment failed; its message is given")

    @property
    def word(self) -> str:
        """The word shown and compared."""
        return self.value[0]

    @property
    def symbol(self) -> str:
        """One character, so that colour is never the only carrier of meaning."""
        return self.value[1]

    @property
    def meaning(self) -> str:
        """One line for the legend."""
        return self.value[2]

    @property
    def css(self) -> str:
        """Class name of the colour."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class Decision:
    """A verdict and the rule that gave it, in words."""

    verdict: Verdict
    why: str


def judge_value(
    values: Sequence[float],
    printed: float,
    *,
    decimals: int,
    tolerance: float | None = None,
    stochastic: bool = False,
    comparable: bool = True,
) -> Decision:
    """Compare our value (one per seed) with a printed one.

    Over seeds the prediction interval decides. Its margin is the band, or NARROW of the printed
    value without one. Wholly inside the band it is "reproduced"; wholly outside it differs; it
    agrees where it holds the printed value (without a band, from three seeds) or has its middle
    in the band, and is no wider than the margin to either side; else it is "inconclusive". One
    seed of a stochastic system can agree, but cannot show a difference.
    """
    if not comparable:
        return Decision(Verdict.NOT_COMPARABLE, "other data or scale than the paper's")
    ours = sum(values) / len(values)
    gap = ours - printed
    side = Decision(
        Verdict.HIGHER if gap > 0 else Verdict.LOWER,
        f"{abs(gap):.{decimals + 1}f} {'above' if gap > 0 else 'below'} the printed value",
    )
    if len(values) == 1:
        if abs(gap) <= 0.5 * 10**-decimals + _EPS:
            return Decision(Verdict.REPRODUCED, "rounds to the printed value")
        if tolerance is not None and abs(gap) <= tolerance + _EPS:
            return Decision(Verdict.WITHIN, f"inside the band of ±{tolerance:g}")
        if stochastic:
            return Decision(Verdict.INCONCLUSIVE, f"one seed gives no interval; {side.why}")
        return side
    interval = prediction_interval(values)
    low, high = interval.low, interval.high
    span = f"prediction interval {low:.{decimals}f} to {high:.{decimals}f} over {len(values)} seeds"
    half = (high - low) / 2
    if tolerance is not None:
        if printed - tolerance <= low and high <= printed + tolerance:
            return Decision(Verdict.REPRODUCED, f"{span}, inside the band of ±{tolerance:g}")
        if low > printed + tolerance or high < printed - tolerance:
            return Decision(side.verdict, f"{side.why}; {span}")
        if abs(gap) <= tolerance + _EPS and half <= tolerance:
            return Decision(Verdict.WITHIN, f"inside the band of ±{tolerance:g}; {span}")
        return Decision(Verdict.INCONCLUSIVE, f"{span} reaches into the band")
    if not low <= printed <= high:
        return Decision(side.verdict, f"{side.why}; {span}")
    if half <= NARROW * abs(printed) and len(values) >= 3:
        return Decision(Verdict.WITHIN, f"{span} holds the printed value")
    return Decision(Verdict.INCONCLUSIVE, f"{span} holds the printed value and much else")


def judge_effect(
    difference: float,
    low: float,
    high: float,
    p_holm: float,
    *,
    expect: str,
    comparable: bool,
    printed: float | None = None,
    decimals: int = 4,
    tolerance: float | None = None,
    sesoi: float | None = None,
    seed_differences: Sequence[float] = (),
) -> Decision:
    """Judge a difference a - b that the paper says is "greater" or "less" than 0.

    An effect counts when its 95 % interval excludes 0 and its Holm-corrected p is below .05.
    With the paper's size of the effect on its own data, rounding and band come first; over seeds,
    the prediction interval of one more seed has to hold it and be narrower than the band (than
    half the printed effect, without one) to either side. An effect whose interval lies inside
    ±`sesoi`, and that is not significant, is shown to be negligible.
    """
    sign = 1 if expect == "greater" else -1
    missed = Verdict.LOWER if sign > 0 else Verdict.HIGHER
    counts = (low > 0 or high < 0) and p_holm < ALPHA
    doubt = "" if counts else "; the difference itself is not significant"
    if comparable and printed is not None and len(seed_differences) < 2:
        gap = abs(difference - printed)
        if gap <= 0.5 * 10**-decimals + _EPS:
            return Decision(Verdict.REPRODUCED, f"rounds to the printed difference{doubt}")
        if tolerance is not None and gap <= tolerance + _EPS:
            return Decision(Verdict.WITHIN, f"inside the band of ±{tolerance:g}{doubt}")
    if not counts:
        if sesoi is not None and -sesoi < low and high < sesoi:
            return Decision(Verdict.NEGLIGIBLE, f"the interval lies inside ±{sesoi:g}")
        if low > 0 or high < 0:
            return Decision(Verdict.INCONCLUSIVE, "does not survive the Holm correction")
        return Decision(Verdict.INCONCLUSIVE, "the interval holds 0")
    if difference * sign < 0:
        return Decision(missed, "significant in the other direction")
    if not comparable:
        return Decision(Verdict.DIRECTION, "significant as claimed, on other data or scale")
    if printed is None:
        return Decision(Verdict.REPRODUCED, "significant in the claimed direction")
    if len(seed_differences) >= 3:
        interval = prediction_interval(seed_differences)
        margin = abs(printed) / 2 if tolerance is None else tolerance
        if (interval.high - interval.low) / 2 <= margin and (
            interval.low <= printed <= interval.high or abs(difference - printed) <= margin
        ):
            return Decision(
                Verdict.WITHIN, "the seeds' interval agrees with the printed difference"
            )
    size = "larger" if abs(difference) > abs(printed) else "smaller"
    return Decision(Verdict.DIRECTION, f"significant as claimed, {size} than printed")


def judge_equivalence(
    wide: tuple[float, float], narrow: tuple[float, float], *, bound: float, comparable: bool
) -> Decision:
    """Judge |a - b| < `bound` from the 95 % interval `wide` and the 90 % interval `narrow`.

    A 90 % interval inside ±bound is the two one-sided tests at 5 % each.
    """
    if -bound < narrow[0] and narrow[1] < bound:
        verdict = Verdict.REPRODUCED if comparable else Verdict.DIRECTION
        return Decision(verdict, f"equivalent within ±{bound:g} (two one-sided tests)")
    if wide[0] > bound:
        return Decision(Verdict.HIGHER, f"the interval lies above +{bound:g}")
    if wide[1] < -bound:
        return Decision(Verdict.LOWER, f"the interval lies below -{bound:g}")
    return Decision(Verdict.INCONCLUSIVE, f"equivalence within ±{bound:g} is not shown")


def judge_bound(
    values: Sequence[float], op: str, value: float, *, tolerance: float = 0.0, comparable: bool
) -> tuple[Decision, float]:
    """Judge "every value `op` `value`"; also returns the value nearest to breaking it."""
    if op in ("<=", "<"):
        worst, sign = max(values), 1.0
    elif op in (">=", ">"):
        worst, sign = min(values), -1.0
    else:
        worst, sign = max(values, key=lambda found: abs(found - value)), 0.0
    if not comparable:
        return Decision(Verdict.NOT_COMPARABLE, "other data or scale than the paper's"), worst
    broken = sum(not holds(found, op, value, tolerance) for found in values)
    count = f"{len(values)} value{'s' if len(values) != 1 else ''}"
    if not broken:
        return Decision(Verdict.REPRODUCED, f"holds for {count}"), worst
    verdict = Verdict.HIGHER if worst > value or sign > 0 else Verdict.LOWER
    return Decision(verdict, f"does not hold for {broken} of {count}"), worst


def judge_interval(
    spans: Sequence[tuple[float, float]], op: str, value: float, *, comparable: bool
) -> tuple[Decision, float]:
    """Judge "every estimate `op` `value`" by 95 % intervals; also returns the end nearest to it.

    Holds when every interval lies wholly on the claimed side, fails when one lies wholly on the
    other, and is inconclusive between.
    """
    less = op in ("<", "<=")
    worst = max(high for _, high in spans) if less else min(low for low, _ in spans)
    if not comparable:
        return Decision(Verdict.NOT_COMPARABLE, "other data or scale than the paper's"), worst
    count = f"{len(spans)} interval{'s' if len(spans) != 1 else ''}"
    kept = sum(holds(high if less else low, op, value) for low, high in spans)
    if kept == len(spans):
        return Decision(Verdict.REPRODUCED, f"holds for {count}"), worst
    against = sum(not holds(low if less else high, op, value) for low, high in spans)
    if against:
        verdict = Verdict.HIGHER if less else Verdict.LOWER
        return Decision(verdict, f"excluded by {against} of {count}"), worst
    why = f"shown by {kept} of {count}, excluded by none"
    return Decision(Verdict.INCONCLUSIVE, why), worst


def judge_few(decision: Decision, queries: int) -> Decision:
    """The decision on a mean over queries, inconclusive where there are fewer than MIN_QUERIES."""
    if queries >= MIN_QUERIES:
        return decision
    why = f"{queries} queries; at least {MIN_QUERIES} bound a mean"
    return Decision(Verdict.INCONCLUSIVE, why)


def judge_once(decision: Decision) -> Decision:
    """The decision where a side was trained here, and once: preliminary at best."""
    if decision.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE):
        return decision
    why = f"one training of a side; taken alone: {decision.verdict.word}, {decision.why}"
    return Decision(Verdict.PRELIMINARY, why)


def holds(found: float, op: str, value: float, tolerance: float = 0.0) -> bool:
    """True when `found op value`, with `tolerance` in its favour."""
    if op == "==":
        return abs(found - value) <= tolerance + _EPS
    sign = 1.0 if op in ("<=", "<") else -1.0
    return bool(_OPS[op](found - sign * tolerance, value))
