"""Comparisons over queries and seeds: which method is used, and its numbers from the parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ir_replications.reports.claims.effects import Effect, compare, macro
from ir_replications.reports.claims.select import Sample
from ir_replications.reports.records.record import Record
from ir_replications.shared.evaluation.significance import (
    macro_bootstrap,
    macro_randomization_test,
    randomization_test,
)
from ir_replications.shared.evaluation.two_level import two_level_bootstrap

MEASURE = "nDCG@10"
SIZES = {"a": 30, "b": 12}


def side(
    system: str, collection: str, table: np.ndarray, seeds: list[int] | None, *, trained: bool
) -> Sample:
    """One record per row of per-query values (seeds, queries)."""
    records = []
    named: list[int] | list[None] = seeds or [None]
    for row, seed in zip(table, named, strict=True):
        queries = {f"q{i}": float(value) for i, value in enumerate(row)}
        config = {"system": system, "collection": collection}
        records.append(
            Record.create(
                paper="toy", experiment="E1", tier="small", label=f"{collection} {system}",
                config=config if seed is None else {**config, "seed": seed},
                means={MEASURE: float(np.mean(row))}, per_query={MEASURE: queries},
                facts={"training": {"train_rows": 8}} if trained else {},
            )
        )  # fmt: skip
    return Sample(tuple(records))


def tables(sd_seed: float, seeds: int = 4) -> dict[str, np.ndarray]:
    """Differences per collection (seeds, queries), to the 6 decimals that a record keeps."""
    rng = np.random.default_rng(8)
    effect = rng.normal(0, sd_seed, (seeds, 1))
    return {
        name: np.round(0.05 + effect + rng.normal(0, 0.1, (seeds, size)), 6)
        for name, size in SIZES.items()
    }


def pairs(
    diffs: dict[str, np.ndarray],
    seeds: list[int],
    base_seeds: list[int] | None,
    *,
    trained_base: bool = True,
) -> dict[str, tuple[Sample, Sample]]:
    """Each collection's differences as a system above a base of .25 on every query."""
    base = len(base_seeds or [0])
    return {
        name: (
            side("new", name, 0.25 + table, seeds, trained=True),
            side(
                "old",
                name,
                np.full((base, table.shape[1]), 0.25),
                base_seeds,
                trained=trained_base and base_seeds is not None,
            ),
        )
        for name, table in diffs.items()
    }


def over_seeds(diffs: dict[str, np.ndarray], level: float = 0.95) -> tuple[float, float, float]:
    """Student's t by SciPy on the per-seed mean of means: low, high, p."""
    values = np.mean([table.mean(axis=1) for table in diffs.values()], axis=0)
    result = stats.ttest_1samp(values, 0.0)
    low, high = result.confidence_interval(level)
    return float(low), float(high), float(result.pvalue)


@pytest.mark.parametrize("sd_seed", [0.0, 0.03, 0.2])
def test_several_seeds_and_collections_unite_two_levels_and_seeds(sd_seed: float) -> None:
    diffs = tables(sd_seed)
    effect = macro(pairs(diffs, [1, 2, 3, 4], [1, 2, 3, 4]), MEASURE)
    stack = list(diffs.values())
    for level, ours in ((0.95, (effect.low, effect.high)), (0.90, (effect.low90, effect.high90))):
        boot, seeds = two_level_bootstrap(stack, level), over_seeds(diffs, level)
        expected = (min(boot.low, seeds[0]), max(boot.high, seeds[1]))
        assert ours == pytest.approx(expected, abs=1e-6)
    flips = macro_randomization_test([table.mean(axis=0) for table in stack])
    assert effect.p == pytest.approx(max(flips.p, over_seeds(diffs)[2]), rel=1e-3)
    assert effect.difference == pytest.approx(np.mean([table.mean() for table in stack]))
    assert (effect.n, effect.unit, effect.seeds) == (42, "queries", 4)
    assert effect.test == (
        "stratified sign-flip randomisation and t over seeds; two-level bootstrap interval"
    )


def test_seeds_that_differ_widen_the_interval_over_queries() -> None:
    diffs = tables(0.2)
    means = [table.mean(axis=0) for table in diffs.values()]
    queries, both = macro_bootstrap(means), two_level_bootstrap(list(diffs.values()))
    assert both.high - both.low > 2 * (queries.high - queries.low)


