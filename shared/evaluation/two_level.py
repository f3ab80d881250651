"""Bootstrap over seeds and queries, for experiments that repeat every system with several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.significance import RESAMPLES, Interval

_BLOCK = 1_000_000  # numbers drawn at a time


def two_level_bootstrap(
    diffs: Sequence[ArrayLike], level: float = 0.95, n: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bootstrap interval of the mean of per-collection means, seeds and then queries resampled.

    `diffs` holds one array (seeds, queries) of differences per collection, the seeds in the same
    order in all; every collection weighs the same, as in `macro_bootstrap`. Seeds and queries are
    crossed: a resample draws seeds once for all collections and queries once per collection for
    all the seeds drawn (Owen's pigeonhole bootstrap, Annals of Applied Statistics 2007). The
    interval is percentile. p is two-sided, from the resampled means shifted to a mean of zero,
    (1 + as extreme) / (1 + n). The spread over S seeds comes out too small by (S - 1) / S, which
    counts for few seeds: unite the interval with Student's t over seeds.

    One seed: queries alone are resampled, as a note says. A collection with one query has no
    resampling of queries; with a single query in every collection nothing bounds the mean and the
    interval is infinite with p = 1. Equal values within every collection give an interval of no
    width, p = 1 if the estimate is 0, else the least p, 1 / (1 + n). Raises InputError for arrays
    that are empty, not finite, not two-dimensional or of different numbers of seeds.
    """
    return two_level_bootstraps(diffs, [level], n, seed)[0]


def two_level_bootstraps(
    diffs: Sequence[ArrayLike], levels: Sequence[float], n: int = RESAMPLES, seed: int = 0
) -> list[Interval]:
    """The intervals of `two_level_bootstrap` at several levels, from the same resamples."""
    for level in levels:
        if not 0 < level < 1:
            raise InputError(f"level {level}: expected a fraction between 0 and 1, such as 0.95")
    if n < 1 or not len(diffs):
        raise InputError("the bootstrap needs at least one resample and one collection of values")
    tables = [_table(values) for values in diffs]
    seeds = len(tables[0])
    if any(len(table) != seeds for table in tables):
        counts = ", ".join(str(len(table)) for table in tables)
        raise InputError(f"the collections have {counts} seeds; expected the same seeds in each")
    estimate = float(np.mean([np.mean(table) for table in tables]))
    if all(table.shape[1] == 1 for table in tables):
        ends, note = (-math.inf, math.inf), "one query: the interval is unbounded"
        return [Interval(estimate, *ends, level, "none", 1.0, note) for level in levels]
    if all(np.ptp(table) <= 1e-12 * np.max(np.abs(table)) for table in tables):
        p, note = 1.0 if estimate == 0 else 1 / (1 + n), "no value varies"
        return [Interval(estimate, estimate, estimate, level, "none", p, note) for level in levels]
    means = _resampled_means(tables, n, seed)
    extreme = int(np.sum(np.abs(means - estimate) >= abs(estimate) * (1 - 1e-12)))
    note = "one seed: queries alone are resampled" if seeds == 1 else ""
    method, p = "two-level percentile bootstrap", (1 + extreme) / (1 + n)
    intervals = []
    for level in levels:
        tail = (1 - level) / 2
        low, high = np.quantile(means, [tail, 1 - tail]).tolist()
        intervals.append(Interval(estimate, low, high, level, method, p, note))
    return intervals


def _resampled_means(tables: Sequence[np.ndarray], n: int, seed: int) -> np.ndarray:
    """Means of `n` resamples, (n,): how often each seed and query was drawn weighs its values."""
    seeds = len(tables[0])
    drawn_seeds, drawn = _drawn(seeds, tuple(table.shape[1] for table in tables), n, seed)
    means = np.zeros(n)
    for table, counts in zip(tables, drawn, strict=True):
        queries = table.shape[1]
        rows = max(1, _BLOCK // queries)
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            sums = counts[block].astype(float) @ table.T  # (rows, seeds)
            means[block] += np.sum(drawn_seeds[block] * sums, axis=1) / (seeds * queries)
    return means / len(tables)


@lru_cache(maxsize=4)
def _drawn(
    seeds: int, queries: tuple[int, ...], n: int, seed: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Counts (n, seeds), then (n, queries) of each collection; many comparisons have the same."""
    rng = np.random.default_rng(seed)
    drawn_seeds = _counts(rng, n, seeds)
    found = []
    for size in queries:
        rows = max(1, _BLOCK // size)
        parts = [_counts(rng, min(rows, n - start), size) for start in range(0, n, rows)]
        found.append(np.concatenate(parts))
    return drawn_seeds, found


def _counts(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """How often each of `size` items is drawn in `size` draws with replacement, (rows, size)."""
    drawn = rng.integers(0, size, size=(rows, size))
    drawn += size * np.arange(rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
    return counts.astype(np.min_scalar_type(counts.max()))


def _table(values: ArrayLike) -> np.ndarray:
    try:
        table = np.asarray(values, dtype=np.float64)
    except ValueError:  # rows of different lengths
        table = np.zeros(0)
    if table.ndim != 2 or not table.size:
        raise InputError("expected an array (seeds, queries) for each collection, none empty")
    if not np.all(np.isfinite(table)):
        raise InputError("a value is not a finite number; check the scores")
    return table
