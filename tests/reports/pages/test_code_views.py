"""What a page says of the code that made records and trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ir_replications.reports.pages.code_views import CODE, code_notes, trainings
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from tests.reports.example import record

PRESENT, EARLIER, CLEAN = "a" * 64, "b" * 64, {"commit": "c" * 40, "dirty": False}


def made(code: str, facts: dict[str, Any] | None = None, dirty: bool = False) -> Record:
    provenance = {"code_sha256": code, "git": CLEAN | {"dirty": dirty}}
    return replace(record("bm25", "beir/alpha", 0.5), facts=facts or {}, provenance=provenance)


def training(code: str, dirty: bool = False, **more: Any) -> dict[str, Any]:
    git = CLEAN | {"dirty": dirty}
    return {"steps": 3, "provenance": {"code_sha256": code, "git": git, **more}}


def test_one_line_is_said_where_all_is_of_one_code() -> None:
    facts = {"training": [training(PRESENT)], "other": {"provenance": "by hand"}}
    assert code_notes([made(PRESENT, facts)], PRESENT) == [
        f"{CODE}{PRESENT}; records made by other code: 0 of 1."
    ]
    assert code_notes([], PRESENT) == []


def test_counts_of_records_and_trainings() -> None:
    records = [
        made(EARLIER, {"training": training(PRESENT)}),
        made(EARLIER, {"training": [training(EARLIER), training(PRESENT, dirty=True)]}),
        made(PRESENT, {"deep": {"training": [training(EARLIER, training_code_sha256="d" * 64)]}}),
        made(EARLIER, {"training": training(EARLIER, dirty=True)}, dirty=True),
    ]
    found = code_notes(records, PRESENT)
    assert [note.rpartition(": ")[2] for note in found] == [
        "3 of 4.",
        "2 of 5; weights trained earlier were found and used again.",
        "1 of 5.",
    ]
    assert found[0].startswith(f"{CODE}{PRESENT}; records made by other code")
    assert found[1].startswith("Trainings made by other code than their record")
    assert found[2].startswith("Trainings made in a working tree with changes")


@pytest.mark.parametrize("paper", ["prorank", "bert_distill_losses", "tongsearch_qr"])
def test_the_committed_records_say_which_trainings_were_found(paper: str) -> None:
    """Counted a second time, from where each paper keeps its trainings."""
    store = Path(__file__).resolve().parents[3] / "reports" / "results"
    records = Store(store).records(paper)
    of, other = 0, 0
    for one in records:
        held = one.facts.get("training") or []
        for found in held if isinstance(held, list) else [held]:
            known = found["provenance"]
            same = known["code_sha256"] == one.provenance["code_sha256"]
            of, other = of + 1, other + (not same and "training_code_sha256" not in known)
    assert of == sum(len(list(trainings(one.facts))) for one in records) > 0
    said = [n for n in code_notes(records, PRESENT) if n.startswith("Trainings made by other")]
    assert [f": {other:,} of {of:,};" in note for note in said] == [True] * bool(other)
