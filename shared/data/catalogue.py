"""What collections there are, how large they are, and where each would come from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ir_replications.shared.data.manifest import Pin, manifest, pinned
from ir_replications.shared.data.places import locate
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.reading import user_path


@dataclass(frozen=True)
class Entry:
    """One known collection; `found_in` names the place that `load_collection` would take."""

    id: str
    title: str
    documents: int
    queries: int
    licence: str
    found_in: str
    megabytes: float = 0

    @property
    def here(self) -> bool:
        """Whether it is on this machine, so that nothing would be downloaded."""
        return self.found_in.startswith(("embedded", "data root", "cache"))


def list_collections(
    *, data_root: Path | str | None = None, cache_dir: Path | str | None = None
) -> list[Entry]:
    """Return the collections of the manifest, then the further BEIR folders of the data root."""
    root = find_data_root(data_root)
    entries = [_entry(id, root, find_cache_dir(cache_dir)) for id in manifest()]
    known = {entry.id for entry in entries}
    for corpus in sorted(root.glob("*/*/corpus.jsonl*")) if root else ():
        id = corpus.parent.relative_to(root).as_posix() if root else ""
        hidden = any(part.startswith(".") for part in id.split("/"))
        if id not in known and not hidden and corpus.name in ("corpus.jsonl", "corpus.jsonl.gz"):
            known.add(id)
            entries.append(Entry(id, "", 0, 0, "", f"data root ({corpus.parent})"))
    return entries


def collection_size(
    ref: str | Path,
    *,
    data_root: Path | str | None = None,
    cache_dir: Path | str | None = None,
) -> str:
    """Return one line on size and place of a collection, without reading or downloading it."""
    if str(ref) not in manifest():
        place = user_path(ref)
        there = os.path.isdir(place)
        return f"folder {place}" if there else "size not known before it is downloaded"
    entry = _entry(str(ref), find_data_root(data_root), find_cache_dir(cache_dir))
    parts = [
        f"{entry.documents:,} documents" if entry.documents else "",
        f"{entry.queries:,} queries" if entry.queries else "",
        entry.found_in,
        f"about {entry.megabytes:,.0f} MB to download" if entry.megabytes else "",
    ]
    return ", ".join(filter(None, parts))


def _entry(id: str, root: Path | None, cache: Path) -> Entry:
    pin = pinned(id) or Pin(id)
    place = _place(pin, root, cache)
    entry = Entry(id, pin.title, pin.docs, pin.queries, pin.licence, place, pin.megabytes)
    return replace(entry, megabytes=0) if entry.here else entry


def _place(pin: Pin, root: Path | None, cache: Path) -> str:
    if pin.id == "pydocs":
        return "embedded"
    _, folder, cached = locate(pin.id, root, cache)
    if folder is not None:
        return f"{'cache' if folder == cached else 'data root'} ({folder})"
    if pin.hub:
        return f"hub ({pin.hub}@{pin.revision[:8]})"
    if pin.ir_datasets:
        return f"ir_datasets ({pin.ir_datasets})"
    return f"nowhere: put a BEIR folder at <data root>/{pin.id}"
