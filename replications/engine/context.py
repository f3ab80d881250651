"""What a cell may reach: collections, their tokens, files; all of it noted for its record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ir_replications.shared.analysis import Tokens, corpus_tokens, tokenize, unreadable
from ir_replications.shared.data import UNPINNED, Collection, check_collection, load_collection
from ir_replications.shared.data.collection import fingerprint
from ir_replications.shared.data.pools import COMPLETE
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import MissingDependencyError
from ir_replications.shared.files import sha256_unchanged

# Beside collections, a record's data name files of the data root that are no collection,
FILES = "files:"
# and a collection's judgements of documents that it lacks, which its sha256 does not cover.
JUDGED, IN_COLLECTION = "judgements:", "--judged-in-collection"
NONE = fingerprint((), {}, {}, {})  # of no judgement at all


@dataclass
class Context:
    """What a cell may reach: collections and their tokens, each remembered by checksum.

    With `judged_in_collection`, judgements of documents that a collection lacks are left out.
    """

    data_root: Path | None = None
    download: bool = True
    folders: Mapping[str, Path] = field(default_factory=dict)
    judged_in_collection: bool = False
    splits: Mapping[str, str] = field(default_factory=dict)  # collection -> what the user chose
    data: dict[str, str] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def collection(self, name: str) -> Collection:
        """The collection, noted in this cell's provenance: its sha256, and if it is not as pinned.

        Numbers on data that differ from the manifest are kept and never compared with a paper's.
        """
        found = cached_collection(self.folders.get(name, name), self.data_root, self.download)
        if name not in self.data:
            self.data[name] = found.sha256
            lines = [] if name in self.folders else check_collection(found)
            self.mismatches += [line for line in lines if not line.startswith(UNPINNED)]
            self._note_judgements(name, found)
        found = found.with_split(self.splits[name]) if name in self.splits else found
        return _judged_inside(found) if self.judged_in_collection else found

    def _note_judgements(self, name: str, found: Collection) -> None:
        """Note the judgements of documents that a collection lacks, which its sha256 leaves out."""
        counted = _counted_outside(found, whole=name in self.folders)
        if self.judged_in_collection and _counted_outside(found, whole=True) != NONE:
            self.data[f"{JUDGED}{name}"] = NONE
            line = f"{name}: judgements of documents that it lacks are left out ({IN_COLLECTION})"
            (self.notes if name in self.folders else self.mismatches).append(line)
        if self.judged_in_collection or counted == NONE:
            return
        self.data[f"{JUDGED}{name}"] = counted
        kept = [
            line for line in found.notes if ", kept: " in line and not line.startswith(COMPLETE)
        ]
        self.notes += [f"{name}: {line}" for line in kept]

    def files(self, name: str) -> Path:
        """A file or folder of the data root that is no collection, noted with its sha256."""
        root = find_data_root(self.data_root)
        if root is None or not (root / name).exists():
            raise MissingDependencyError(
                f"{name}: not in the data root ({root or 'none is set'}); set IR_REPLICATIONS_DATA "
                "to a folder that holds it"
            )
        self.data[f"{FILES}{name}"] = files_sha256(root / name)
        return root / name

    def fingerprint(self, name: str) -> str:
        """The sha256 that a record notes for a collection or for files."""
        if name.startswith(FILES):
            self.files(name.removeprefix(FILES))
            return self.data[name]
        if name.startswith(JUDGED):
            self.collection(name.removeprefix(JUDGED))
            return self.data.get(name, "")
        return self.collection(name).sha256

    def note(self, other: Context) -> None:
        """Note for this cell's record what another context has noted."""
        self.data |= other.data
        self.mismatches += [line for line in other.mismatches if line not in self.mismatches]

    def tokens(self, name: str, analyzer: str, title: str) -> Tokens:
        """Documents of a collection as tokens, cached on disk by checksum."""
        self.collection(name)
        ref = self.folders.get(name, name)
        tokens = _tokens(ref, self.data_root, self.download, analyzer, title)
        self._note_unreadable(name, tokens, analyzer)
        return tokens

    def topics(self, name: str, split: str, analyzer: str) -> dict[str, list[str]]:
        """Analysed queries of a split: query id -> tokens."""
        topics = self.collection(name).topics(split)
        tokens = tokenize(list(topics.values()), analyzer)
        self._note_unreadable(name, tokens, analyzer)
        return dict(zip(topics, tokens, strict=True))

    def _note_unreadable(self, name: str, tokens: Tokens, analyzer: str) -> None:
        if line := unreadable(tokens, analyzer):
            self.notes.append(f"{name}: {line}")


@lru_cache(maxsize=16)
def _counted_outside(collection: Collection, whole: bool = False) -> str:
    """Fingerprint of judgements of absent documents; a pool's complete ones only if `whole`.

    In a data root those are read, and noted, as a file.
    """
    splits = [split for split in collection.qrels if whole or split != COMPLETE]
    return collection.outside_sha256([split for split in splits if collection.outside(split)])


@lru_cache(maxsize=4)
def _judged_inside(collection: Collection) -> Collection:
    return collection.judged_inside()


@lru_cache(maxsize=4)
def cached_collection(ref: str | Path, data_root: Path | None, download: bool) -> Collection:
    """`load_collection`, remembered in this process."""
    return load_collection(ref, data_root=data_root, download=download, unjudged=True)


def files_sha256(place: Path) -> str:
    """One file's sha256; of a folder, that of its files' names and sums, hidden ones left out."""
    if place.is_file():
        return sha256_unchanged(place)
    lines = [
        f"{sha256_unchanged(path)}  {path.relative_to(place).as_posix()}\n"
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@lru_cache(maxsize=8)
def _tokens(
    ref: str | Path, data_root: Path | None, download: bool, analyzer: str, title: str
) -> Tokens:
    return corpus_tokens(cached_collection(ref, data_root, download), analyzer, title)
