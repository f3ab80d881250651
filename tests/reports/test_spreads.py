"""The spread of a trained number is the largest difference between two arithmetics."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.kinds import load_numbers
from reports.results import Record
from reports.spreads import spreads
from shared.errors import InputError
from tests.reports.example import record, write_paper


def cell(system: str, *losses: float, code: str = "c", **fields: object) -> Record:
    return record(
        system, "a", 0.5, facts={"loss": list(losses), "n": 3}, provenance={"code_sha256": code},
        **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def test_spreads_are_the_widest_of_any_cell_and_any_two_stores(tmp_path: Path) -> None:
    numbers = load_numbers(write_paper(tmp_path))
    stores = [
        [cell("x", 1.0, 2.0), cell("y", 5.0, 5.0)],
        [cell("x", 1.25, 2.0), cell("y", 5.0, 5.5)],
        [cell("x", 0.75, 2.0), cell("y", 5.0, 5.0)],
    ]
    assert spreads(numbers, stores) == {"small": {"E1": {"loss.0": 0.5, "loss.1": 0.5}}}


def test_cells_that_a_store_lacks_or_that_failed_are_left_out(tmp_path: Path) -> None:
    numbers = load_numbers(write_paper(tmp_path))
    failed = record("y", "a", 0.5, error="boom", provenance={"code_sha256": "c"})
    stores = [[cell("x", 1.0), cell("y", 5.0), cell("z", 7.0)], [cell("x", 1.5), failed]]
    assert spreads(numbers, stores) == {"small": {"E1": {"loss.0": 0.5}}}


def test_one_store_and_different_code_are_refused(tmp_path: Path) -> None:
    numbers = load_numbers(write_paper(tmp_path))
    with pytest.raises(InputError, match="one store shows no spread"):
        spreads(numbers, [[cell("x", 1.0)]])
    with pytest.raises(InputError, match="made by different code"):
        spreads(numbers, [[cell("x", 1.0)], [cell("x", 1.0, code="d")]])
