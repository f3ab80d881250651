"""What a paper's page says of the code that made its records and the trainings in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ir_replications.reports.records.record import Record

CODE = "Code of this suite when this page was rendered: "
KEPT_BY_CODE = "training_code_sha256"  # of trainings that other code would make anew


def code_notes(records: Sequence[Record], present: str) -> list[str]:
    """Sentences: how many records carry another digest than `present`, the code of this suite,
    and how many trainings were made by other code, or in a more altered tree, than their record.

    A training that states its own code was kept by it, so its record's code is the same.
    """
    notes = []
    if records:
        other = sum(r.provenance.get("code_sha256") != present for r in records)
        notes.append(f"{CODE}{present}; records made by other code: {other:,} of {len(records):,}.")
    pairs = [(record.provenance, made) for record in records for made in trainings(record.facts)]
    moved = sum(
        made.get("code_sha256") != own.get("code_sha256") and not made.get(KEPT_BY_CODE)
        for own, made in pairs
    )
    if moved:
        notes.append(
            f"Trainings made by other code than their record: {moved:,} of {len(pairs):,}; weights "
            "trained earlier were found and used again."
        )
    if dirty := sum(_dirty(made) and not _dirty(own) for own, made in pairs):
        notes.append(
            "Trainings made in a working tree with changes that no commit holds, of records made "
            f"in a clean one: {dirty:,} of {len(pairs):,}."
        )
    return notes


def trainings(facts: Any) -> Iterator[Mapping[str, Any]]:
    """The provenance of every training that a record's facts hold."""
    if isinstance(facts, Mapping):
        own = facts.get("provenance")
        if isinstance(own, Mapping):
            yield own
        else:
            for value in facts.values():
                yield from trainings(value)
    elif isinstance(facts, list):
        for value in facts:
            yield from trainings(value)


def _dirty(provenance: Mapping[str, Any]) -> bool:
    git = provenance.get("git")
    return isinstance(git, Mapping) and bool(git.get("dirty"))
