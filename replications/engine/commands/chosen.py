"""The collections that a command is given: ids, or folders, which are read before any work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ir_replications.engine.context import cached_collection
from ir_replications.engine.door import tell, user_folder
from ir_replications.shared.data import UNPINNED, check_available, check_collection
from ir_replications.shared.data.collection import UNJUDGED
from ir_replications.shared.data.manifest import pinned
from ir_replications.shared.errors import InputError


def chosen_collections(
    refs: Sequence[str],
    data_root: Path | None,
    split: str | None = None,
    *,
    download: bool,
    unjudged: bool = False,
) -> tuple[list[str], dict[str, Path]]:
    """Ids of the collections asked for, and the folders of those that are folders.

    Folders are read here, so that a broken one is refused before any work; with `unjudged` those
    without judgements will do.
    """
    names: list[str] = []
    folders: dict[str, Path] = {}
    for ref in dict.fromkeys(refs):
        place = user_folder(ref) if ref != "pydocs" and ref.strip() else None
        if place is not None:
            path = Path(os.path.realpath(place))
            name = _read_folder(path, data_root, split, download, unjudged)
            if folders.setdefault(name, path) != path:
                raise InputError(
                    f"{path}: is recorded as {name!r}, and so is {folders[name]}; rename one"
                )
        elif ref.startswith((".", "/", "~")) or not ref.strip():
            raise InputError(f"{ref!r}: no such folder; expected a BEIR folder or a collection id")
        else:
            name = ref
            check_available(ref, data_root=data_root, download=download)
        names.append(name)
    return list(dict.fromkeys(names)), folders


def usual_split(
    name: str, folders: Mapping[str, Path], data_root: Path | None, download: bool
) -> str | None:
    """The split that is evaluated of a collection where the user names none; None: none is."""
    if name in folders:
        with contextlib.suppress(InputError):
            return cached_collection(folders[name], data_root, download).default_split
        return None
    pin = pinned(name)
    return pin.split if pin else "test"


def _read_folder(
    path: Path, data_root: Path | None, split: str | None, download: bool, unjudged: bool
) -> str:
    """Name a folder's collection, after a look at what its numbers will depend on."""
    collection = cached_collection(path, data_root, download)
    name, notes = collection.id, list(collection.notes)
    if [line for line in check_collection(collection) if not line.startswith(UNPINNED)]:
        name = f"local/{name.rpartition('/')[2]}"
        notes.append(f"is not the published {collection.id}; recorded as {name}")
    if unjudged and not collection.judged:
        split = split or UNJUDGED
    queries = collection.topics(split or collection.default_split)
    own = queries.keys() & set(collection.doc_ids)
    if own:
        notes.append(
            f"{len(own)} of {len(queries)} queries have the id of a document, which is removed "
            "from their results as BEIR does; rename the queries if they are not that document"
        )
    for note in notes:
        tell(f"note: {name}: {note}", err=True)
    return name
