"""`--where`: which cells are kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.engine.commands.papers.narrow import narrowed
from ir_replications.engine.jobs import Job
from ir_replications.shared.errors import InputError
from tests.cli import E2, Replicate

CELLS = [
    Job("toy", "small", "E2", {"system": "bm25"}),
    *(
        Job("toy", "small", "E2", {"system": "student", "arm": arm, "rate": rate, "seed": seed})
        for arm, rate in (("A1", 4e-4), ("A2", 2e-4))
        for seed in (1, 2)
    ),
]


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        ((), [0, 1, 2, 3, 4]),
        (("arm=A1",), [1, 2]),
        (("arm=A1, A2", "seed=2"), [2, 4]),
        (("rate=0.0002",), [3, 4]),
        (("system=bm25",), [0]),
        (("seed=1", "arm=A1"), [1]),
    ],
)
def test_cells_that_meet_every_condition_are_kept_in_order(
    conditions: tuple[str, ...], kept: list[int]
) -> None:
    assert narrowed(CELLS, conditions) == [CELLS[place] for place in kept]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (("arm",), "expected key=value"),
        (("arm=",), "expected key=value"),
        (("arm=A1,",), "expected key=value"),
        (("head=cls",), "no cell has 'head', but arm, rate, seed, system"),
        (("arm=A1,A9",), "no cell has arm=A9; found: A1, A2"),
        (("system=bm25", "arm=A1"), "no cell has 'arm', but system"),
    ],
)
def test_what_no_cell_has_is_refused_with_what_there_is(
    conditions: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        narrowed(CELLS, conditions)


def test_the_command_runs_only_such_cells(replicate: Replicate, tiny: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    asked = ("run", "bmx", "--collection", tiny, *E2, "--store", store)
    result = replicate(*asked, "--where", "system=bmx", "--where", "form=reference")
    assert result.status == 0, result.err
    records = list(store.rglob("*.json"))
    assert records and all('"system": "bmx"' in p.read_text("utf-8") for p in records)
    assert "no cell has system=bm26" in replicate.refused(*asked, "--where", "system=bm26")
