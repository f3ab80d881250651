"""Tests and intervals: values worked by hand, SciPy as oracle, and defined degenerate results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import ir_replications.shared.evaluation.significance
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.significance import (
    LEAST,
    bootstrap_interval,
    holm,
    macro_bootstrap,
    macro_bootstraps,
    macro_randomization_test,
    paired,
    paired_bootstrap,
    paired_t,
    prediction_interval,
    randomization_test,
    student,
)

A = {"q1": 0.5, "q2": 0.7, "q3": 0.2, "q4": 0.9}
B = {"q4": 0.6, "q3": 0.3, "q2": 0.4, "q1": 0.4}


def two_systems(n: int, seed: int = 0, effect: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.uniform(0, 1, n)
    return base + effect + rng.normal(0, 0.1, n), base


def test_values_are_aligned_by_query_id() -> None:
    a, b, qids = paired(A, B)
    assert qids == ["q1", "q2", "q3", "q4"]
    assert a.tolist() == [0.5, 0.7, 0.2, 0.9]
    assert b.tolist() == [0.4, 0.4, 0.3, 0.6]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (A, {"q1": 1.0, "q2": 1.0, "q3": 1.0}, r"second system has no value for 1 .*: 'q4'"),
        ({"q1": 1.0}, B, r"first system has no value for 3 .*: 'q4', 'q3', 'q2'"),
    ],
)
def test_queries_that_only_one_system_has_are_named(
    a: dict[str, float], b: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        paired(a, b)


def test_paired_t_by_hand() -> None:
    # Differences .1 .3 -.1 .3: mean .15, variance .11 / 3, t = .15 / sqrt(.11 / 12) = 1.5667.
    result = paired_t(A, B)
    assert result.estimate == pytest.approx(0.15)
    assert result.p == pytest.approx(2 * stats.t.sf(0.15 / math.sqrt(0.11 / 12), 3), abs=1e-12)
    assert result.p == pytest.approx(0.2152, abs=1e-4)
    assert result.n == 4


def test_paired_t_equals_scipy() -> None:
    a, b = two_systems(50)
    assert paired_t(a, b).p == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-12)


def test_randomization_by_hand() -> None:
    # |sum| >= .6 for 4 of the 16 sign patterns: .1 + .3 - .1 + .3, its mirror, and both
    # with the signs of the two .1 exchanged or both raised: +.1 +.3 +.1 +.3 = .8 and its mirror,
    # -.1 +.3 +.1 +.3 = .6 and its mirror.
    result = randomization_test(A, B)
    assert result.p == pytest.approx(6 / 16)
    assert "exact" in result.note


@pytest.mark.parametrize("n_queries", [3, 8, 12])
def test_exact_randomization_equals_scipy(n_queries: int) -> None:
    a, b = two_systems(n_queries, seed=n_queries)
    oracle = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert randomization_test(a, b).p == pytest.approx(oracle.pvalue, abs=1e-12)


def test_sampled_randomization_is_close_to_the_exact_p_and_fixed_by_its_seed() -> None:
    a, b = two_systems(12, seed=3)
    exact = randomization_test(a, b).p
    sampled = randomization_test(a, b, n=4000, seed=1)
    assert sampled.p == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 4000))
    assert sampled.p != exact
    assert sampled == randomization_test(a, b, n=4000, seed=1)


def test_sampled_randomization_is_never_zero() -> None:
    assert randomization_test([1.0] * 40, [0.0] * 40, n=99).p == 1 / 100


def test_stratified_randomization_by_hand() -> None:
    # Means .2 and .4, macro mean .3. Signs of .1 .3 weigh 1/4 each, that of .4 weighs 1/2:
    # +-.025 +-.075 +-.2, of which only all three signs alike reach .3: 2 of 8 patterns.
    result = macro_randomization_test([[0.1, 0.3], [0.4]])
    assert (result.estimate, result.p, result.n) == (pytest.approx(0.3), 2 / 8, 3)
    assert result.method == "stratified randomization"
    # A negative query in a large collection weighs little: +-.1 four times / 8, +-.5 / 2. The
    # macro mean .25 + (.3 - .1) / 8 = .275 is reached by 1 + 4 patterns, and their mirrors.
    result = macro_randomization_test([[0.1, 0.1, 0.1, -0.1], [0.5]])
    assert (result.estimate, result.p) == (pytest.approx(0.275), 10 / 32)


def test_stratified_randomization_of_one_collection_is_the_plain_test() -> None:
    a, b = two_systems(50)
    for d in (a - b, a[:9] - b[:9]):
        plain = randomization_test(d, np.zeros(len(d)), n=1000, seed=4)
        stratified = macro_randomization_test([d], n=1000, seed=4)
        assert (stratified.estimate, stratified.p) == (plain.estimate, plain.p)


def test_stratified_randomization_agrees_with_the_stratified_bootstrap() -> None:
    strata = [np.subtract(*two_systems(n, seed=n, effect=0.015)) for n in (60, 150)]
    result = macro_randomization_test(strata)
    assert result.p == pytest.approx(macro_bootstrap(strata).p, abs=0.02)
    assert result == macro_randomization_test(strata)
    assert result.p != macro_randomization_test(strata, seed=1).p


def test_stratified_randomization_of_degenerate_values_is_defined() -> None:
    assert macro_randomization_test([[0.0, 0.0], [0.0]]).p == 1.0
    assert macro_randomization_test([[0.1]]).p == 1.0
    assert macro_randomization_test([[0.3], {"q": 0.1}]).p == 2 / 4  # one query each: both signs
    for diffs, message in (([], "one collection"), ([[0.1], []], "one query")):
        with pytest.raises(InputError, match=message):
            macro_randomization_test(diffs)


def test_bootstrap_equals_scipy() -> None:
    a, b = two_systems(60)
    oracle = stats.bootstrap(
        (a - b,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(7)
    ).confidence_interval
    interval = paired_bootstrap(a, b, n=2000, seed=7)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert interval.method == "BCa bootstrap"
    assert interval.estimate == pytest.approx(np.mean(a - b))
    assert bootstrap_interval(a - b, n=2000, seed=7) == interval


@pytest.mark.parametrize("sizes", [(7,), (300, 12, 300), (900,)])
def test_every_level_is_scipys(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    # Small blocks: SciPy's draws come in batches, of all strata in turn, the last one shorter.
    monkeypatch.setattr(ir_replications.shared.evaluation.significance, "_BLOCK", 900 * 700)
    strata = [np.round(np.subtract(*two_systems(n, seed=n)), 2) for n in sizes]
    for seed in (0, 3):
        intervals = macro_bootstraps(strata, [0.95, 0.90], n=2000, seed=seed)
        for interval in intervals:
            oracle = stats.bootstrap(
                strata,
                lambda *samples, axis: np.mean([np.mean(s, axis=axis) for s in samples], axis=0),
                n_resamples=2000,
                batch=900 * 700 // max(sizes),
                confidence_level=interval.level,
                paired=False,
                method="BCa",
                rng=np.random.default_rng(seed),
            )
            # SciPy's quantile was another's before 1.16: the last bit may differ.
            ends = pytest.approx(tuple(oracle.confidence_interval), rel=1e-13, abs=1e-16)
            assert (interval.low, interval.high) == ends
            extreme = np.abs(oracle.bootstrap_distribution - interval.estimate)
            least = abs(interval.estimate) * (1 - 1e-12)
            assert interval.p == (1 + np.sum(extreme >= least)) / 2001
        assert intervals[0].low < intervals[1].low < intervals[1].high < intervals[0].high


def test_bootstrap_p_agrees_with_the_t_test() -> None:
    a, b = two_systems(200, effect=0.015)
    assert paired_bootstrap(a, b).p == pytest.approx(paired_t(a, b).p, abs=0.015)


def test_bootstrap_covers_the_true_mean_at_its_level() -> None:
    rng = np.random.default_rng(0)
    covered = sum(
        not bootstrap_interval(rng.normal(0.1, 1, 40), n=400, seed=i).excludes(0.1)
        for i in range(300)
    )
    # 95% of 300 is 285, standard deviation 3.8; the bootstrap is slightly liberal at n = 40.
    assert 265 <= covered <= 298


def test_macro_bootstrap_weighs_collections_equally() -> None:
    interval = macro_bootstrap([[0.1, 0.3], [0.0] * 50 + [0.6] * 50], n=500)
    assert interval.estimate == pytest.approx((0.2 + 0.3) / 2)
    assert interval.low < interval.estimate < interval.high


def test_macro_bootstrap_has_the_variance_of_a_stratified_mean() -> None:
    rng = np.random.default_rng(1)
    strata = [rng.normal(0, 1, 100), rng.normal(0, 3, 400)]
    interval = macro_bootstrap(strata, seed=2)
    error = math.sqrt(sum(np.var(s) / len(s) for s in strata)) / 2
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_a_constant_collection_shifts_and_narrows_but_breaks_nothing() -> None:
    a, b = two_systems(60)
    alone = bootstrap_interval(a - b, n=1000)
    mixed = macro_bootstrap([a - b, [0.0]], n=1000)
    halved = [alone.estimate / 2, alone.low / 2, alone.high / 2]
    assert [mixed.estimate, mixed.low, mixed.high] == pytest.approx(halved)


def test_bootstrap_falls_back_to_percentiles_where_bca_is_undefined() -> None:
    # The one resample is on one side of the estimate: the bias correction is infinite.
    interval = bootstrap_interval([0.0, 1.0], n=1)
    assert math.isfinite(interval.low) and math.isfinite(interval.high)
    assert interval.method == "percentile bootstrap"


def test_student_by_hand() -> None:
    # mean .5, s = .1, n = 3, t(.975, 2) = 4.302653, t(.95, 2) = 2.919986.
    wide, narrow = student([0.4, 0.5, 0.6], [0.95, 0.90])
    for interval, t in ((wide, 4.302652729911275), (narrow, 2.919985580355516)):
        half = t * 0.1 / math.sqrt(3)
        assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half))
    # The t distribution with two degrees of freedom in closed form.
    t0 = 0.5 / (0.1 / math.sqrt(3))
    assert wide.p == narrow.p == pytest.approx(1 - t0 / math.sqrt(2 + t0**2))


@pytest.mark.parametrize("bound", [0.005, 0.02, 0.03, 0.05])
def test_an_interval_within_the_bound_is_two_one_sided_tests(bound: float) -> None:
    a, b = two_systems(100, effect=0.0, seed=5)
    d = np.subtract(a, b)
    [narrow] = student(d, [0.90])
    above = stats.ttest_1samp(d, -bound, alternative="greater").pvalue
    below = stats.ttest_1samp(d, bound, alternative="less").pvalue
    assert (max(above, below) < 0.05) == (-bound < narrow.low and narrow.high < bound)


def test_student_where_nothing_varies() -> None:
    [alone] = student([0.5], [0.95])
    assert (alone.estimate, alone.low, alone.high, alone.p) == (0.5, -math.inf, math.inf, 1.0)
    # .1 + .2 and .3 differ in the last bit: still equal.
    [equal] = student([0.3, 0.1 + 0.2, 0.3], [0.95])
    assert equal.low == equal.high == pytest.approx(0.3) and equal.p == 0.25
    assert student([0.0, 0.0], [0.95])[0].p == 1.0


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04 -> .06 by monotony.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    # Of five planned tests two were run: .01 * 5, .02 * 4.
    assert holm([0.02, 0.01], tests=5) == pytest.approx([0.08, 0.05])
    with pytest.raises(InputError, match="2 p-values in a family of 1"):
        holm([0.1, 0.2], tests=1)
    with pytest.raises(InputError, match="p-value"):
        holm([1.2])


def test_prediction_interval_by_hand() -> None:
    # mean .5, s = .1, n = 3, t(.975, 2) = 4.302653: half-width .1 * 4.302653 * sqrt(4 / 3).
    interval = prediction_interval([0.4, 0.5, 0.6])
    half = 0.1 * 4.302652729911275 * math.sqrt(4 / 3)
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half))


ONE = {"q": 0.5}


def test_one_query_is_defined() -> None:
    other = {"q": 0.4}
    assert paired_t(ONE, other).p == 1.0
    assert randomization_test(ONE, other).p == 1.0
    interval = paired_bootstrap(ONE, other)
    assert (interval.low, interval.high, interval.p) == (-math.inf, math.inf, 1.0)
    assert interval.estimate == pytest.approx(0.1)
    seeds = prediction_interval([0.5])
    assert (seeds.low, seeds.high) == (-math.inf, math.inf)


def test_no_difference_is_defined() -> None:
    assert paired_t(A, A).p == 1.0
    assert randomization_test(A, A).p == 1.0
    same = np.linspace(0, 1, LEAST)
    boot = paired_bootstrap(same, same)
    assert (boot.low, boot.high, boot.p) == (0.0, 0.0, 1.0)
    assert not boot.excludes(0.0)


def test_queries_too_few_for_any_sign_flip_test_bound_nothing() -> None:
    for n in (2, LEAST - 1):
        better = np.linspace(0.1, 0.4, n)
        boot = paired_bootstrap(better, np.zeros(n))
        assert (boot.low, boot.high) == (-math.inf, math.inf)
        assert boot.p == randomization_test(better, np.zeros(n)).p == 2 / 2**n > 0.05
        assert boot.note == f"{n} queries: the interval is unbounded"
    enough = np.linspace(0.1, 0.4, LEAST)
    assert paired_bootstrap(enough, np.zeros(LEAST)).low > 0
    assert randomization_test(enough, np.zeros(LEAST)).p < 0.05


def test_equal_differences_are_defined() -> None:
    # Rounding makes .1 + .1 etc. differ in the last bit: still one constant.
    a = [0.1 + 0.1 * i for i in range(6)]
    b = [0.1 * i for i in range(6)]
    assert len(set(np.subtract(a, b).tolist())) > 1
    assert paired_t(a, b).p == 2 / 2**6 == randomization_test(a, b).p
    boot = paired_bootstrap(a, b, n=999)
    assert boot.low == boot.high == pytest.approx(0.1)
    assert boot.p == 1 / 1000
    assert prediction_interval([0.3, 0.3]).low == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([], [], "at least one query"),
        ([1.0], [1.0, 2.0], "1 and 2 values"),
        ([math.nan], [1.0], "not a finite number"),
        ({"q": 1.0}, [1.0], "both"),
    ],
)
def test_bad_values_are_refused(a: list[float], b: list[float], message: str) -> None:
    for test in (paired_t, randomization_test, paired_bootstrap):
        with pytest.raises(InputError, match=message):
            test(a, b)


@pytest.mark.parametrize(
    "values",
    [None, "x", ["x"], [None], [10**400], {"q": None}, {"q": "x"}, {"q": {"d": 1.0}}, b"x"],
)
def test_values_that_are_no_numbers(values: Any) -> None:
    for test in (paired_t, randomization_test, paired_bootstrap):
        for pair in ((values, values), (values, {"q": 1.0}), ([1.0], values)):
            with pytest.raises(InputError):
                test(*pair)
    with pytest.raises(InputError):
        bootstrap_interval(values)
    with pytest.raises(InputError):
        paired(values, values)


def test_options_that_are_no_numbers() -> None:
    for n in (0, 2.5, "10", None, True):
        with pytest.raises(InputError, match="positive"):
            randomization_test([1.0, 2.0], [2.0, 1.0], n=n)  # type: ignore[arg-type]
    for level in ("0.9", None, float("nan"), 95, True):
        with pytest.raises(InputError, match="expected a fraction"):
            paired_bootstrap([1.0, 2.0], [2.0, 1.0], level=level)  # type: ignore[arg-type]
