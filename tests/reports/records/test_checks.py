"""Values of records: as many decimals as are kept, each by Python's own rounding."""

from __future__ import annotations

import numpy as np
import pytest

from ir_replications.reports.records.checks import plain, rounded
from ir_replications.shared.errors import InputError

EDGES = [
    0.0,
    -0.0,
    0.1,
    1 / 3,
    0.1234565,
    np.nextafter(0.5, 1),
    5e-7,
    1e5 + 1e-6,
    1e12 + 0.1,
    1e300,
]


def test_values_are_rounded_as_python_rounds() -> None:
    rng = np.random.default_rng(0)
    many = rng.normal(size=500)
    for values in ([*many, *EDGES], np.round(many, 6), [float(f"{v:.6f}") for v in many]):
        rows = {f"q{i}": float(value) for i, value in enumerate(values)}
        found = rounded({"m": rows}, "here")["m"]
        assert list(map(repr, found.values())) == [repr(round(v, 6)) for v in rows.values()]
        assert found is not rows


@pytest.mark.parametrize("edge", EDGES)
def test_one_value_that_is_not_rounded_shows(edge: float) -> None:
    assert rounded({"m": {"a": 0.25, "b": float(edge)}}, "here")["m"]["b"] == round(float(edge), 6)


def test_lists_of_numbers_are_copied_and_looked_at() -> None:
    given = [0.5, 1.5]
    assert plain(given, "here", "facts") == given
    assert plain(given, "here", "facts") is not given
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"facts\[1\] is"):
            plain([0.5, wrong], "here", "facts")
