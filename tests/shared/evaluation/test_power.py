"""The detectable difference, against simulation and the textbook's approximation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.power import detectable_difference


@pytest.mark.parametrize(("n", "level"), [(12, 0.05), (50, 0.05), (50, 0.005)])
def test_a_difference_of_that_size_is_found_four_times_in_five(n: int, level: float) -> None:
    rng = np.random.default_rng(0)
    observed = rng.normal(size=n)
    least = detectable_difference(observed, level=level)
    assert least is not None
    spread = np.std(observed, ddof=1)
    drawn = rng.normal(least, spread, size=(20_000, n))
    found = np.mean(stats.ttest_1samp(drawn, 0.0, axis=1).pvalue < level)
    assert abs(found - 0.8) < 0.012


@pytest.mark.parametrize("n", [2, 3, 6])
def test_few_queries_still_have_an_answer(n: int) -> None:
    observed = np.random.default_rng(2).normal(size=n)
    strict, usual = (detectable_difference(observed, level=level) for level in (0.005, 0.05))
    assert strict is not None and usual is not None and np.isfinite(strict)
    assert strict > usual > np.std(observed, ddof=1) / n**0.5


def test_it_nears_the_normal_approximation_and_scales_with_the_spread() -> None:
    observed = np.random.default_rng(1).normal(size=2000)
    least = detectable_difference(observed)
    assert least is not None
    plain = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * np.std(observed, ddof=1) / 2000**0.5
    assert least == pytest.approx(plain, rel=2e-3)
    assert detectable_difference(10 * observed) == pytest.approx(10 * least)


@pytest.mark.parametrize("differences", [[], [0.3], [0.0, 0.0, 0.0], [0.2, 0.2]])
def test_nothing_says_it_of_too_few_queries_or_no_spread(differences: list[float]) -> None:
    assert detectable_difference(differences) is None


@pytest.mark.parametrize("bad", [{"level": 0.0}, {"power": 1.0}])
def test_levels_and_powers_are_fractions(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="fractions"):
        detectable_difference([0.1, 0.2], **bad)
