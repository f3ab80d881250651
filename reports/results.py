"""Result records: one JSON file per cell, keyed by the hash of its config, refused when altered.

A cell is one system on one collection with one seed. Layout of a store:

    root/<paper>/<tier>/<experiment>/<slug of label>-<first 10 digits of config_hash>.json
    root/<paper>/<tier>/<experiment>/runs/<same stem>.run.gz
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from reports.provenance import scrub
from reports.record_checks import (
    check_identity,
    check_means,
    check_provenance,
    check_run,
    plain,
    rounded,
)
from shared.errors import InputError
from shared.files import atomic_write, remove_abandoned, scratch_folder, sha256_file
from shared.printable import printable, shown
from shared.reading import parse_json, read_text, user_path
from shared.rehearsal import is_rehearsal
from shared.runs import Run, write_run

SCHEMA = 1
TIERS = ("embedded", "small", "paper")
MARK = "REHEARSAL"  # the file that says so of a store: nothing in it is evidence
_FIELDS = (
    "schema", "paper", "experiment", "tier", "label", "config", "config_hash", "status", "error",
    "means", "per_query", "facts", "run", "provenance", "digest",
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """The evidence of one cell.

    `config` is a flat dict of scalars (system, collection, seed, parameters); `means` maps a
    measure to its mean over queries; `per_query` maps a measure to {qid: value}; `facts` holds
    everything else that was measured; `run` is {"path", "sha256", "rows"} with the path relative
    to the record's own folder, or None. A record with status "error" holds its message instead
    of numbers. Raises InputError when a field is of another type (reports/record_checks.py), when
    the config is not flat, or when a mean disagrees with its per-query values by more than 1e-6.
    """

    paper: str
    experiment: str
    tier: str
    label: str
    config: dict[str, Any]
    means: dict[str, float] = field(default_factory=dict)
    per_query: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    status: str = "ok"
    error: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        where = printable(f"record {self.paper}/{self.tier}/{self.experiment}/{self.label}"[:200])
        for name in ("config", "means", "facts", "run", "provenance"):
            object.__setattr__(self, name, plain(getattr(self, name), where, name))
        object.__setattr__(self, "per_query", rounded(self.per_query, where))
        check_identity(vars(self), TIERS, where)
        check_means(self.means, self.per_query, where)
        if not isinstance(self.facts, dict):
            raise InputError(f"{where}: facts is no object; give a dict")
        check_provenance(self.provenance, self.seed, where)
        check_run(self.run, self.stem, where)

    @classmethod
    def create(cls, *, error: str | None = None, **fields: Any) -> Record:
        """A new record; its status follows from `error`, whose absolute paths are cut off."""
        text = scrub(error.strip()) if error else None
        return cls(status="error" if text else "ok", error=text or None, **fields)

    @cached_property
    def config_hash(self) -> str:
        """Hex sha256 that identifies the cell; see `config_hash`."""
        return _hash(self.paper, self.experiment, self.tier, self.config)

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over the canonical JSON of every field but the digest itself."""
        return _digest({**self._body(), "config_hash": self.config_hash})

    @property
    def key(self) -> tuple[str, str, str, str]:
        """(paper, experiment, tier, config_hash): equal keys are the same cell."""
        return (self.paper, self.experiment, self.tier, self.config_hash)

    @property
    def stem(self) -> str:
        """File name without suffix: slug of the label and 10 digits of the config hash."""
        return f"{slug(self.label)}-{self.config_hash[:10]}"

    @property
    def seed(self) -> int | None:
        """The config's seed, or None for a deterministic cell."""
        return self.config.get("seed")

    def _body(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS if name not in ("digest",)}

    def to_json(self) -> str:
        """JSON text with one line per measure, so that a diff shows which measure moved."""
        return _dump({**self._body(), "digest": self.digest})


def config_hash(config: Mapping[str, Any], *, paper: str, experiment: str, tier: str) -> str:
    """Hex sha256 of the canonical JSON of {paper, experiment, tier, config}."""
    return _hash(paper, experiment, tier, plain(dict(config), f"config of {paper}/{experiment}"))


