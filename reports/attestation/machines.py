"""Attested machines: files that say what a machine got when it ran the embedded tier again.

Each file holds one machine and one arithmetic: processor, libraries, verdicts, how far its numbers
lie from the published ones and everything that disagreed. Users send them in, so a file is read
as foreign: every field is checked, and its name is the beginning of the digest of its content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from ir_replications.reports.claims.kinds import COMPARED
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.records.provenance import scrub
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write
from ir_replications.shared.printable import shown
from ir_replications.shared.reading import is_finite, is_whole, read_json, user_path

SCHEMA = 1
NAME_DIGITS = 16
TEXT_LIMIT = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True)
class Agreement:
    """One paper on one machine.

    `verdicts` counts findings by verdict; `compared` and `deviation` map a kind of number to how
    many were compared with the published ones and to the largest relative deviation (of an error
    bound: the largest share of its bound); `disagreements` is everything that must not be;
    `left_out` names cells on other data or models, and under an emulated arithmetic experiments
    that measure time, each with the reason after its last ": "; `records` is the digest of the
    published records that were compared with.
    """

    verdicts: dict[str, int]
    compared: dict[str, int]
    deviation: dict[str, float]
    disagreements: list[str]
    left_out: list[str]
    records: str


@dataclass(frozen=True)
class Machine:
    """One machine, its arithmetic and its agreement with the published records, by paper.

    `switches` are the environment variables that chose another arithmetic than the processor's
    (then `emulated` is true), `ignored` the libraries that did not follow them. `papers` holds all
    papers when `full`, else those that were asked for.
    """

    date: str
    processor: str | None
    cores: int | None
    instruction_sets: list[str]
    system: str
    arithmetic: str
    emulated: bool
    switches: dict[str, str]
    ignored: list[str]
    threads: dict[str, int]
    libraries: dict[str, str]
    results: dict[str, str]
    python: str
    packages: dict[str, str]
    git: dict[str, Any] | None
    full: bool
    papers: dict[str, Agreement]
    schema: int = SCHEMA

    @property
    def disagreements(self) -> list[str]:
        """Everything that disagreed, of every paper."""
        return [line for found in self.papers.values() for line in found.disagreements]

    @property
    def compared(self) -> int:
        """How many values were compared."""
        return sum(sum(found.compared.values()) for found in self.papers.values())

    @property
    def deviation(self) -> dict[str, float]:
        """The largest deviation of each kind of number, over papers."""
        kinds = [kind.value for kind in COMPARED]
        found = [(kind, paper.deviation[kind]) for paper in self.papers.values() for kind in kinds
                 if kind in paper.deviation]  # fmt: skip
        return {kind: max(x for k, x in found if k == kind) for kind in dict(found)}

    @property
    def digest(self) -> str:
        """Hex sha256 of the canonical JSON of every field."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def is_current(self, published: Mapping[str, str]) -> bool:
        """True when compared with the records of today; `published` maps a paper to their digest.

        Papers that were published since make no file old; its number of papers says it.
        """
        return all(published.get(paper) == found.records for paper, found in self.papers.items())


def write_machine(machine: Machine, folder: Path | str) -> Path:
    """Write a machine's file under its name; returns the path. Absolute paths are cut off."""
    body = asdict(machine)
    machine = _machine(scrub(body), "the machine's file")
    path = Path(folder) / f"{machine.digest[:NAME_DIGITS]}.json"
    with atomic_write(path) as handle:
        handle.write(json.dumps(asdict(machine), indent=1, allow_nan=False) + "\n")
    return path


def read_machine(path: Path | str) -> Machine:
    """Read and check one file. Raises InputError naming the file, the field and what is wrong."""
    path = user_path(path)
    body = read_json(path)
    machine = _machine(body, str(path))
    if path.stem != machine.digest[:NAME_DIGITS]:
        raise InputError(
            f"{path}: the content does not give this name, but {machine.digest[:NAME_DIGITS]} "
            "(edited or renamed?); send the file as `replicate attest` wrote it"
        )
    return machine


