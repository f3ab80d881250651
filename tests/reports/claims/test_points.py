"""Measures that are shares are judged and shown in points, and no verdict changes by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.reports.claims.judge import judge
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.types import Paper
from tests.reports.example import CLAIMS, records, write_paper

SHARES = """
[[table]]
id = "{id}"
title = "t"
tiers = ["small"]
ours = {{experiment = "E1", system = "bm25"}}
tolerance = 0.01
reason = "r"
columns = [
  {{label = "a", ours = {{collection = "beir/alpha"}}}},
  {{label = "b", ours = {{collection = "beir/beta"}}, measure = "{measure}"}},
]
[[table.row]]
label = "BM25"
values = [0.4950, 0.9]
"""


def _read(tmp_path: Path, text: str) -> Paper:
    return load_paper(write_paper(tmp_path, text))


def test_numbers_of_the_file_are_multiplied_with_their_bands(tmp_path: Path) -> None:
    paper = _read(tmp_path, CLAIMS + SHARES.format(id="S", measure="R@100"))
    (table,) = (table for table in paper.tables if table.id == "S")
    assert table.rows[0].values == pytest.approx((49.5, 90.0))
    assert (table.scale, table.decimals, table.tolerance) == (100, 2, 1.0)
    check = next(claim.check for claim in paper.claims if claim.id == "C3")
    assert (check.value, check.scale, check.decimals) == (50, 100, 0)
    cells = [c for c in judge(paper, records(), "small").cells if c.table == "S"]
    assert [(c.verdict and c.verdict.word, c.ours) for c in cells] == [
        ("within tolerance", pytest.approx(50.04)),
        ("reproduced", pytest.approx(90.0)),
    ]


def test_what_has_a_scale_or_is_no_share_stays(tmp_path: Path) -> None:
    paper = _read(tmp_path, CLAIMS)
    effect, bound = (next(c.check for c in paper.claims if c.id == name) for name in ("C2", "C1"))
    assert (effect.scale, effect.decimals) == (100, 1)  # as the file says
    assert (bound.scale, bound.value) == (1, 1)
    assert paper.tables[0].scale == 100 and paper.tables[0].rows[0].values[0] == 50.0


def test_a_band_of_two_units_is_no_band_of_one(tmp_path: Path) -> None:
    """A tolerance is of all columns: a table that has other quantities beside keeps its unit."""
    paper = _read(tmp_path, CLAIMS + SHARES.format(id="S", measure="seconds"))
    (table,) = (table for table in paper.tables if table.id == "S")
    assert table.rows[0].values == (0.4950, 0.9) and table.tolerance == 0.01
