"""Paired tests, bootstrap intervals, equivalence and effect sizes on per-query values.

Two systems are given as `{qid: value}` mappings, aligned by query id, or as two sequences in the
same order; a difference is always first minus second. No function returns nan: what degenerate
input (one query, no difference, no variance) gives is stated in each docstring, with a `note` in
the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.bca import bca_ends
from ir_replications.shared.evaluation.resampling import resampled_means

Values = Mapping[str, float] | Sequence[float] | np.ndarray

RESAMPLES = 10_000
LEAST = 6  # queries: sign flips of fewer never give a p below .05
_BLOCK = 4_000_000  # numbers held at a time while resampling
_CACHED = 1 << 15  # numbers that stay in the processor's cache


@dataclass(frozen=True)
class PairedTest:
    """A test of the mean difference: estimate, two-sided p, number of queries, method."""

    estimate: float
    p: float
    n: int
    method: str
    note: str = ""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; infinite ends where the data cannot bound it."""

    estimate: float
    low: float
    high: float
    level: float
    method: str
    p: float | None = None
    note: str = ""

    def excludes(self, value: float) -> bool:
        """True when `value` is outside the interval."""
        return value < self.low or value > self.high


def paired(
    a: Mapping[str, float], b: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Values of `a` and `b`, each (n,), aligned by query id in the order of `a`, and the ids.

    Raises InputError naming the ids that only one of the two has.
    """
    for values in (a, b):
        if not isinstance(values, Mapping):
            raise InputError(f"values: {type(values).__name__}, expected {{query id: value}}")
    lacking = [("second", [qid for qid in a if qid not in b])]
    lacking.append(("first", [qid for qid in b if qid not in a]))
    for side, qids in lacking:
        if qids:
            shown = ", ".join(map(repr, qids[:5])) + (", ..." if len(qids) > 5 else "")
            raise InputError(
                f"the {side} system has no value for {len(qids)} of the queries: {shown}; "
                "score both on the same queries"
            )
    qids = list(a)
    return _finite([a[qid] for qid in qids]), _finite([b[qid] for qid in qids]), qids


def paired_t(a: Values, b: Values) -> PairedTest:
    """Student's paired t test of mean(a - b) = 0, two-sided.

    One query, or no difference on any query: p = 1. One and the same difference on all n queries
    leaves no variance to test against: the exact sign-flip p, 2 ** (1 - n), is given instead.
    """
    d = _differences(a, b)
    estimate = float(np.mean(d))
    if len(d) == 1:
        return PairedTest(estimate, 1.0, 1, "paired t", "one query: no test is possible")
    if _constant(d):
        if _zero(d):
            return PairedTest(0.0, 1.0, len(d), "paired t", "no query differs")
        p = 2.0 ** (1 - len(d))
        return PairedTest(estimate, p, len(d), "paired t", "equal differences: exact sign-flip p")
    return PairedTest(estimate, _t_test(d)[1], len(d), "paired t")


def randomization_test(a: Values, b: Values, n: int = RESAMPLES, seed: int = 0) -> PairedTest:
    """Fisher's paired randomization test: signs of the differences flipped, two-sided.

    Exact when the differing queries allow at most `n` sign patterns; otherwise `n` random
    patterns, with the observed one counted in, p = (1 + as extreme) / (1 + n), so that p is
    never 0 (Smucker et al., CIKM 2007). No difference on any query: p = 1.
    """
    if not _count(n):
        raise InputError(f"n = {n!r}: expected a positive number of random sign patterns")
    d = _differences(a, b)
    estimate = float(np.mean(d))
    moving = d[d != 0]  # flipping a zero changes nothing
    if _zero(d):
        return PairedTest(0.0, 1.0, len(d), "randomization", "no query differs")
    # Sums that are equal but for rounding count as equally extreme.
    least = abs(math.fsum(moving)) * (1 - 1e-12)
    if len(moving) < 60 and 2 ** len(moving) <= n:
        patterns = (np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving))) & 1
        extreme = int(np.sum(np.abs((1.0 - 2.0 * patterns) @ moving) >= least))
        p = extreme / 2 ** len(moving)
        return PairedTest(
            estimate, p, len(d), "randomization", f"exact, {2 ** len(moving)} patterns"
        )
    rng = np.random.default_rng(seed)
    extreme, step = 0, max(1, _CACHED // len(moving))
    for rows in _blocks(n, len(moving)):
        bits = rng.integers(0, 256, size=(rows, -(-len(moving) // 8)), dtype=np.uint8)
        flips = np.unpackbits(bits, axis=1, count=len(moving))
        for start in range(0, rows, step):
            signs = 1.0 - 2.0 * flips[start : start + step]
            extreme += int(np.sum(np.abs(signs @ moving) >= least))
    return PairedTest(estimate, (1 + extreme) / (1 + n), len(d), "randomization", f"{n} patterns")


def macro_randomization_test(
    diffs: Sequence[Values], n: int = RESAMPLES, seed: int = 0
) -> PairedTest:
    """Sign-flip randomization test of the mean of per-collection means, two-sided.

    `diffs` holds the per-query differences of each collection; every collection weighs the same.
    The sign of every query is flipped on its own, and the statistic is the mean of means; exact,
    sampled and degenerate cases as in `randomization_test`, which it equals for one collection.
    """
    if not len(diffs):
        raise InputError("no values: a test needs at least one collection")
    strata = [
        _finite(list(values.values()) if isinstance(values, Mapping) else values)
        for values in diffs
    ]
    total = sum(map(len, strata))
    # Scaled so that the plain mean over all queries is the mean of the means.
    scaled = np.concatenate([d * (total / (len(strata) * len(d))) for d in strata])
    result = randomization_test(scaled, np.zeros(total), n, seed)
    return replace(result, method="stratified randomization")


def bootstrap_interval(
    diffs: Values, level: float = 0.95, n: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bootstrap interval of the mean of per-query values; see `macro_bootstrap` for its method."""
    values = list(diffs.values()) if isinstance(diffs, Mapping) else diffs
    return macro_bootstrap([values], level, n, seed)


def paired_bootstrap(
    a: Values, b: Values, level: float = 0.95, n: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bootstrap over queries of mean(a - b), with its p; see `macro_bootstrap` for its method.

    Fewer than LEAST queries bound nothing: the interval is infinite, p the sign-flip test's.
    """
    differences = _differences(a, b)
    found = macro_bootstrap([differences], level, n, seed)
    if len(differences) == 1 or len(differences) >= LEAST:
        return found
    note = f"{len(differences)} queries: the interval is unbounded"
    p = randomization_test(a, b, n, seed).p
    return replace(found, low=-math.inf, high=math.inf, method="none", p=p, note=note)


def macro_bootstrap(
    diffs: Sequence[Values], level: float = 0.95, n: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bootstrap interval of the mean of per-collection means, queries resampled per collection.

    `diffs` holds the per-query differences of each collection; every collection weighs the same.
    The interval is BCa (bias corrected and accelerated, as in SciPy), or percentile where
    BCa is undefined (method says which). p is two-sided, from the resampled means shifted to a
    mean of zero (Sakai, SIGIR 2006), (1 + as extreme) / (1 + n). A collection with one query
    or equal values is a constant. When all are: equal values give an interval of no width
    (p = 1 if the estimate is 0, else the least p, 1 / (1 + n)), except that with a single
    query in every collection nothing bounds the mean and the interval is infinite with p = 1.
    """
    return macro_bootstraps(diffs, [level], n, seed)[0]


def macro_bootstraps(
    diffs: Sequence[Values], levels: Sequence[float], n: int = RESAMPLES, seed: int = 0
) -> list[Interval]:
    """The intervals of `macro_bootstrap` at several levels, from the same resamples."""
    for level in levels:
        if not (isinstance(level, float | np.floating) and 0 < level < 1):
            raise InputError(f"level {level!r}: expected a fraction between 0 and 1, such as 0.95")
    if not _count(n) or not len(diffs):
        raise InputError("the bootstrap needs at least one resample and one collection of values")
    strata = [
        _finite(list(values.values()) if isinstance(values, Mapping) else values)
        for values in diffs
    ]
    estimate = float(np.mean([np.mean(values) for values in strata]))
    if all(len(values) == 1 for values in strata):
        note = "one query: the interval is unbounded"
        ends = (-math.inf, math.inf)
        return [Interval(estimate, *ends, level, "none", 1.0, note) for level in levels]
    if all(_constant(values) for values in strata):
        p, note = 1.0 if estimate == 0 else 1 / (1 + n), "no value varies"
        return [Interval(estimate, estimate, estimate, level, "none", p, note) for level in levels]
    varying = [values for values in strata if not _constant(values)]
    fixed = math.fsum(float(np.mean(values)) for values in strata if _constant(values))

    def combine(means: Sequence[np.ndarray]) -> np.ndarray:
        return (fixed + np.sum(means, axis=0)) / len(strata)

    batch = max(1, _BLOCK // max(len(values) for values in varying))
    means = combine(resampled_means(varying, n, seed, batch))
    extreme = int(np.sum(np.abs(means - estimate) >= abs(estimate) * (1 - 1e-12)))
    intervals = []
    for level, (low, high) in zip(levels, bca_ends(varying, combine, means, levels), strict=True):
        method = "BCa bootstrap"
        if not (math.isfinite(low) and math.isfinite(high)):
            tail = (1 - level) / 2
            low, high = np.quantile(means, [tail, 1 - tail]).tolist()
            method = "percentile bootstrap"
        intervals.append(Interval(estimate, low, high, level, method, (1 + extreme) / (1 + n)))
    return intervals


def student(values: Sequence[float], levels: Sequence[float]) -> list[Interval]:
    """Student's t intervals of the mean of `values` at several levels, p against a mean of zero.

    For few values that are not queries, such as one mean per seed. One value: infinite interval,
    p = 1. Equal values on all n: no width, p = 1 if they are 0, else the exact sign-flip p,
    2 ** (1 - n), as in `paired_t`.
    """
    from scipy.special import stdtrit

    d = _finite(values)
    mean = float(np.mean(d))
    if len(d) == 1:
        note = "one value: the interval is unbounded"
        return [Interval(mean, -math.inf, math.inf, level, "t", 1.0, note) for level in levels]
    if _constant(d):
        p, note = 1.0 if _zero(d) else 2.0 ** (1 - len(d)), "no value varies"
        return [Interval(mean, mean, mean, level, "t", p, note) for level in levels]
    error, p = _t_test(d)
    intervals = []
    for level in levels:
        tail = (1 - level) / 2
        low, high = (float(stdtrit(len(d) - 1, share) * error + mean) for share in (tail, 1 - tail))
        intervals.append(Interval(mean, low, high, level, "t", p))
    return intervals


def _t_test(d: np.ndarray) -> tuple[float, float]:
    """(standard error of the mean, two-sided p of Student's t test against a mean of 0)."""
    from scipy.special import stdtr  # scipy.stats takes half a second to import

    n, mean = len(d), np.mean(d)
    error = np.sqrt(np.mean((d - mean) ** 2) * (n / (n - 1)) / n)
    return float(error), float(2 * stdtr(n - 1, -abs(mean / error)))


def holm(pvalues: Sequence[float], tests: int | None = None) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given, which control family-wise error.

    `tests` is the size of the planned family, where some of its tests were not run yet: they
    count as if their p were the largest. Raises InputError for fewer tests than p-values.
    """
    p = _finite(pvalues) if len(pvalues) else np.zeros(0)
    if np.any((p < 0) | (p > 1)):
        raise InputError("a p-value is outside 0..1")
    planned = len(p) if tests is None else tests
    if planned < len(p):
        raise InputError(f"{len(p)} p-values in a family of {planned} tests")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (planned - np.arange(len(p)))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled)) if len(p) else scaled
    return adjusted.tolist()


def prediction_interval(seed_values: Sequence[float], level: float = 0.95) -> Interval:
    """Where the value of one more seed is expected: mean +- t s sqrt(1 + 1/n), t with n - 1 df.

    One seed says nothing of the spread: infinite interval. Equal values: no width.
    """
    from scipy.special import stdtrit

    if not 0 < level < 1:
        raise InputError(f"level {level}: expected a fraction between 0 and 1, such as 0.95")
    values = _finite(seed_values)
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        note = "one seed: the interval is unbounded"
        return Interval(mean, -math.inf, math.inf, level, "prediction", None, note)
    if _constant(values):
        return Interval(mean, mean, mean, level, "prediction", None, "no value varies")
    t = float(stdtrit(n - 1, (1 + level) / 2))
    half = t * float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / n)
    return Interval(mean, mean - half, mean + half, level, "prediction")


def _differences(a: Values, b: Values) -> np.ndarray:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        first, second, _ = paired(a, b)
    elif isinstance(a, Mapping) or isinstance(b, Mapping):
        raise InputError("give both systems as {query id: value} or both as sequences")
    else:
        first, second = _finite(a), _finite(b)
        if len(first) != len(second):
            raise InputError(f"{len(first)} and {len(second)} values: expected the same queries")
    return first - second


def _count(n: int) -> bool:
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a value is no number ({error}); check the scores") from error
    if array.ndim != 1 or not len(array):
        raise InputError("no values: a test needs at least one query")
    if not np.all(np.isfinite(array)):
        raise InputError("a value is not a finite number; check the scores")
    return array


def _zero(d: np.ndarray) -> bool:
    return not np.any(d)


def _constant(d: np.ndarray) -> bool:
    """True when the values are equal but for rounding."""
    return bool(np.ptp(d) <= 1e-12 * np.max(np.abs(d)))


def _blocks(n: int, width: int) -> Iterator[int]:
    """Split `n` rows of `width` numbers into blocks that fit in memory."""
    rows = max(1, _BLOCK // max(width, 1))
    for start in range(0, n, rows):
        yield min(rows, n - start)
