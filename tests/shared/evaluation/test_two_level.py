"""The bootstrap over seeds and queries: brute force, variance, coverage and defined edges."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import ir_replications.shared.evaluation.two_level
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.significance import bootstrap_interval
from ir_replications.shared.evaluation.two_level import two_level_bootstrap, two_level_bootstraps

# Means 2 and 1: estimate 1.5. Column means 0 3 3 and 1 1, row means 1 3 and 0 2.
TINY = [np.array([[0.0, 1.0, 2.0], [0.0, 5.0, 4.0]]), np.array([[-1.0, 1.0], [3.0, 1.0]])]


def crossed(
    rng: np.random.Generator, seeds: int, sizes: tuple[int, ...], mean: float, sd_seed: float
) -> list[np.ndarray]:
    """Differences with a seed effect that all collections share, query effects and noise."""
    effect = rng.normal(0, sd_seed, (seeds, 1))
    return [
        mean + effect + rng.normal(0, 1, (1, size)) + rng.normal(0, 0.5, (seeds, size))
        for size in sizes
    ]


def test_equals_brute_force_with_the_same_draws() -> None:
    n, rng = 500, np.random.default_rng(3)
    drawn_seeds = rng.integers(0, 2, size=(n, 2))
    drawn_queries = [rng.integers(0, table.shape[1], size=(n, table.shape[1])) for table in TINY]
    means = np.array(
        [
            np.mean(
                [
                    np.mean(table[np.ix_(drawn_seeds[i], queries[i])])
                    for table, queries in zip(TINY, drawn_queries, strict=True)
                ]
            )
            for i in range(n)
        ]
    )
    result = two_level_bootstrap(TINY, n=n, seed=3)
    assert result.estimate == 1.5
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist())
    extreme = np.sum(np.abs(means - 1.5) >= 1.5 - 1e-9)
    assert result.p == pytest.approx((1 + extreme) / (1 + n))
    assert 0 < extreme < n


def test_agrees_with_all_resamples_of_a_tiny_case() -> None:
    # 2^2 draws of seeds times 3^3 and 2^2 draws of queries: 432 equally likely resamples.
    means = np.array(
        [
            (TINY[0][np.ix_(s, q)].mean() + TINY[1][np.ix_(s, r)].mean()) / 2
            for s in itertools.product(range(2), repeat=2)
            for q in itertools.product(range(3), repeat=3)
            for r in itertools.product(range(2), repeat=2)
        ]
    )
    assert len(means) == 432 and means.mean() == pytest.approx(1.5)
    exact = np.mean(np.abs(means - 1.5) >= 1.5 - 1e-9)
    result = two_level_bootstrap(TINY, n=20_000)
    assert result.p == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 20_000))
    # The quantiles of a discrete distribution are steps: taken a little either side of the tail.
    assert np.quantile(means, 0.02) <= result.low <= np.quantile(means, 0.03)
    assert np.quantile(means, 0.97) <= result.high <= np.quantile(means, 0.98)


def test_queries_are_drawn_once_for_all_seeds_and_seeds_once_for_all_collections() -> None:
    # Two seeds, no noise. By hand, standard error^2 of the mean of one collection with seed
    # effects -1 +1 and query values 0 0 3 3 (variance 2.25): 1 / 2 + 2.25 / 4. Two such
    # collections halve the part of the queries alone: 1 / 2 + 2.25 / 8.
    table = np.array([[-1.0], [1.0]]) + np.array([[0.0, 0.0, 3.0, 3.0]])
    for tables, variance in (([table], 0.5 + 2.25 / 4), ([table, table], 0.5 + 2.25 / 8)):
        means = ir_replications.shared.evaluation.two_level._resampled_means(
            tables, 40_000, np.random.default_rng(0)
        )
        assert np.var(means) == pytest.approx(variance, rel=0.03)


def test_seeds_that_agree_leave_the_bootstrap_over_queries() -> None:
    rng = np.random.default_rng(4)
    d = rng.normal(0.3, 1, 80)
    result = two_level_bootstrap([np.tile(d, (5, 1))])
    queries = bootstrap_interval(d)
    assert result.estimate == pytest.approx(queries.estimate)
    assert (result.low, result.high) == pytest.approx((queries.low, queries.high), abs=0.03)
    assert result.p == pytest.approx(queries.p, abs=0.006)


def test_covers_the_true_mean_where_queries_alone_do_not() -> None:
    rng = np.random.default_rng(0)
    covered = queries_alone = 0
    for i in range(200):
        tables = crossed(rng, 10, (30, 50), 0.1, 0.4)
        covered += not two_level_bootstrap(tables, n=400, seed=i).excludes(0.1)
        means = [table.mean(axis=0, keepdims=True) for table in tables]
        queries_alone += not two_level_bootstrap(means, n=400, seed=i).excludes(0.1)
    # 95 % of 200 is 190, standard deviation 3; ten seeds narrow the interval by about 3 %.
    assert 178 <= covered <= 199
    assert queries_alone < 175


def test_is_fixed_by_its_seed_and_free_of_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = crossed(np.random.default_rng(1), 3, (20, 7), 0.2, 0.1)
    first = two_level_bootstrap(tables, n=300, seed=5)
    assert first == two_level_bootstrap(tables, n=300, seed=5)
    assert first != two_level_bootstrap(tables, n=300, seed=6)
    monkeypatch.setattr(ir_replications.shared.evaluation.two_level, "_BLOCK", 37)
    small = two_level_bootstrap(tables, n=300, seed=5)
    assert (small.low, small.high, small.p) == pytest.approx((first.low, first.high, first.p))


def test_levels_are_nested_and_scale_with_the_values() -> None:
    wide, narrow = two_level_bootstraps(TINY, [0.95, 0.90])
    assert (wide, narrow) == (two_level_bootstrap(TINY), two_level_bootstrap(TINY, 0.90))
    assert wide.low < narrow.low < 1.5 < narrow.high < wide.high
    scaled = two_level_bootstrap([100 * table for table in TINY])
    assert (scaled.low, scaled.high) == pytest.approx((100 * wide.low, 100 * wide.high))
    assert scaled.p == wide.p


def test_one_seed_resamples_queries_and_says_so() -> None:
    d = np.random.default_rng(2).normal(0.1, 1, 60)
    result = two_level_bootstrap([[d]])
    queries = bootstrap_interval(d)
    assert (result.low, result.high) == pytest.approx((queries.low, queries.high), abs=0.05)
    assert "one seed" in result.note


def test_one_query_in_every_collection_is_unbounded() -> None:
    result = two_level_bootstrap([[[0.1], [0.2]], [[0.3], [0.6]]])
    assert (result.low, result.high, result.p) == (-math.inf, math.inf, 1.0)
    assert result.estimate == pytest.approx(0.3)


def test_one_query_in_one_collection_still_has_its_seeds() -> None:
    # Seed effects alone, -1 and 1 around 2 in both collections: the draws give 1, 2 or 3.
    result = two_level_bootstrap([[[1.0], [3.0]], [[1.0, 1.0], [3.0, 3.0]]], n=2000)
    assert (result.estimate, result.low, result.high) == (2.0, 1.0, 3.0)


def test_equal_values_give_no_width() -> None:
    level = two_level_bootstrap([np.full((3, 4), 0.1 + 0.2), np.full((3, 2), 0.1)], n=999)
    assert level.low == level.high == pytest.approx(0.2)
    assert level.p == 1 / 1000
    zero = two_level_bootstrap([np.zeros((3, 4))])
    assert (zero.low, zero.high, zero.p) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("diffs", "options", "message"),
    [
        ([], {}, "at least one resample and one collection"),
        (TINY, {"n": 0}, "at least one resample"),
        (TINY, {"level": 95}, "fraction between 0 and 1"),
        ([[1.0, 2.0]], {}, "seeds, queries"),
        ([np.zeros((2, 0))], {}, "seeds, queries"),
        ([[[1.0, 2.0], [1.0]]], {}, "seeds, queries"),
        ([[[1.0, math.nan]]], {}, "not a finite number"),
        ([np.zeros((2, 3)), np.zeros((3, 3))], {}, "2, 3 seeds"),
    ],
)
def test_bad_values_are_refused(diffs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        two_level_bootstrap(diffs, **options)
