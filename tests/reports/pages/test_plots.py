"""Figures: deterministic, self-contained, readable in both colour schemes."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import pytest

from ir_replications.reports.pages.plots import (
    INK,
    MARKED,
    lines,
    scatter,
    with_prefix,
)

NASTY = '<script>$\\frac$ & "x"</script>'
DRAW: dict[str, Callable[[], str]] = {
    "lines": lambda: lines({NASTY: [(0, 1, 0.5, 1.5), (1, 2, 1, 3)], "b": [(0, 1), (1, 1)]}),
    "scatter": lambda: scatter({NASTY: [(0.1, 0.2)], "b": [(0.3, 0.1)]}, diagonal=True),
}


@pytest.mark.parametrize("name", DRAW)
def test_figures_are_the_same_every_time(name: str) -> None:
    first = DRAW[name]()
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True}):  # a user's own settings
        assert DRAW[name]() == first


@pytest.mark.parametrize("name", DRAW)
def test_figures_are_well_formed_and_self_contained(name: str) -> None:
    svg = DRAW[name]()
    ElementTree.fromstring(svg)
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert "currentColor" in svg and INK not in svg
    assert "<style" not in svg and "<metadata" not in svg and "<image" not in svg
    assert not re.search(r"(?:href|src)=\"(?!#)", svg)
    assert not re.search(r"#(?:000000|ffffff)\b", svg), "black or white cannot suit both schemes"


def test_prefix_makes_ids_unique_and_keeps_references() -> None:
    svg = DRAW["lines"]()
    both = with_prefix(svg, "one") + with_prefix(svg, "two")
    ids = re.findall(r'\bid="([^"]+)"', both)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', both) + re.findall(r"url\(#([^)]+)\)", both):
        assert target in ids


def test_a_long_curve_has_no_marks() -> None:
    short, long = (lines({"a": [(x, x) for x in range(n)]}) for n in (MARKED, MARKED + 1))
    assert short.count("<use") - long.count("<use") >= MARKED
