"""Every verdict and boundary, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ir_replications.reports.claims.verdicts import (
    Verdict,
    judge_bound,
    judge_effect,
    judge_equivalence,
    judge_value,
)


def value(values: list[float], printed: float, **options: Any) -> str:
    return judge_value(values, printed, **{"decimals": 1, **options}).verdict.word


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        (69.35, "reproduced"),  # both halves round to 69.4 under one of the two conventions
        (69.45, "reproduced"),
        (69.451, "differs (higher)"),
        (69.349, "differs (lower)"),
    ],
)
def test_rounding_to_the_printed_digits(ours: float, word: str) -> None:
    assert value([ours], 69.4) == word


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        (69.7, "within tolerance"),  # the edge of the band is inside
        (69.1, "within tolerance"),
        (69.71, "differs (higher)"),  # better than the paper is a difference too
        (69.09, "differs (lower)"),
    ],
)
def test_band_with_a_reason(ours: float, word: str) -> None:
    assert value([ours], 69.4, tolerance=0.3) == word


def test_other_data_are_not_comparable_even_when_equal() -> None:
    assert value([69.4], 69.4, comparable=False) == "not comparable"


def test_one_seed_can_agree_but_cannot_differ() -> None:
    assert value([69.4], 69.4, stochastic=True) == "reproduced"
    assert value([75.0], 69.4, stochastic=True) == "inconclusive"


# Seeds 1, 2, 3: mean 2, s = 1, t(.975, 2) = 4.3027, so the interval for one more seed is
# 2 +- 4.3027 * sqrt(1 + 1/3) = [-2.968, 6.968], far wider than 2 % of any value in it.
@pytest.mark.parametrize(
    ("printed", "word"),
    [
        (2.0, "inconclusive"),
        (6.96, "inconclusive"),
        (6.98, "differs (lower)"),
        (-2.96, "inconclusive"),
        (-2.98, "differs (higher)"),
    ],
)
def test_prediction_interval_over_seeds(printed: float, word: str) -> None:
    assert value([1, 2, 3], printed) == word


# Seeds 99.8, 100, 100.2: 100 +- .2 * 4.3027 * sqrt(4/3) = [99.0064, 100.9936], under 2 % of 100.
@pytest.mark.parametrize(
    ("printed", "word"),
    [(100.0, "within tolerance"), (100.99, "within tolerance"), (101.0, "differs (lower)")],
)
def test_a_narrow_interval_over_seeds_agrees(printed: float, word: str) -> None:
    assert value([99.8, 100, 100.2], printed) == word


def test_seeds_apart_do_not_reproduce_their_mean() -> None:
    assert value([0.1, 0.9], 0.5) == "inconclusive"
    assert value([0.1, 0.5, 0.9], 0.5) == "inconclusive"


@pytest.mark.parametrize(
    ("printed", "tolerance", "word"),
    [
        (3.0, 6.0, "reproduced"),  # [-2.968, 6.968] inside [-3, 9]
        (3.0, 5.0, "within tolerance"),  # the mean 2 is inside [-2, 8], the interval no wider
        (3.0, 1.0, "inconclusive"),  # the mean 2 is inside [2, 4], but the interval says much else
        (3.1, 1.0, "inconclusive"),  # the mean is outside [2.1, 4.1], the interval reaches in
        (9.0, 1.0, "differs (lower)"),  # [8, 10] and the interval are apart
    ],
)
def test_band_over_seeds(printed: float, tolerance: float, word: str) -> None:
    assert value([1, 2, 3], printed, tolerance=tolerance) == word


def test_two_seeds_are_too_few_to_agree_by_a_wide_interval() -> None:
    assert value([1, 3], 10.0) == "inconclusive"  # t(.975, 1) = 12.7: [-20, 24]


def effect(difference: float, low: float, high: float, p: float = 0.01, **options: Any) -> str:
    settings: dict[str, Any] = {"expect": "greater", "comparable": True, "decimals": 1}
    settings.update(options)
    return judge_effect(difference, low, high, p, **settings).verdict.word


@pytest.mark.parametrize(
    ("arguments", "options", "word"),
    [
        ((2.0, 1.0, 3.0), {}, "reproduced"),  # the paper gives a direction only
        ((2.0, 1.0, 3.0), {"comparable": False}, "direction only"),
        ((2.0, 1.0, 3.0), {"printed": 2.0}, "reproduced"),
        ((2.0, 1.0, 3.0), {"printed": 2.05}, "reproduced"),
        ((2.0, 1.0, 3.0), {"printed": 2.06}, "direction only"),
        ((2.0, 1.0, 3.0), {"printed": 2.3, "tolerance": 0.3}, "within tolerance"),
        ((2.0, 1.0, 3.0), {"printed": 2.0, "comparable": False}, "direction only"),
        ((-2.0, -3.0, -1.0), {}, "differs (lower)"),
        ((2.0, 1.0, 3.0), {"expect": "less"}, "differs (higher)"),
        ((-2.0, -3.0, -1.0), {"expect": "less"}, "reproduced"),
        ((2.0, -0.1, 4.1), {}, "inconclusive"),
        ((2.0, 0.0, 4.0), {}, "inconclusive"),  # an interval that ends at 0 holds 0
        ((2.0, 1.0, 3.0, 0.05), {}, "inconclusive"),  # Holm p must be below .05
        ((2.0, 1.0, 3.0, 0.0499), {}, "reproduced"),
        ((0.1, -0.2, 0.4), {"sesoi": 0.5}, "negligible"),
        ((0.1, -0.2, 0.5), {"sesoi": 0.5}, "inconclusive"),
        ((0.1, -0.2, 0.4), {"sesoi": 0.5, "expect": "less"}, "negligible"),
        # Seeds 1.9, 2, 2.1: [1.503, 2.497], no wider than half of a printed 2.4; 2.6 is outside.
        ((2.0, 1.0, 3.0), {"printed": 2.4, "seed_differences": [1.9, 2, 2.1]}, "within tolerance"),
        ((2.0, 1.0, 3.0), {"printed": 5.6, "seed_differences": [1.9, 2, 2.1]}, "direction only"),
        # Seeds 1, 2, 3: [-2.968, 6.968] holds the printed 2, and much else.
        ((2.0, 1.0, 3.0), {"printed": 2.0, "seed_differences": [1, 2, 3]}, "direction only"),
    ],
)
def test_effects(arguments: tuple[float, ...], options: dict[str, Any], word: str) -> None:
    assert effect(*arguments, **options) == word


def test_reproduced_size_without_significance_says_so() -> None:
    decision = judge_effect(
        0.8, -0.2, 1.8, 0.2, expect="greater", comparable=True, printed=0.8, decimals=1
    )
    assert decision.verdict is Verdict.REPRODUCED
    assert "not significant" in decision.why


@pytest.mark.parametrize(
    ("wide", "narrow", "comparable", "word"),
    [
        ((-0.5, 0.6), (-0.4, 0.49), True, "reproduced"),
        ((-0.5, 0.6), (-0.4, 0.49), False, "direction only"),
        ((-0.5, 0.6), (-0.4, 0.50), True, "inconclusive"),
        ((0.51, 0.9), (0.55, 0.8), True, "differs (higher)"),
        ((-0.9, -0.51), (-0.8, -0.55), True, "differs (lower)"),
        ((0.49, 0.9), (0.55, 0.8), True, "inconclusive"),
    ],
)
def test_equivalence(
    wide: tuple[float, float], narrow: tuple[float, float], comparable: bool, word: str
) -> None:
    decision = judge_equivalence(wide, narrow, bound=0.5, comparable=comparable)
    assert decision.verdict.word == word


@pytest.mark.parametrize(
    ("values", "op", "limit", "tolerance", "word", "worst"),
    [
        ([0.5, 1.0], "<=", 1.0, 0.0, "reproduced", 1.0),
        ([0.5, 2.3], "<=", 1.0, 0.0, "differs (higher)", 2.3),
        ([0.5, 1.0], "<", 1.0, 0.0, "differs (higher)", 1.0),
        ([0.694, 0.7], ">=", 0.694, 0.0, "reproduced", 0.694),
        ([0.693, 0.7], ">=", 0.694, 0.0, "differs (lower)", 0.693),
        ([0.693, 0.7], ">=", 0.694, 0.001, "reproduced", 0.693),
        ([1.0, 2.0], ">", 1.0, 0.0, "differs (lower)", 1.0),
        ([3.0, 3.0], "==", 3.0, 0.0, "reproduced", 3.0),
        ([3.0, 2.8], "==", 3.0, 0.1, "differs (lower)", 2.8),
        ([3.0, 3.05], "==", 3.0, 0.1, "reproduced", 3.05),
    ],
)
def test_bounds(
    values: list[float], op: str, limit: float, tolerance: float, word: str, worst: float
) -> None:
    decision, shown = judge_bound(values, op, limit, tolerance=tolerance, comparable=True)
    assert (decision.verdict.word, shown) == (word, worst)
    assert judge_bound(values, op, limit, comparable=False)[0].verdict.word == "not comparable"


def test_words_symbols_and_classes_are_distinct() -> None:
    words = "reproduced|within tolerance|direction only|differs (higher)|differs (lower)"
    words += "|preliminary|negligible|inconclusive|not comparable|not run|error"
    assert [verdict.word for verdict in Verdict] == words.split("|")
    assert len({verdict.symbol for verdict in Verdict}) == len(Verdict)
    assert len({verdict.css for verdict in Verdict}) == len(Verdict)
