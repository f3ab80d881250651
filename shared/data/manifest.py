"""The pins of manifest.toml: where each known collection comes from and what it must hold."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ir_replications.shared.versions import version


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
