"""From a collection's name to the collection: folder, data root, cache, then the hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ir_replications.shared.data.beir import read_beir, write_beir
from ir_replications.shared.data.bright import missing_corpus, read_bright
from ir_replications.shared.data.collection import Collection
from ir_replications.shared.data.hub import check_counts, fetch_hub
from ir_replications.shared.data.irds import load_irds
from ir_replications.shared.data.lines import only_file
from ir_replications.shared.data.manifest import manifest, pinned
from ir_replications.shared.data.places import locate
from ir_replications.shared.data.pydocs import load_pydocs
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.hub.reference import parse_hub_ref
from ir_replications.shared.locks import turn_at
from ir_replications.shared.reading import user_path


def load_collection(
    ref: str | Path,
    *,
    data_root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    download: bool = True,
    unjudged: bool = False,
) -> Collection:
    """Return the collection named by `ref`: a folder that exists, or an id.

    Ids are "pydocs" (embedded), those of `list_collections` or of a folder under the data root,
    "ir-datasets:<id>" and "hub:<org>/<name>@<40 hex digits>". An id is looked for in the data
    root, then in the cache, then fetched into the cache unless `download` is false. With
    `unjudged`, a BEIR folder without judgements is a collection too (`Collection.judged`). Raises
    InputError when it is not found, and for a name that could lead out of these folders.
    """
    if isinstance(ref, Path) or (ref != "pydocs" and os.path.isdir(user_path(ref))):
        folder = user_path(ref)
        return _read_folder(folder, _folder_id(folder), unjudged)
    cache = find_cache_dir(cache_dir)
    if ref == "pydocs":
        return load_pydocs(cache)
    if ref.startswith("ir-datasets:"):
        return load_irds(ref.removeprefix("ir-datasets:"))
    root = find_data_root(data_root)
    id, place, _ = locate(ref, root, cache)
    if place is None:
        if not download:
            raise InputError(_not_found(ref, root, cache))
        place = fetch_collection(ref, cache_dir=cache, data_root=root)
    return _read_folder(place, id, unjudged)


def fetch_collection(
    ref: str, *, cache_dir: Path | str | None = None, data_root: Path | str | None = None
) -> Path:
    """Download a collection by id into the cache, unless it is there, and return its folder."""
    cache = find_cache_dir(cache_dir)
    if ref == "pydocs":
        load_pydocs(cache)
        return cache / "pydocs"
    id, place, folder = locate(ref, None, cache)
    if place is not None:
        return place
    if not _has_source(ref, id):
        raise InputError(_not_found(ref, find_data_root(data_root), cache))
    with turn_at(cache / "turns" / f"{id.replace('/', '-')}.lock"):
        _, place, _ = locate(ref, None, cache)  # there, where another process was first
        return place or _fetch(ref, id, folder, data_root)


def _has_source(ref: str, id: str) -> bool:
    pin = pinned(id)
    return ref.startswith(("hub:", "ir-datasets:")) or bool(pin and (pin.hub or pin.ir_datasets))


def _fetch(ref: str, id: str, folder: Path, data_root: Path | str | None) -> Path:
    """Download a collection that has a source and write it to `folder`."""
    if ref.startswith("ir-datasets:"):
        return write_beir(load_irds(ref.removeprefix("ir-datasets:")), folder)
    if ref.startswith("hub:"):
        return fetch_hub(id, *parse_hub_ref(ref), folder)
    pin = pinned(id)
    if pin and pin.hub:
        try:
            return fetch_hub(id, pin.hub, pin.revision, folder, pin)
        except InputError as error:
            here = find_data_root(data_root)
            if id.startswith("bright/") and here and (here / id).is_dir():
                raise InputError(f"{missing_corpus(here / id, id)} ({error})") from error
            raise
    assert pin is not None
    collection = load_irds(pin.ir_datasets, id)
    check_counts(collection, pin)
    return write_beir(collection, folder)


def check_available(
    ref: str,
    *,
    data_root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    download: bool = True,
) -> None:
    """Raise InputError when an id cannot be loaded; reads and downloads nothing."""
    if ref == "pydocs" or ref.startswith("ir-datasets:"):
        return
    root, cache = find_data_root(data_root), find_cache_dir(cache_dir)
    id, place, _ = locate(ref, root, cache)
    if place is None and not (download and _has_source(ref, id)):
        raise InputError(_not_found(ref, root, cache))


def _not_found(ref: str, root: Path | None, cache: Path) -> str:
    if root and ref.startswith("bright/") and (root / ref).is_dir():
        return missing_corpus(root / ref, ref)
    pin = manifest().get(ref)
    known = pin and (pin.hub or pin.ir_datasets)
    remedy = f"or run `replicate data fetch {ref}`" if known else "no download is known for it"
    return (
        f"{ref}: no such folder, not in the data root ({root or 'none is set'}), not in the cache "
        f"({cache}); put a BEIR folder at <data root>/{ref}, {remedy}"
    )


def _read_folder(folder: Path, id: str, unjudged: bool) -> Collection:
    if id.startswith("bright/") or only_file(folder, "examples.jsonl"):
        return read_bright(folder, id)
    pin = pinned(id)
    return read_beir(folder, id, licence=pin.licence if pin else "", unjudged=unjudged)


def _folder_id(folder: Path) -> str:
    """Name an explicit folder: its last parts if the manifest knows them, else the last one."""
    place = Path(os.path.realpath(folder))  # unlike `resolve`, also of links that lead in a circle
    parts = [re.sub(r"[^A-Za-z0-9._-]+", "-", part) for part in place.parts[-3:]]
    for start in range(len(parts)):
        if "/".join(parts[start:]) in manifest():
            return "/".join(parts[start:])
    return parts[-1].lstrip(".-") or "folder"
