"""Repositories of the loopback hub: files by git and LFS object ids, named by given revisions."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What the hub's own .gitattributes and its limit on plain files put into LFS.
LFS_SUFFIXES = frozenset(
    {".safetensors", ".parquet", ".bin", ".model", ".gz", ".zip", ".arrow", ".npz", ".pt"}
)
LFS_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Blob:
    """One file of a commit: `oid` is git's sha1 of the file or, in LFS, of its pointer."""

    path: str
    stored: Path
    size: int
    oid: str
    sha256: str  # of a file in LFS, "" of one in git

    @property
    def etag(self) -> str:
        """What the client names the cached file by."""
        return self.sha256 or self.oid

    def entry(self) -> dict[str, Any]:
        """The file as tree and paths-info list it."""
        entry = {"type": "file", "oid": self.oid, "size": self.size, "path": self.path}
        if self.sha256:
            pointer = len(_pointer(self.sha256, self.size))
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": pointer}
        return entry


@dataclass
class Repository:
    """Commits of one repository, revision -> path -> file; `main` is the last one added."""

    kind: str  # "models" or "datasets"
    name: str
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    main: str = ""

    def resolve(self, revision: str) -> str | None:
        """The commit of a revision: itself, or that of the branch main."""
        found = self.main if revision == "main" else revision
        return found if found in self.commits else None

    def add(self, revision: str, folder: Path, store: Path) -> None:
        """Copy the files of `folder` into `store`, by content, as the commit `revision`."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        blobs = (_add_blob(path, path.relative_to(folder).as_posix(), store) for path in paths)
        self.commits[revision] = {blob.path: blob for blob in blobs}
        self.main = revision

    def info(self, revision: str) -> dict[str, Any]:
        """The answer of the repository's address at a revision."""
        siblings = [{"rfilename": path} for path in self.commits[revision]]
        return {
            "_id": hashlib.sha256(self.name.encode()).hexdigest()[:24],
            "id": self.name,
            "author": self.name.partition("/")[0],
            "sha": revision,
            "lastModified": "2024-01-01T00:00:00.000Z",
            "createdAt": "2024-01-01T00:00:00.000Z",
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": siblings,
        } | ({"modelId": self.name} if self.kind == "models" else {})

    def tree(self, revision: str, below: str, recursive: bool) -> list[dict[str, Any]] | None:
        """Files and folders below a folder ("" is the root), None where there is no such one."""
        files = self.commits[revision]
        prefix = f"{below}/" if below else ""
        inside = [blob for path, blob in files.items() if path.startswith(prefix)]
        if below and not inside:
            return None
        entries: list[dict[str, Any]] = []
        for folder in sorted({f for blob in inside for f in _parents(blob.path)}):
            if folder.startswith(prefix) and (recursive or "/" not in folder[len(prefix) :]):
                entries.append(_directory(folder))
        entries += [
            blob.entry() for blob in inside if recursive or "/" not in blob.path[len(prefix) :]
        ]
        return sorted(entries, key=lambda entry: entry["path"])

    def paths(self, revision: str, paths: list[str]) -> list[dict[str, Any]]:
        """The entries of those `paths` that exist."""
        files = self.commits[revision]
        folders = {folder for path in files for folder in _parents(path)}
        found = [files[path].entry() for path in paths if path in files]
        return found + [_directory(path) for path in paths if path in folders]


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": _git_oid(path.encode()), "size": 0, "path": path}


def _add_blob(source: Path, path: str, store: Path) -> Blob:
    size = source.stat().st_size
    if source.suffix in LFS_SUFFIXES or size > LFS_BYTES:
        with source.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        oid = _git_oid(_pointer(sha256, size))
    else:
        sha256, oid = "", _git_oid(source.read_bytes())
    stored = store / (sha256 or oid)
    if not stored.exists():
        store.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, stored)
    return Blob(path, stored, size, oid, sha256)


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _pointer(sha256: str, size: int) -> bytes:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
    return text.encode()
