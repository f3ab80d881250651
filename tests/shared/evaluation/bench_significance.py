"""The bootstrap of the pages against SciPy's own, one thread.

A page compares many systems on the queries of one collection, at two levels each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from ir_replications.shared.evaluation.significance import RESAMPLES, macro_bootstraps

LEVELS = (0.95, 0.90)


def page_of_shared(systems: np.ndarray) -> list[tuple[float, float]]:
    found = [macro_bootstraps([values], LEVELS) for values in systems]
    return [(interval.low, interval.high) for intervals in found for interval in intervals]


def page_of_scipy(systems: np.ndarray) -> list[tuple[float, float]]:
    found = []
    for values in systems:
        for level in LEVELS:
            result = stats.bootstrap(
                (values,),
                np.mean,
                n_resamples=RESAMPLES,
                confidence_level=level,
                vectorized=True,
                rng=np.random.default_rng(0),
            )
            low, high = result.confidence_interval
            found.append((float(low), float(high)))
    return found


@pytest.mark.benchmark(group="20 comparisons on 300 queries, two levels")
@pytest.mark.parametrize("system", ["shared", "scipy"])
def test_bootstraps_of_a_page(benchmark: Any, system: str) -> None:
    systems = np.random.default_rng(1).normal(0.02, 0.1, (20, 300))
    page = {"shared": page_of_shared, "scipy": page_of_scipy}[system]
    found = benchmark.pedantic(page, args=(systems,), rounds=3, warmup_rounds=1)
    assert found == page_of_scipy(systems)
