"""Resamples with replacement: draws depend on sizes and seed alone, so each are drawn once.

Many comparisons have as many queries as one before. A draw is kept as a small integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_KEPT = 16_000_000  # larger sets of draws are made anew: 16 sets of 32 MB at most are kept
_GATHERED = 1 << 16  # values gathered at a time, which stay in the processor's cache


def resampled_means(
    strata: Sequence[np.ndarray], n: int, seed: int, batch: int
) -> list[np.ndarray]:
    """Means of `n` resamples of each stratum, (n,) each; bit for bit those of SciPy.

    The draws are those of `scipy.stats.bootstrap(strata, ..., batch=batch, rng=seed's generator)`:
    in each batch of resamples, the indexes of one stratum after another.
    """
    sizes = tuple(map(len, strata))
    found = (_draws if sum(sizes) * n <= _KEPT else _draws.__wrapped__)(sizes, n, seed, batch)
    return [_means(values, drawn) for values, drawn in zip(strata, found, strict=True)]


def _means(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    rows = max(1, _GATHERED // len(values))
    parts = [
        np.mean(np.take(values, drawn[start : start + rows]), axis=-1)
        for start in range(0, len(drawn), rows)
    ]
    return np.concatenate(parts)


@lru_cache(maxsize=16)
def _draws(sizes: tuple[int, ...], n: int, seed: int, batch: int) -> tuple[np.ndarray, ...]:
    """Indexes drawn for each size, (n, size)."""
    rng = np.random.default_rng(seed)
    found = tuple(np.empty((n, size), np.min_scalar_type(size - 1)) for size in sizes)
    for start in range(0, n, batch):
        rows = min(batch, n - start)
        for size, drawn in zip(sizes, found, strict=True):
            drawn[start : start + rows] = rng.integers(0, size, (rows, size))
    return found
