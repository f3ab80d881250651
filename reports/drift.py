"""Drift: do fresh records still say what the published ones say?

This is the golden-value check, kept apart from the verdict on the paper: an honest "differs"
that stays as recorded is no drift.
"""

from __future__ import annotations

from collections.abc import Iterable

from reports.claim_types import Paper
from reports.judge import judge
from reports.results import Record, overlay
from reports.verdicts import Verdict

LEXICAL = 1e-6
_UNSTABLE = ("time_", "speed_")


def drift(
    published: Iterable[Record],
    fresh: Iterable[Record],
    tolerance: float = LEXICAL,
    *,
    paper: Paper | None = None,
    tier: str | None = None,
) -> list[str]:
    """One line per number that moved by more than `tolerance`, and per verdict that changed.

    Compared are cells that both sides have and whose data checksums agree; `data_changes` names
    the others. Facts named time_* or speed_* are measurements of the machine and are left out.
    Verdicts are compared when `paper` and `tier` are given: those of the published records
    against those after the fresh ones took their place.
    """
    before = list(published)
    known = {record.key: record for record in before}
    pairs = [(known[r.key], r) for r in fresh if r.key in known and _same_data(known[r.key], r)]
    lines = [line for old, new in pairs for line in _differences(old, new, tolerance)]
    if paper is not None and tier is not None:
        old_words = {f.id: f.verdict for f in judge(paper, before, tier).findings}
        after = overlay(before, [new for _, new in pairs])
        for finding in judge(paper, after, tier).findings:
            old_word = old_words.get(finding.id, finding.verdict)
            if old_word not in (finding.verdict, Verdict.NOT_RUN):
                lines.append(
                    f"{finding.id}: verdict was {old_word.word!r}, is now "
                    f"{finding.verdict.word!r} ({finding.why})"
                )
    return lines


def data_changes(published: Iterable[Record], fresh: Iterable[Record]) -> list[str]:
    """One line per cell whose data or models differ from those of the published record."""
    known = {record.key: record for record in published}
    lines = []
    for record in fresh:
        old = known.get(record.key)
        if old is None or _same_data(old, record):
            continue
        lines.append(f"{_name(record)}: data or model checksums differ; numbers not compared")
    return lines


def _same_data(old: Record, new: Record) -> bool:
    return all(
        old.provenance.get(kind, {}) == new.provenance.get(kind, {}) for kind in ("data", "models")
    )


def _differences(old: Record, new: Record, tolerance: float) -> list[str]:
    if old.status != new.status:
        return [f"{_name(new)}: was {old.status}, is now {new.status} ({new.error or 'no error'})"]
    lines = []
    kinds = ((old.means, new.means), (old.facts, new.facts))
    for before, after in ((_flat(first), _flat(second)) for first, second in kinds):
        for name in sorted(before.keys() | after.keys()):
            if name not in before or name not in after:
                side = "gone" if name in before else "new"
                lines.append(f"{_name(new)}: {name} is {side}; publish the records again")
            elif not _close(before[name], after[name], tolerance):
                lines.append(
                    f"{_name(new)}: {name} was {before[name]!r}, is now {after[name]!r} "
                    f"(tolerance {tolerance:g})"
                )
    for measure in sorted(old.per_query.keys() & new.per_query.keys()):
        rows, fresh = old.per_query[measure], new.per_query[measure]
        if rows.keys() != fresh.keys():
            lines.append(f"{_name(new)}: {measure} has other queries than published")
            continue
        # Per-query values are stored with 6 decimals, so equal numbers may differ by one digit.
        limit = max(tolerance, 1e-6) + 1e-9
        moved = [qid for qid in rows if abs(rows[qid] - fresh[qid]) > limit]
        if moved and tolerance <= LEXICAL:
            lines.append(f"{_name(new)}: {measure} moved on {len(moved)} queries, e.g. {moved[0]}")
    return lines


def measures_machine(name: str) -> bool:
    """True for the name of a time or speed, which no two machines and no two runs share."""
    return name.rpartition(".")[2].startswith(_UNSTABLE)


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    """Leaves of nested facts by dotted name, without those that measure the machine."""
    if measures_machine(prefix):
        return {}
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    flat: dict[str, object] = {}
    for key, item in items:
        flat.update(_flat(item, f"{prefix}.{key}" if prefix else key))
    return flat


def _close(before: object, after: object, tolerance: float) -> bool:
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return abs(before - after) <= tolerance
    return before == after


def _name(record: Record) -> str:
    return f"{record.paper}/{record.tier}/{record.experiment}/{record.label}"
