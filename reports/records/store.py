"""A store of records: a folder that is verified when read and written atomically.

A cell is one system on one collection with one seed. Layout:

    root/<paper>/<tier>/<experiment>/<slug of label>-<first 10 digits of config_hash>.json
    root/<paper>/<tier>/<experiment>/runs/<same stem>.run.gz

Published records are packed (reports/records/publish.py), their run files stay where they are:

    root/<paper>/<tier>/<experiment>.jsonl
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ir_replications.reports.records.files import PACK, again, read_pack, read_record
from ir_replications.reports.records.record import TIERS, Record, config_hash, order, slug
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import (
    atomic_write,
    remove_abandoned,
    scratch_folder,
    sha256_file,
)
from ir_replications.shared.reading import user_path
from ir_replications.shared.rehearsal import is_rehearsal
from ir_replications.shared.retrieval.runs import Run, write_run

MARK = "REHEARSAL"  # the file that says so of a store: nothing in it is evidence


def overlay(published: Iterable[Record], local: Iterable[Record]) -> list[Record]:
    """Merge two sets of records; a local record replaces the published one of the same cell.

    Raises InputError for records of a rehearsal among others.
    """
    merged = {record.key: record for record in published}
    merged.update({record.key: record for record in local})
    rehearsed = [record for record in merged.values() if is_rehearsal(record.provenance)]
    if rehearsed and len(rehearsed) < len(merged):
        first = rehearsed[0]
        raise InputError(
            f"{len(rehearsed)} of {len(merged)} records are of a rehearsal, the first "
            f"{first.paper}/{first.tier}/{first.experiment}/{first.stem}.json; no page shows them "
            "among others: delete them, or keep them in a store of their own"
        )
    return sorted(merged.values(), key=order)


class Store:
    """A folder of records; reads verify, writes are atomic."""

    def __init__(self, root: Path | str) -> None:
        self.root = user_path(root)
        self._swept = False

    @property
    def rehearsed(self) -> bool:
        """Whether the store is a rehearsal's."""
        return (self.root / MARK).is_file()

    def claim(self, rehearsing: bool) -> None:
        """Make the store, marked if it is a rehearsal's, which is one of its own.

        The first call removes what killed processes left in it.
        Raises InputError for a rehearsal in a store of other records, and for others in its, and
        for a store of packed records, which `replicate publish` alone writes.
        """
        if rehearsing == self.rehearsed and self.root.is_dir():
            self._sweep()
            return
        if rehearsing and self.root.is_dir() and any(self.root.iterdir()):
            raise InputError(
                f"{self.root}: holds other things; a rehearsal needs a store of its own: name a "
                "new folder with --store"
            )
        if self.rehearsed:
            raise InputError(
                f"{self.root}: is the store of a rehearsal; choose another with --store"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        if rehearsing:
            with atomic_write(self.root / MARK) as handle:
                handle.write("Records of a rehearsal, on stand-ins: no evidence, not published.\n")

    def _sweep(self) -> None:
        if not self._swept:
            if packs := self._packs():
                raise InputError(
                    f"{packs[0]}: these records are published; run into a store of its own and "
                    "take the new ones over with `replicate publish`"
                )
            self._swept = True
            for tier in TIERS:
                for folder in self.root.glob(f"*/{tier}/*"):
                    remove_abandoned(folder)
                    remove_abandoned(folder / "runs")

    def path(self, record: Record) -> Path:
        """Where the record's JSON lives, written or not."""
        return self._folder(record.paper, record.tier, record.experiment) / f"{record.stem}.json"

    def run_path(self, record: Record) -> Path:
        """Where the record's run file belongs: runs/ beside the record."""
        return self.path(record).parent / "runs" / f"{record.stem}.run.gz"

    def put(self, record: Record, run: Run | bytes | None = None) -> Record:
        """Write the record, after its run file when one is given; returns the record as written.

        As bytes, `run` is the very file that another store wrote for this record, and must agree
        with its checksum. Both writes are atomic, and the record comes last: a record never names
        a missing run. An older record of the same cell goes away. Raises InputError as `claim`
        does.
        """
        self.claim(is_rehearsal(record.provenance))
        path = self.path(record)
        if run is None:
            self._write(path, record.to_json())
            self.run_path(record).unlink(missing_ok=True)  # of an older record of this cell
        else:
            try:
                # Beside it first: the run of an older record stays until both are written.
                with scratch_folder(self.run_path(record)) as scratch:
                    fresh = scratch / self.run_path(record).name
                    record = self._put_run(record, run, fresh)
                    self._write(path, record.to_json(), fresh)
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be written ({error.strerror or error})"
                ) from error
        for old in path.parent.glob(f"*-{record.config_hash[:10]}.json"):
            if old != path:  # the same cell under an earlier label
                old.unlink()
                (old.parent / "runs" / f"{old.stem}.run.gz").unlink(missing_ok=True)
        return record

    def _write(self, path: Path, text: str, run: Path | None = None) -> None:
        """Write a record, its run file moving to its place at the last moment before it."""
        with atomic_write(path) as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
            if run is not None:
                os.replace(run, path.parent / "runs" / run.name)

    def _put_run(self, record: Record, run: Run | bytes, path: Path) -> Record:
        if isinstance(run, bytes):
            if record.run is None or hashlib.sha256(run).hexdigest() != record.run["sha256"]:
                raise InputError(f"{record.label}: its run file did not arrive whole; run it again")
            with atomic_write(path, "wb") as handle:
                handle.write(run)
            return record
        write_run(path, run, tag=slug(record.label), metadata=_run_metadata(record))
        rows = sum(len(results) for results in run.values())
        name = self.run_path(record).name
        kept = {"path": f"runs/{name}", "sha256": sha256_file(path), "rows": rows}
        return replace(record, run=kept)

    def get(
        self, paper: str, experiment: str, tier: str, config: Mapping[str, Any]
    ) -> Record | None:
        """The record of a cell, or None when it was not run. Raises InputError when altered."""
        wanted = config_hash(config, paper=paper, experiment=experiment, tier=tier)
        for path in _visible(self._folder(paper, tier, experiment), f"*-{wanted[:10]}.json"):
            record = read_record(path)
            if record.config_hash == wanted:
                return record
        pack = self.pack(paper, tier, experiment)
        packed = read_pack(pack) if pack.is_file() else ()
        return next((record for record in packed if record.config_hash == wanted), None)

    def records(self, paper: str | None = None, tier: str | None = None) -> list[Record]:
        """Every record, in the order paper, tier, experiment, label, config hash.

        Raises InputError where one of them is altered, and for a cell that is there twice.
        """
        packed = self.packed(paper, tier)
        keys = {record.key for record in packed}
        loose = self.loose(paper, tier)
        for record in loose:
            if record.key in keys:
                raise InputError(
                    f"{self.path(record)}: holds the cell of {self.where(record, packed=True)} "
                    "too; delete one of the two, or pack this one: replicate publish "
                    f"{record.paper} --tier {record.tier} --store {self.root}"
                )
        return sorted([*packed, *loose], key=order)

    def loose(self, paper: str | None = None, tier: str | None = None) -> list[Record]:
        """The records that have a file of their own, by its name."""
        paths = _visible(self.root, f"{paper or '*'}/{tier or '*'}/*/*.json")
        return [read_record(path) for path in paths]

    def packed(self, paper: str | None = None, tier: str | None = None) -> list[Record]:
        """The records that lie in packs, in the order of packs and lines."""
        return [record for path in self._packs(paper, tier) for record in read_pack(path)]

    def pack(self, paper: str, tier: str, experiment: str) -> Path:
        """Where the pack of an experiment lies, written or not."""
        return self.root / paper / tier / f"{experiment}{PACK}"

    def where(self, record: Record, *, packed: bool = False) -> str:
        """File of a record, of a packed one with its line; `packed`: not the file of its own."""
        if (path := self.path(record)).is_file() and not packed:
            return str(path)
        pack = self.pack(record.paper, record.tier, record.experiment)
        if pack.is_file():
            for number, found in enumerate(read_pack(pack), 1):
                if found.key == record.key:
                    return f"{pack}:{number}"
        return str(path)

    def has_run(self, record: Record) -> bool:
        """False when the run file that the record names is missing or altered."""
        try:
            self.check_run(record)
        except InputError:
            return False
        return True

    def check_run(self, record: Record) -> Path | None:
        """Path of the record's run file once its checksum agrees; None when it names none.

        Raises InputError when the file is missing or its bytes differ from the record.
        """
        if record.run is None:
            return None
        path = self.path(record).parent / record.run["path"]
        if not path.is_file():
            raise InputError(
                f"{path}: run file is missing, which {self.where(record)} names; "
                f"{again(record.paper, record.tier)}"
            )
        if sha256_file(path) != record.run["sha256"]:
            raise InputError(
                f"{path}: sha256 differs from {self.where(record)}; restore it, or delete both and "
                f"{again(record.paper, record.tier)}"
            )
        return path

    def _packs(self, paper: str | None = None, tier: str | None = None) -> list[Path]:
        return _visible(self.root, f"{paper or '*'}/{tier or '*'}/*{PACK}")

    def _folder(self, paper: str, tier: str, experiment: str) -> Path:
        return self.root / paper / tier / experiment


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Files of a pattern, sorted, without hidden ones: `._x.json` is no record."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _run_metadata(record: Record) -> dict[str, Any]:
    """ir_metadata header of a run file: what made it, and on which data."""
    known = record.provenance
    return {
        "platform": {"python": known.get("python"), "cpu": known.get("cpu")},
        "research goal": {"paper": record.paper, "experiment": record.experiment},
        "implementation": {"git": known.get("git"), "packages": known.get("packages")},
        "method": record.config,
        "data": known.get("data", {}),
    }