def slug(text: str) -> str:
    """Lower-case file-name form of a label: "BM25 (k1=1.2)" -> "bm25-k1-1.2"."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:60] or "cell"


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
    return sorted(merged.values(), key=_order)


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
        Raises InputError for a rehearsal in a store of other records, and for others in its.
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
        return None

    def records(self, paper: str | None = None, tier: str | None = None) -> list[Record]:
        """Every record, in the order paper, tier, experiment, label, config hash."""
        paths = _visible(self.root, f"{paper or '*'}/{tier or '*'}/*/*.json")
        return sorted((read_record(path) for path in paths), key=_order)

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
            raise InputError(f"{path}: run file is missing; {_again(record.paper, record.tier)}")
        if sha256_file(path) != record.run["sha256"]:
            raise InputError(
                f"{path}: sha256 differs from {self.path(record).name}; delete both, "
                f"then {_again(record.paper, record.tier)}"
            )
        return path

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


def read_record(path: Path | str) -> Record:
    """Read and verify one record file.

    Raises InputError, naming the file, what differs and what to do, when the file is truncated,
    of an unknown schema, misses a field, when its digest or config hash does not agree, when it
    holds what no record holds, or lies elsewhere than its content says.
    """
    path = user_path(path)
    *_, paper, tier, experiment, name = ("", "", "", *path.absolute().parts)
    fix = f"delete it and {_again(paper, tier)}"
    text = read_text(path)
    try:
        data = parse_json(text, str(path))
    except InputError as error:
        what = str(error).removesuffix("; correct it")
        raise InputError(f"{what}; truncated or edited: {fix}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a JSON object; {fix}")
    if type(schema := data.get("schema")) is not int or schema != SCHEMA:
        raise InputError(
            f"{path}: schema {shown(schema)}, this version reads {SCHEMA}; "
            f"use the matching version of the suite or {fix}"
        )
    if missing := [field for field in _FIELDS if field not in data]:
        raise InputError(f"{path}: field {missing[0]!r} is missing; {fix}")
    body = {field: data[field] for field in _FIELDS if field != "digest"}
    if unknown := sorted(set(data) - set(_FIELDS)):
        raise InputError(f"{path}: unknown field {shown(unknown[0])}; {fix}")
    try:
        digest = _digest(body)
    except (InputError, ValueError, RecursionError) as error:  # infinite, or nested too deeply
        raise InputError(f"{path}: malformed record ({error}); {fix}") from error
    if digest != data["digest"]:
        raise InputError(f"{path}: content does not match its digest (edited?); {fix}")
    try:
        record = Record(**{key: value for key, value in body.items() if key != "config_hash"})
    except InputError as error:
        raise InputError(f"{path}: malformed record ({error}); {fix}") from error
    if record.config_hash != data["config_hash"]:
        raise InputError(f"{path}: config does not match its config_hash; {fix}")
    place = f"{record.paper}/{record.tier}/{record.experiment}/{record.stem}.json"
    if f"{paper}/{tier}/{experiment}/{name}" != place:
        raise InputError(f"{path}: holds {place} (moved or renamed?); put it back under that name")
    if record.per_query == body["per_query"]:  # nothing was rounded: the digest is verified
        record.__dict__["digest"] = data["digest"]
    return record


def _order(record: Record) -> tuple[str, int, str, str, str]:
    tier = TIERS.index(record.tier)
    return (record.paper, tier, record.experiment, record.label, record.config_hash)


def _again(paper: str, tier: str) -> str:
    return f"run it again: replicate run {paper} --tier {tier or TIERS[0]}"


def _canonical(value: Any) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        found = printable(text[max(0, error.start - 20) : error.end])
        raise InputError(f"{found}: half a character; rename what is called so") from error


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(dict(body))).hexdigest()


def _hash(paper: str, experiment: str, tier: str, config: Mapping[str, Any]) -> str:
    return _digest({"paper": paper, "experiment": experiment, "tier": tier, "config": config})


def _dump(data: Mapping[str, Any]) -> str:
    """JSON object with one field a line, and one measure a line inside per_query."""

    def line(value: Any) -> str:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)

    lines = []
    for name in _FIELDS:
        value = data[name]
        if name in ("per_query", "config", "facts", "provenance", "means") and value:
            inner = ",\n".join(f"  {json.dumps(k)}: {line(value[k])}" for k in sorted(value))
            lines.append(f" {json.dumps(name)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
