"""Drawings that are tables: every number stands in them, escaped, with its mark on one scale."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from ir_replications.reports.pages.drawings import (
    STRONGEST,
    WIDTH,
    Scale,
    bars,
    forest,
    heatmap,
    mark,
)

NASTY = '<script>$\\frac$ & "x"</script>'
DRAWN = {
    "forest": forest([(NASTY, 0.1, 0.05, 0.2), ("b", -0.1, -0.2, -0.05)], "points"),
    "bars": bars([NASTY, "b"], {"x": [0.5, 0.4], "y": [0.6, 0.3]}, "nDCG@10"),
    "heatmap": heatmap([NASTY], ["a", "b"], [[1.5, None]]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_texts_are_escaped_and_the_table_is_whole(name: str) -> None:
    found = ElementTree.fromstring(DRAWN[name])
    assert found.tag == "table" and "<script" not in DRAWN[name]
    assert NASTY in "".join(found.itertext())
    assert all(head.get("scope") in ("col", "row") for head in found.iter("th"))
    assert all("".join(head.itertext()).strip() for head in found.iter("th"))


def test_numbers_stand_beside_their_marks() -> None:
    text = " ".join(" ".join(ElementTree.fromstring(DRAWN["forest"]).itertext()).split())
    assert "+0.10 [+0.05, +0.20]" in text and "\u22120.10 [\u22120.20, \u22120.05]" in text
    text = " ".join(ElementTree.fromstring(DRAWN["bars"]).itertext())
    assert [number for number in re.findall(r"0\.\d{3}", text)] == [
        "0.500",
        "0.600",
        "0.400",
        "0.300",
    ]


def test_sign_sets_the_colour() -> None:
    drawn = forest([("a", 5, 4, 6), ("b", -5, -6, -4), ("c", 0.5, -1, 2)])
    assert re.findall(r"strip (\w+)", drawn) == ["up", "down", "level"]


def test_a_scale_holds_zero_and_keeps_order() -> None:
    scale = Scale.of([2.0, 8.0])
    assert 0 < scale.x(0) < scale.x(2) < scale.x(8) < WIDTH
    assert Scale.of([-1, 4], balanced=True).x(0) == WIDTH / 2
    assert Scale.of([]).x(0) == WIDTH / 2
    assert scale.x(99) == scale.x(8)  # beyond the end


def test_an_interval_without_an_end_reaches_the_edge() -> None:
    scale = Scale(-1.0, 1.0)
    drawn = mark(scale, float("-inf"), 0.5, float("inf"), "up")
    assert f"M{scale.x(-1)} 7H{scale.x(1)}" in drawn
    assert 'class="mark"' not in drawn
    assert 'class="mark"' in mark(scale, 0, 0.5, 1, "up", printed=0.9)
    assert 'class="mark"' not in mark(scale, 0, 0.5, 1, "up", printed=2.0)


def test_the_largest_number_has_the_strongest_colour() -> None:
    drawn = heatmap(["r"], ["a", "b"], [[-4.0, 2.0]], marks=[[True, False]])
    cell = re.compile(r'class="num (\w+)" style="background:rgb\([\d ]+ / ([\d.]+)\)">([^<]+)<')
    assert cell.findall(drawn) == [
        ("down", f"{STRONGEST:.2f}", "\u22124.0*"), ("up", f"{STRONGEST / 2:.2f}", "+2.0"),
    ]  # fmt: skip
