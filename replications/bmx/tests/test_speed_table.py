"""The speed tables of README.md and of docs/papers/bmx.md are those of the records of E10."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import pytest

from ir_replications.bmx.retrieval.index import BITMAP_DOCS
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ("README.md", "docs/papers/bmx.md")
NAMES = {
    "beir/scifact": "SciFact",
    "beir/nfcorpus": "NFCorpus",
    "derived/msmarco-mini": "msmarco-mini",
    "30000": "Zipf",
    "300000": "Zipf",
}


@cache
def grid() -> list[Record]:
    """The published records of the small tier's grid."""
    records = Store(ROOT / "reports" / "results").records("bmx", "small")
    return [record for record in records if record.experiment == "E10"]


def cells() -> dict[tuple[str, str], dict[str, Any]]:
    """Facts of the grid's records by collection (or size) and length of queries."""
    return {
        (
            str(record.config.get("collection") or record.config["synthetic"]),
            "short" if record.config["queries"] == "short" else "long",
        ): record.facts
        for record in grid()
        if "speed_ratio" in record.facts
    }


def expected_rows() -> list[str]:
    """`| name | documents | short | long |` of each collection, ratios at the three depths."""
    facts, rows = cells(), []
    for collection, name in NAMES.items():
        pairs = [facts[collection, length] for length in ("short", "long")]
        ratios = [
            ", ".join(f"{by_system['bm25s']:.2f}" for by_system in each["speed_ratio"].values())
            for each in pairs
        ]
        rows.append(f"| {name} | {pairs[0]['documents']:,} | {ratios[0]} | {ratios[1]} |")
    return rows


def spans() -> dict[str, tuple[float, float]]:
    """Least and greatest time over BMX's at k = 10 of the systems that the text names."""
    found: dict[str, list[float]] = {}
    for facts in cells().values():
        for system, ratio in facts["speed_ratio"]["k=10"].items():
            found.setdefault(system.split()[0], []).append(ratio)
    return {system: (min(values), max(values)) for system, values in found.items()}


@pytest.mark.parametrize("page", TEXTS)
def test_the_table_is_of_the_records(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    missing = [row for row in expected_rows() if row not in text]
    assert not missing, "rows of the records that the text lacks:\n" + "\n".join(missing)
    ratios = [
        by_system["bm25s"]
        for facts in cells().values()
        for by_system in facts["speed_ratio"].values()
    ]
    said = f"least is {min(ratios):.2f}, the geometric mean {geometric_mean(ratios):.2f}"
    assert said in " ".join(text.split())


def test_the_spans_of_other_systems_are_of_the_records() -> None:
    text = " ".join((ROOT / "docs/papers/bmx.md").read_text("utf-8").split())
    by_system = spans()
    (low, high), (authors_low, authors_high) = by_system["tantivy"], by_system["baguetter"]
    assert f"At k = 10 tantivy takes {low:.1f} to {high:.0f} times BMX's time" in text
    assert f"the authors' code {authors_low:.0f} to {authors_high:.0f} times" in text
    low, high = by_system["pyterrier-pisa"]
    assert f"PISA {low:.1f} to {high:.0f} times" in text
    wrapper = [
        by_system["bm25s"] / by_system["bm25"]
        for facts in cells().values()
        for by_system in facts["speed_ratio"].values()
    ]
    assert f"answers {min(wrapper):.1f} to {max(wrapper):.1f} times as fast" in text


def test_what_is_said_of_the_choice_and_of_growth_is_of_the_records() -> None:
    text = " ".join((ROOT / "docs/papers/bmx.md").read_text("utf-8").split())
    choices = sorted(x for facts in cells().values() for x in facts["speed_choice"].values())
    assert f"1 / {choices[1]:.2f} of the better way's time in {len(choices) - 1} of the" in text
    assert f"k = 10: 1 / {choices[0]:.2f})" in text
    facts = cells()["beir/scifact", "short"]
    assert facts["documents"] < BITMAP_DOCS, "nothing is pruned there: both ways are one"
    assert facts["speed_choice"]["k=10"] == choices[0]
    (growth,) = (r.facts for r in grid() if "speed_exponents" in r.facts)
    slopes, times = growth["speed_exponents"], growth["time_microseconds"]
    said = (
        f"short queries grows as N^{slopes['short']['bmx']:.2f} and for long ones as "
        f"N^{slopes['long']['bmx']:.2f} (bm25s: N^{slopes['short']['bm25s']:.2f} and "
        f"N^{slopes['long']['bm25s']:.2f})"
    )
    assert said in text
    ratios = [times[kind]["1000000"] for kind in ("short", "long")]
    words = " and ".join(f"{each['bm25s'] / each['bmx']:.1f}" for each in ratios)
    assert f"at a million it is {words} times as fast as bm25s" in text