def test_weights_and_scale_are_put_into_the_values() -> None:
    diffs = tables(0.03)
    found = pairs(diffs, [1, 2, 3, 4], [1, 2, 3, 4])
    shares = {"a": 0.25, "b": 0.75}
    effect = macro(found, MEASURE, 100.0, shares)
    # Shares of 1/4 and 3/4 of two collections are factors 1/2 and 3/2 on their values.
    weighted = {"a": 50 * diffs["a"], "b": 150 * diffs["b"]}
    boot, seeds = two_level_bootstrap(list(weighted.values())), over_seeds(weighted)
    assert effect.difference == pytest.approx(boot.estimate)
    expected = (min(boot.low, seeds[0]), max(boot.high, seeds[1]))
    assert (effect.low, effect.high) == pytest.approx(expected, abs=1e-4)


def test_seeds_that_the_sides_do_not_share_are_left_out() -> None:
    diffs = tables(0.03)
    found = pairs(diffs, [1, 2, 3, 4], [2, 3, 4, 9])
    shared = {name: table[1:] for name, table in diffs.items()}
    expected = macro(pairs(shared, [2, 3, 4], [2, 3, 4]), MEASURE)
    assert numbers(macro(found, MEASURE)) == pytest.approx(numbers(expected), rel=1e-9)
    # Collection b lacks seed 2: the two levels and t take seeds 3 and 4, that all sides have.
    found["b"] = pairs({"b": diffs["b"][2:]}, [3, 4], [3, 4])["b"]
    effect = macro(found, MEASURE)
    assert effect.seeds == 2
    boot = two_level_bootstrap([diffs["a"][2:], diffs["b"][2:]])
    t_low, t_high, _ = over_seeds({name: table[2:] for name, table in diffs.items()})
    expected_span = (min(boot.low, t_low), max(boot.high, t_high))
    assert (effect.low, effect.high) == pytest.approx(expected_span, abs=1e-6)


def numbers(effect: Effect) -> list[float]:
    return [effect.difference, effect.low, effect.high, effect.low90, effect.high90, effect.p]


@pytest.mark.parametrize("base_seeds", [None, [7]])
def test_a_side_with_one_run_keeps_the_bootstrap_over_queries(base_seeds: list[int] | None) -> None:
    diffs = tables(0.0)
    effect = macro(pairs(diffs, [1, 2, 3, 4], base_seeds), MEASURE)
    means = [table.mean(axis=0) for table in diffs.values()]
    boot, flips = macro_bootstrap(means), macro_randomization_test(means)
    low, high, p = over_seeds(diffs)
    assert (effect.low, effect.high) == pytest.approx(
        (min(boot.low, low), max(boot.high, high)), abs=1e-6
    )
    assert effect.p == pytest.approx(max(flips.p, p), rel=1e-3)
    assert effect.test == "stratified sign-flip randomisation and t over seeds"


def test_one_run_is_compared_with_the_other_sides_run_of_its_seed() -> None:
    diffs = tables(0.2)
    several, one = (
        pairs(diffs, [1, 2, 3, 4], [3]),
        pairs({name: table[2:3] for name, table in diffs.items()}, [3], [3]),
    )
    assert numbers(macro(several, MEASURE)) == numbers(macro(one, MEASURE))
    assert macro(several, MEASURE).seeds == 1


def test_one_run_of_an_untrained_system_stands_against_all_seeds() -> None:
    diffs = tables(0.2)
    same_seed = macro(pairs(diffs, [1, 2, 3, 4], [3], trained_base=False), MEASURE)
    assert numbers(same_seed) == numbers(macro(pairs(diffs, [1, 2, 3, 4], None), MEASURE))
    assert (same_seed.seeds, same_seed.trained_once) == (4, False)


def test_one_seed_keeps_the_bootstrap_over_queries() -> None:
    diffs = {name: table[:1] for name, table in tables(0.0).items()}
    effect = macro(pairs(diffs, [1], [1]), MEASURE)
    rows = [table[0] for table in diffs.values()]
    boot, flips = macro_bootstrap(rows), macro_randomization_test(rows)
    expected = (boot.low, boot.high, flips.p)
    assert (effect.low, effect.high, effect.p) == pytest.approx(expected, abs=1e-6)
    assert (effect.test, effect.seeds) == ("stratified sign-flip randomisation", 1)


def test_one_collection_keeps_the_bootstrap_of_the_seed_means() -> None:
    diffs = {"a": tables(0.0)["a"]}
    ((first, second),) = pairs(diffs, [1, 2, 3, 4], [1, 2, 3, 4]).values()
    effect = compare(first, second, MEASURE)
    means = diffs["a"].mean(axis=0)
    boot = macro_bootstrap([means])
    low, high, p = over_seeds(diffs)
    assert (effect.low, effect.high) == pytest.approx(
        (min(boot.low, low), max(boot.high, high)), abs=1e-6
    )
    assert effect.p == pytest.approx(max(randomization_test(means, np.zeros(30)).p, p), rel=1e-3)
    assert effect.test == "sign-flip randomisation and t over seeds"
