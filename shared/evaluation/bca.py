"""BCa intervals of a mean of means from resampled means, at several levels at once.

scipy.stats.bootstrap leaves every value out anew for every level, and is slow to import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

_ROWS = 64  # of values, one left out in each, which stay in the processor's cache


def bca_ends(
    strata: Sequence[np.ndarray],
    combine: Callable[[Sequence[np.ndarray]], np.ndarray],
    means: np.ndarray,
    levels: Sequence[float],
) -> list[tuple[float, float]]:
    """Ends of the bias-corrected and accelerated interval at each level; nan where undefined.

    `combine` makes the statistic of one mean (or one array of means) per stratum; `means`, (n,),
    is the statistic of n resamples. Efron and Tibshirani, An Introduction to the Bootstrap (1993),
    14.3 and, for several strata, Davison and Hinkley (1997), 5.3.2; as scipy.stats.bootstrap.
    """
    from scipy.special import ndtr, ndtri

    plain = [np.mean(values) for values in strata]
    estimate = combine(plain)
    below = np.count_nonzero(means < estimate) + np.count_nonzero(means <= estimate)
    with np.errstate(all="ignore"):  # an undefined interval is the caller's to replace
        bias = ndtri(below / (2 * len(means)))
        cubes, squares = 0.0, 0.0
        for j, values in enumerate(strata):
            n = float(len(values))
            parts = [np.broadcast_to(mean, len(values)) for mean in plain]
            parts[j] = _means_without_each(values)
            without = combine(parts)
            influence = (n - 1) * (np.mean(without) - without)
            cubes += np.sum(influence**3) / n**3
            squares += np.sum(influence**2) / n**2
        acceleration = 1 / 6 * cubes / squares ** (3 / 2)
        ordered = np.sort(means)
        found = []
        for level in levels:
            z = float(ndtri((1 - level) / 2))
            shares = (
                ndtr(bias + (bias + tail) / (1 - acceleration * (bias + tail))) for tail in (z, -z)
            )
            low, high = (_quantile(ordered, float(share)) for share in shares)
            found.append((low, high))
    return found


def _means_without_each(values: np.ndarray) -> np.ndarray:
    """The mean of all values but the i-th, (n,)."""
    n = len(values)
    found = np.empty(n)
    for start in range(0, n, _ROWS):
        rest = np.empty((min(_ROWS, n - start), n - 1))
        for i, row in enumerate(rest, start):
            row[:i] = values[:i]
            row[i:] = values[i + 1 :]
        found[start : start + len(rest)] = np.mean(rest, axis=-1)
    return found


def _quantile(ordered: np.ndarray, share: float) -> float:
    """Linear between the order statistics; nan for nan."""
    if not 0 <= share <= 1:
        return np.nan
    place = share * len(ordered) + (1 - share)
    part = place % 1
    low, high = (min(int(place // 1) - 1 + k, len(ordered) - 1) for k in (0, 1))
    return float((1 - part) * ordered[max(low, 0)] + part * ordered[max(high, 0)])