def read_machines(folder: Path | str) -> list[Machine]:
    """Every machine of a folder: real ones before emulated ones, the newest first."""
    paths = sorted(path for path in Path(folder).glob("*.json") if not path.name.startswith("."))
    found = [read_machine(path) for path in paths]
    found.sort(key=lambda each: (each.processor or "", each.arithmetic, each.digest))
    found.sort(key=lambda each: each.date, reverse=True)
    return sorted(found, key=lambda each: each.emulated)


class _Checks:
    """Checks of one object's fields; every failure names the file and the field."""

    def __init__(self, body: Any, kind: type, where: str) -> None:
        self.where = where
        names = [field.name for field in fields(kind)]
        if not isinstance(body, dict):
            raise InputError(f"{where}: expected a JSON object")
        for name in [*names, *body]:
            if name not in body:
                raise InputError(f"{where}: field {name!r} is missing")
            if name not in names:
                raise InputError(f"{where}: unknown field {shown(name)}")
        self.body = body

    def need(self, name: str, what: str, holds: Callable[[Any], bool]) -> None:
        if not holds(self.body[name]):
            raise InputError(f"{self.where}: {name} is {shown(self.body[name])}; expected {what}")


def _machine(body: Any, where: str) -> Machine:
    schema = body.get("schema") if isinstance(body, dict) else SCHEMA
    if type(schema) is not int or schema != SCHEMA:
        raise InputError(
            f"{where}: schema {shown(schema)}, this version reads {SCHEMA}; "
            "run `replicate attest` of this version"
        )
    checks = _Checks(body, Machine, where)
    checks.need("date", "a date like 2026-01-31", _is_date)
    checks.need("processor", "one line of text", lambda x: x is None or _is_line(x))
    checks.need("cores", "a positive whole number", lambda x: x is None or is_whole(x, 1))
    for name in ("system", "arithmetic", "python"):
        checks.need(name, "one line of text", _is_line)
    for name in ("instruction_sets", "ignored"):
        checks.need(name, "a list of lines of text", _is_lines)
    for name in ("emulated", "full"):
        checks.need(name, "true or false", lambda x: isinstance(x, bool))
    for name in ("switches", "libraries", "results", "packages"):
        checks.need(name, "an object of texts by name", lambda x: _is_map(x, _is_line))
    checks.need("threads", "an object of whole numbers by name", lambda x: _is_map(x, is_whole))
    checks.need("git", "a commit and whether it is dirty, or null", _is_git)
    checks.need("papers", "an object of papers", lambda x: bool(x) and _is_map(x, bool))
    papers = {name: _agreement(x, f"{where}: {name}") for name, x in body["papers"].items()}
    machine = Machine(**{**body, "papers": papers})
    if scrub(body) != body:
        raise InputError(f"{where}: holds an absolute path; run `replicate attest` again")
    return machine


def _agreement(body: Any, where: str) -> Agreement:
    checks = _Checks(body, Agreement, where)
    words, kinds = {v.word for v in Verdict}, {kind.value for kind in COMPARED}
    checks.need("verdicts", "counts by verdict", lambda x: _is_map(x, is_whole) and set(x) <= words)
    checks.need("compared", "counts by kind", lambda x: _is_map(x, is_whole) and set(x) <= kinds)
    checks.need(
        "deviation",
        "finite numbers by kind, none below 0",
        lambda x: _is_map(x, _is_size) and set(x) <= set(body["compared"]),
    )
    for name in ("disagreements", "left_out"):
        checks.need(name, "a list of lines of text", _is_lines)
    checks.need("records", "a sha256", lambda x: isinstance(x, str) and bool(_SHA256.match(x)))
    return Agreement(**body)


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= TEXT_LIMIT


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(_is_line(item) for item in value)


def _is_size(value: Any) -> bool:
    return is_finite(value) and value >= 0


def _is_map(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(
        _NAME.match(key) and len(key) <= TEXT_LIMIT and holds(item) for key, item in value.items()
    )


def _is_date(value: Any) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except (TypeError, ValueError):
        return False


def _is_git(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != {"commit", "dirty"}:
        return False
    commit = value["commit"]
    return (
        isinstance(commit, str) and bool(_COMMIT.match(commit)) and isinstance(value["dirty"], bool)
    )
