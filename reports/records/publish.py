"""Publish records: pack those of a store, one file per experiment, beside what is published.

The pack of an experiment is replaced in one step, after the run files that it names. A published
cell that the store lacks stays as it is. Where the store is the published one itself, its loose
records move into the packs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ir_replications.reports.records.files import again, pack_text
from ir_replications.reports.records.record import Record, order
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, scratch_folder
from ir_replications.shared.rehearsal import is_rehearsal

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Change:
    """What became of the published records of one experiment; each list in the pack's order."""

    pack: Path
    added: Sequence[Record]
    replaced: Sequence[Record]
    same: Sequence[Record]
    left: Sequence[Record]  # published, and not in the store
    lost_runs: Sequence[Record]  # replaced by a record that keeps no run file

    @property
    def records(self) -> list[Record]:
        """All that the pack now holds."""
        return sorted([*self.added, *self.replaced, *self.same, *self.left], key=order)


def publish(
    store: Store, published: Store, paper: str, tier: str, planned: Collection[Key]
) -> list[Change]:
    """Pack the store's records of a paper and tier into `published`; what changed, by experiment.

    `planned` are the keys of the cells that the paper has at this tier. Nothing is written unless
    all can be. Raises InputError for a store without such records, for an altered record or run
    file, a record of a rehearsal, of no planned cell, or made from a tree that was not clean, and
    for a failure that would take the place of a result.
    """
    with _alone(published.root / paper / tier):
        in_place = published.root.resolve() == store.root.resolve()
        fresh = store.loose(paper, tier) if in_place else store.records(paper, tier)
        old = published.packed(paper, tier) if in_place else published.records(paper, tier)
        if not (fresh or (in_place and old)):
            raise InputError(f"{store.root}: no records of {paper} {tier}; {again(paper, tier)}")
        before = {record.key: record for record in old}
        for record in fresh:
            _check(record, store, before.get(record.key), planned)
        new = {record.key for record in fresh}
        for record in old:
            if record.key not in new:
                published.check_run(record)
        changes = []
        for experiment, found in groupby(sorted(fresh, key=order), lambda each: each.experiment):
            own = [record for record in old if record.experiment == experiment]
            changes.append(_change(published, list(found), own))
        for change in changes:
            _write(change, before, store, published, in_place)
        return changes


def _check(record: Record, store: Store, old: Record | None, planned: Collection[Key]) -> None:
    """Raise InputError unless the record may be published."""
    rerun = again(record.paper, record.tier)
    if is_rehearsal(record.provenance):
        raise InputError(f"{store.where(record)}: is of a rehearsal, which is never published")
    if record.key not in planned:
        raise InputError(
            f"{store.where(record)}: {record.label} is no cell of {record.paper} {record.tier}; "
            "keep it in a store of its own"
        )
    git = record.provenance.get("git")
    if git is None or git["dirty"]:
        how = "outside a git clone" if git is None else "from a tree with changes not committed"
        raise InputError(
            f"{store.where(record)}: made {how}; commit what made it in a clone, then {rerun} "
            "--store NEW, a new folder, since this store keeps what is finished"
        )
    if record.error and old is not None and not old.error:
        raise InputError(
            f"{store.where(record)}: a failure ({record.error[:80]}) in place of a published "
            f"result; {rerun}"
        )
    store.check_run(record)


def _change(published: Store, fresh: Sequence[Record], old: Sequence[Record]) -> Change:
    before, new = {each.key: each for each in old}, {each.key for each in fresh}
    known = [record for record in fresh if record.key in before]
    replaced = [record for record in known if record.digest != before[record.key].digest]
    first = fresh[0]
    return Change(
        pack=published.pack(first.paper, first.tier, first.experiment),
        added=[record for record in fresh if record.key not in before],
        replaced=replaced,
        same=[record for record in known if record.digest == before[record.key].digest],
        left=[record for record in old if record.key not in new],
        lost_runs=[each for each in replaced if before[each.key].run and not each.run],
    )


def _write(
    change: Change, before: dict[Key, Record], store: Store, published: Store, in_place: bool
) -> None:
    """Write a pack; its new run files move to their places at the last moment before it."""
    fresh = [*change.added, *change.replaced, *change.same]
    runs = [record for record in fresh if record.run and not in_place]
    try:
        with ExitStack() as stack:
            moves = []
            if runs:
                scratch = stack.enter_context(scratch_folder(published.run_path(runs[0]).parent))
                for record in runs:
                    place = published.run_path(record)
                    shutil.copyfile(store.run_path(record), scratch / place.name)
                    moves.append((scratch / place.name, place))
                    place.parent.mkdir(exist_ok=True)
            handle = stack.enter_context(atomic_write(change.pack))
            handle.write(pack_text(change.records))
            handle.flush()
            os.fsync(handle.fileno())
            for made, place in moves:
                os.replace(made, place)
        named = {published.run_path(record) for record in change.records if record.run}
        olds = [before[record.key] for record in fresh if record.key in before]
        loose = {published.path(record) for record in [*change.records, *olds]}
        for path in loose | ({published.run_path(record) for record in olds} - named):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # a folder that still holds run files
            change.pack.with_suffix("").rmdir()
    except OSError as error:
        raise InputError(
            f"{change.pack}: cannot be written ({error.strerror or error}); publish again"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other publishers out of a folder, which is made, until the block ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY) if fcntl is not None else -1
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    try:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        if lock >= 0:
            os.close(lock)
