"""Resamples with replacement: draws depend on sizes and seed alone, so each are drawn once.

Many comparisons have as many queries as one before. A draw is kept as a small integer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_KEPT = 400_000_000  # bytes of draws; the oldest go first
_GATHERED = 1 << 16  # values gathered at a time, which stay in the processor's cache

_kept: dict[tuple[tuple[int, ...], int, int, int], tuple[np.ndarray, ...]] = {}


def resampled_means(
    strata: Sequence[np.ndarray], n: int, seed: int, batch: int
) -> list[np.ndarray]:
    """Means of `n` resamples of each stratum, (n,) each; bit for bit those of SciPy.

    The draws are those of `scipy.stats.bootstrap(strata, ..., batch=batch, rng=seed's generator)`:
    in each batch of resamples, the indexes of one stratum after another.
    """
    key = (tuple(map(len, strata)), n, seed, batch)
    found = _kept.pop(key, None) or _draws(*key)
    _keep(key, found)
    return [_means(values, drawn) for values, drawn in zip(strata, found, strict=True)]


def _keep(key: tuple[tuple[int, ...], int, int, int], found: tuple[np.ndarray, ...]) -> None:
    _kept[key] = found
    while sum(drawn.nbytes for draws in _kept.values() for drawn in draws) > _KEPT:
        del _kept[next(iter(_kept))]


def _means(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    rows = max(1, _GATHERED // len(values))
    means, gathered = np.empty(len(drawn)), np.empty((rows, len(values)))
    for start in range(0, len(drawn), rows):
        part = means[start : start + rows]
        # Clipped without being looked at first: every index lies within.
        np.take(values, drawn[start : start + rows], out=gathered[: len(part)], mode="clip")
        np.add.reduce(gathered[: len(part)], axis=-1, out=part)
    return means / len(values)


def _draws(sizes: tuple[int, ...], n: int, seed: int, batch: int) -> tuple[np.ndarray, ...]:
    """Indexes drawn for each size, (n, size)."""
    rng = np.random.default_rng(seed)
    found = tuple(np.empty((n, size), np.min_scalar_type(size - 1)) for size in sizes)
    for start in range(0, n, batch):
        rows = min(batch, n - start)
        for size, drawn in zip(sizes, found, strict=True):
            # The numbers that SciPy draws as int64, in half the memory.
            drawn[start : start + rows] = rng.integers(0, size, (rows, size), dtype=np.uint32)
    return found
