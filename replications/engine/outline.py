"""What `replicate list` shows of a paper, remembered until one of the project's files changes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ir_replications import reports
from ir_replications.engine import registry
from ir_replications.engine.experiment import TIERS
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, find_cache_dir
from ir_replications.shared.own_code import HOMES, PACKAGE
from ir_replications.shared.reading import read_json

_SOURCES = (".py", ".toml", ".yaml")


def outline(paper: str) -> tuple[list[dict[str, Any]], str]:
    """Id, title ("what") and cost by tier of a paper's experiments, and "".

    For a paper that commands cannot use: none, and a line that says why. Only a sound paper is
    remembered, since what is wrong with another one may lie outside the project's files.
    """
    key, path = _key(paper), find_cache_dir() / "outlines" / f"{paper}.json"
    try:
        kept = read_json(path)
        if kept["key"] == key:
            return kept["experiments"], ""
    except (InputError, KeyError, TypeError):
        pass  # none, of other files, or not ours
    from ir_replications.engine.paper_check import broken_line, unreadable  # plans every cell

    if reason := unreadable(paper):
        return [], broken_line(paper, reason)
    found = [
        {"experiment": e.id, "what": e.title, "cost": {tier: e.cost.get(tier) for tier in TIERS}}
        for e in registry.experiments(paper).values()
    ]
    try:
        with atomic_write(path, durable=False) as handle:
            json.dump({"key": key, "experiments": found}, handle)
    except InputError:
        pass  # a cache that cannot be written: the paper is read again
    return found, ""


def _key(paper: str) -> str:
    """Digest of place, time and size of every file that can decide what the paper's outline is."""
    homes = [HOMES[f"{PACKAGE}.shared"], Path(registry.__file__).parent]
    homes += [Path(reports.__file__).resolve().parent / "claims", registry.PAPERS_FOLDER / paper]
    seen = [sys.version, *(line for home in homes for line in _states(str(home)))]
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
