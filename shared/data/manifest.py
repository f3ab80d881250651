"""The pins of manifest.toml: where each known collection comes from and what it must hold."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ir_replications.shared.data.collection import Collection

UNPINNED = "nothing is pinned"
"""Begins the one line that `check_collection` returns for a collection that has no pin."""


@dataclass(frozen=True)
class Pin:
    """What manifest.toml says of one collection; "" and 0 where it says nothing.

    `hub` and `revision` name a dataset of the Hugging Face hub, `ir_datasets` one of that package;
    `docs` counts documents, `queries` the judged queries of `split`, `megabytes` the download.
    `sha256` is `Collection.sha256`; `queries_sha256` is `BrightQueries.sha256`.
    """

    id: str
    title: str = ""
    hub: str = ""
    revision: str = ""
    ir_datasets: str = ""
    licence: str = ""
    docs: int = 0
    queries: int = 0
    split: str = "test"
    sha256: str = ""
    queries_sha256: str = ""
    megabytes: float = 0
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)


@cache
def manifest() -> dict[str, Pin]:
    """Return every pin by collection id, in the order of manifest.toml."""
    text = Path(__file__).with_name("manifest.toml").read_text(encoding="utf-8")
    groups = tomllib.loads(text)
    pins: dict[str, Pin] = {}
    for prefix, entries in groups.items():
        common = {key: value for key, value in entries.items() if not isinstance(value, dict)}
        for name, entry in entries.items():
            if isinstance(entry, dict):
                id = name if prefix == "embedded" else f"{prefix}/{name}"
                pins[id] = Pin(id=id, **{**common, **entry})
    return pins


def pinned(id: str) -> Pin | None:
    """Return the pin of a collection, None when the manifest does not know it.

    PyDocs is pinned per pair of NumPy and SciPy versions; on another pair its pin has neither
    counts nor fingerprint.
    """
    pin = manifest().get(id)
    if pin is None or not pin.versions:
        return pin
    pair = f"numpy-{version('numpy')}_scipy-{version('scipy')}"
    return replace(pin, versions={}, **pin.versions.get(pair, {}))


def count_mismatches(collection: Collection, pin: Pin) -> list[str]:
    """Return one line per count of `pin` that `collection` does not have."""
    found = {
        "documents": (len(collection.doc_ids), pin.docs),
        f"queries in {pin.split!r}": (len(collection.qrels.get(pin.split, {})), pin.queries),
    }
    return [
        f"{collection.id}: {number} {what}, pinned {expected}"
        for what, (number, expected) in found.items()
        if expected and number != expected
    ]


def check_collection(collection: Collection) -> list[str]:
    """Return one line per difference between a collection and its pin; empty when it matches.

    Without a pinned fingerprint the only line begins with UNPINNED, unless counts differ: such a
    collection can be used, but no golden value may be compared on it.
    """
    pin = pinned(collection.id)
    if pin is None:
        return [f"{UNPINNED} for {collection.id}; no golden value is compared"]
    lines = count_mismatches(collection, pin)
    if pin.sha256 and pin.sha256 != collection.sha256:
        lines.append(f"{collection.id}: sha256 {collection.sha256}, pinned {pin.sha256}")
    if not lines and not pin.sha256:
        what = collection.source if collection.id == "pydocs" else collection.id
        return [f"{UNPINNED} for the content of {what}; no golden value is compared"]
    return lines
