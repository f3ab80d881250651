"""The spread of a trained number is the largest difference between two arithmetics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ir_replications.engine.registry import PAPERS_FOLDER
from ir_replications.reports.claims.kinds import SPREADS, load_numbers
from ir_replications.reports.claims.spreads import left_out, main, of_same_numbers, spreads
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import record, write_paper


def cell(system: str, *losses: float, code: str = "c", **fields: Any) -> Record:
    facts = {"loss": list(losses), "n": 3}
    return record(system, "a", 0.5, facts=facts, provenance={"code_sha256": code}, **fields)


def store(*cells: Record) -> dict[tuple[str, ...], Record]:
    return {each.key: each for each in cells}


@pytest.fixture
def numbers(tmp_path: Path) -> Any:
    return load_numbers(write_paper(tmp_path))


def test_the_widest_of_any_cell_place_and_two_stores(numbers: Any) -> None:
    stores = [
        store(cell("x", 1.0, 2.0), cell("y", 5.0, 5.0)),
        store(cell("x", 1.25, 2.0), cell("y", 5.0, 5.5)),
        store(cell("x", 0.5, 2.0), cell("y", 5.0, 5.0)),
    ]
    assert spreads(numbers, stores) == {"small": {"E1": {"loss.#": 0.75}}}


def test_cells_that_failed_or_that_one_store_has_alone_show_nothing(numbers: Any) -> None:
    failed = record("y", "a", 0.5, error="boom")
    stores = [store(cell("x", 1.0), cell("y", 5.0), cell("z", 7.0)), store(cell("x", 1.5), failed)]
    assert spreads(numbers, stores) == {"small": {"E1": {"loss.#": 0.5}}}
    with pytest.raises(InputError, match="one store shows no spread"):
        spreads(numbers, stores[:1])


def test_a_store_left_out_is_held_against_the_spread_of_the_others(numbers: Any) -> None:
    stores = [store(cell("x", value)) for value in (1.0, 1.5, 0.0, 1.25)]
    assert left_out(numbers, stores) == pytest.approx(2.0)  # 0.0: 1 from the first, others 0.5
    assert left_out(numbers, stores[:2]) == 0.0


def test_earlier_code_counts_where_it_gives_the_same_numbers_here(numbers: Any) -> None:
    now = store(cell("x", 1.0), cell("y", 5.0))
    then = store(cell("x", 1.0, code="d"), cell("y", 5.5, code="d"))
    elsewhere = store(cell("x", 1.1, code="d"), cell("y", 5.1, code="d"), cell("z", 1.0))
    found = of_same_numbers(numbers, elsewhere, then, now)
    assert [each.config["system"] for each in found.values()] == ["x"]


def test_stores_of_different_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ir_replications.reports.claims.spreads.PAPERS", write_paper(tmp_path).parent
    )
    for name, code in (("a", "c"), ("b", "d"), ("c", "c")):
        Store(tmp_path / name).put(cell("x", 1.0 + (name == "c"), code=code, tier="embedded"))
    with pytest.raises(InputError, match="made by different code"):
        main([str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(InputError, match="no such folder"):
        main([str(tmp_path / "a"), str(tmp_path / "none")])
    assert main([str(tmp_path / "a"), str(tmp_path / "c")]) == 0
    written = json.loads((tmp_path / "toy" / "spreads.json").read_text())
    assert written["spreads"] == {"embedded": {"E1": {"loss.#": 1.0}}}


def test_no_arithmetic_measured_lay_outside_what_is_allowed() -> None:
    files = sorted(PAPERS_FOLDER.glob("*/spreads.json"))
    assert files
    for path in files:
        measured = json.loads(path.read_text())
        assert 0 < measured["left_out"] < SPREADS and len(measured["measured"]) >= 5, path
