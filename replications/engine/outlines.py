"""The papers as `replicate list` shows them, remembered until a file of the project changes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ir_replications
from ir_replications import reports
from ir_replications.engine import registry
from ir_replications.engine.experiment import TIERS
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, find_cache_dir
from ir_replications.shared.own_code import HOMES, PACKAGE
from ir_replications.shared.reading import read_json

_SOURCES = (".py", ".toml", ".yaml")

Rows = list[dict[str, Any]]


def outlines() -> tuple[dict[str, Rows], dict[str, str]]:
    """Of each paper that commands can use its experiments: id, title ("what") and cost by tier.

    Of each other paper a line that says why. Only sound papers are remembered, since what is wrong
    with another one may lie outside the project's files.
    """
    key = _key()
    known: dict[str, Rows] = {}
    with suppress(InputError, KeyError, TypeError):  # none, or not ours
        kept = read_json(_place())
        if kept["key"] == key:
            known = kept["papers"]
    found, broken = {}, {}
    for paper in registry.papers():
        if paper in known:
            found[paper] = known[paper]
        elif reason := _fault(paper):
            broken[paper] = reason
        else:
            found[paper] = _rows(paper)
    if found != known:
        # Where a cache cannot be written, the papers are read again.
        with suppress(InputError), atomic_write(_place(), durable=False) as handle:
            json.dump({"key": key, "papers": found}, handle)
    return found, broken


def _fault(paper: str) -> str:
    from ir_replications.engine.paper_check import broken_line, unreadable  # plans every cell

    reasons = unreadable(paper)
    return broken_line(paper, reasons) if reasons else ""


def _rows(paper: str) -> Rows:
    return [
        {"experiment": e.id, "what": e.title, "cost": {tier: e.cost.get(tier) for tier in TIERS}}
        for e in registry.experiments(paper).values()
    ]


def _place() -> Path:
    return find_cache_dir() / "outlines.json"


def _key() -> str:
    """Digest of place, time and size of every file that can decide what the outlines are."""
    homes = {Path(ir_replications.__file__).resolve().parent, registry.PAPERS_FOLDER}
    homes |= {HOMES[f"{PACKAGE}.shared"], Path(reports.__file__).resolve().parent / "claims"}
    seen = {sys.version, *(line for home in homes for line in _states(str(home)))}
    return hashlib.sha256("\n".join(sorted(seen)).encode()).hexdigest()


def _states(folder: str) -> Iterator[str]:
    """A line for each source file below a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _states(entry.path)
            elif entry.name.endswith(_SOURCES):
                found = entry.stat()
                yield f"{entry.path} {found.st_mtime_ns} {found.st_size}"
