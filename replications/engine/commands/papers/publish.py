"""`replicate publish`: take finished records over into the published ones, packed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ir_replications.engine.commands.options import (
    IN_CHECKOUT,
    PUBLISHED,
    store_option,
    tier_option,
)
from ir_replications.engine.door import tell
from ir_replications.engine.experiment import TIERS
from ir_replications.engine.jobs import plan_jobs, told
from ir_replications.engine.paper_check import sound_papers
from ir_replications.engine.registry import papers
from ir_replications.reports.records.provenance import git_state
from ir_replications.reports.records.publish import Change, publish
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError

ALL = "all"
_NAMED = 20  # cells of one kind of change that are named


@click.command(name="publish")
@click.argument("paper")
@tier_option
@store_option
def publish_records(paper: str, tier: str | None, store: Path) -> None:
    """Pack the finished records of PAPER (or `all`) into reports/results.

    One file per experiment, one record a line. A published cell that the store lacks stays.
    Without --tier, every tier that the store holds.
    """
    if not IN_CHECKOUT:
        raise InputError("records are published in a clone of the suite; this is none")
    known = papers()
    if paper not in (*known, ALL):
        raise InputError(f"no paper named {paper!r}; the papers are: {', '.join(known)}, or {ALL}")
    if not store.is_dir():
        raise InputError(f"{store}: no such folder of records; name one that `replicate run` wrote")
    state = git_state()
    if state is None or state["dirty"]:
        what = "is no git clone" if state is None else "has changes that are not committed"
        raise InputError(f"the working tree {what}; publish from a clean commit")
    source, published = Store(store), Store(PUBLISHED)
    asked = [
        (name, each)
        for name in (sound_papers() if paper == ALL else [paper])
        for each in ([tier] if tier else TIERS)
        if (tier and paper != ALL) or (store / name / each).is_dir()
    ]
    if not asked:
        raise InputError(f"{store}: no records of {paper}; name another store with --store")
    for name, each in asked:
        planned = {job.key for job in plan_jobs(name, each)}
        changes = publish(source, published, name, each, planned)
        for change in changes:
            _say(change)
        if not changes:
            tell(f"{name}/{each}: all records are packed")


def _say(change: Change) -> None:
    """One line per pack, and the cells that changed."""
    kinds = [
        ("added", change.added), ("replaced", change.replaced), ("as before", change.same),
        ("left", change.left),
    ]  # fmt: skip
    counts = ", ".join(f"{len(found)} {word}" for word, found in kinds)
    tell(f"{'/'.join(change.pack.parts[-3:])}: {counts}")
    for word, found in kinds[0], kinds[1], kinds[3], ("run file gone", change.lost_runs):
        _name(word, found)


def _name(word: str, found: Sequence[Record]) -> None:
    for record in found[:_NAMED]:
        tell(f"  {word}: {told(record)} ({record.config_hash[:10]})")
    if (more := len(found) - _NAMED) > 0:
        tell(f"  {word}: {more} more")
