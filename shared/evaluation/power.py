"""Which difference a comparison of two systems could have found, from its own spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ir_replications.shared.errors import InputError


def detectable_difference(
    differences: Sequence[float] | np.ndarray, *, level: float = 0.05, power: float = 0.8
) -> float | None:
    """The least true mean difference whose direction a paired t test finds with `power`.

    Two-sided at `level`, for as many queries as there are `differences` and with their standard
    deviation; in their unit. None where nothing says it: fewer than two queries, or no spread.
    Raises InputError for a level or power outside 0..1.
    """
    from scipy import optimize, stats

    if not (0 < level < 1 and 0 < power < 1):
        raise InputError(f"level {level}, power {power}: expected fractions between 0 and 1")
    d = np.asarray(differences, dtype=np.float64)
    n = len(d)
    if n < 2 or not (spread := float(np.std(d, ddof=1))) > 0:
        return None
    limit = float(stats.t.ppf(1 - level / 2, n - 1))

    def lacking(shift: float) -> float:
        return float(stats.nct.sf(limit, n - 1, shift)) - power

    above = limit + 1.0
    while lacking(above) < 0:
        above *= 2
    shift = float(optimize.brentq(lacking, 0.0, above, xtol=1e-6))
    return shift * spread / math.sqrt(n)
