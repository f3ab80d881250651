"""Differences are shown with the digits that their interval tells apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ir_replications.reports.pages.claim_views import _decimals, _ours


def claim(measure: str) -> Any:
    check = SimpleNamespace(kind="effect", decimals=4, measure=measure, scale=1.0)
    return cast(Any, SimpleNamespace(check=check))


def finding(low: float, middle: float, high: float, printed: float | None = None) -> Any:
    effect = SimpleNamespace(difference=middle, low=low, high=high)
    return cast(Any, SimpleNamespace(effect=effect, printed=printed, value=middle))


@pytest.mark.parametrize(
    ("low", "middle", "high", "text"),
    [
        (0.0, 0.0, 0.0, "0.000"),
        (-0.05417, 0.0, 0.05417, "0.000"),
        (-0.0003, 0.00012, 0.0005, "+0.00012"),
        (-40.0, 12.345, 90.0, "+12"),
        (float("-inf"), 0.25, float("inf"), "+0.250"),
    ],
)
def test_a_difference_has_the_digits_of_its_interval(
    low: float, middle: float, high: float, text: str
) -> None:
    assert _ours(claim("pair accuracy"), finding(low, middle, high)) == text


def test_what_a_paper_prints_keeps_one_more_digit_than_it_prints() -> None:
    assert _decimals(claim("pair accuracy"), finding(-0.1, 0.0, 0.1, printed=0.0123)) == 5
