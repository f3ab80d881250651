"""Folders with the checksums of what they held when they were made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import (
    atomic_write,
    scratch_folder,
    sha256_file,
    sha256_unchanged,
)
from ir_replications.shared.printable import printable
from ir_replications.shared.reading import read_json

SEAL = "files.sha256.json"  # what the folder held when it was made


def seal(folder: Path) -> None:
    """Write the checksum of every file in the folder and its subfolders, last and atomically.

    Hidden files are none of it. Raises OSError and InputError for what cannot be read or written.
    """
    sums = {name: sha256_file(folder / name) for name in sorted(_held(folder))}
    with atomic_write(folder / SEAL) as handle:
        handle.write(json.dumps(sums, indent=1) + "\n")


def problem_of(folder: Path) -> str:
    """Why a folder is not what it was when it was sealed; "" where it is.

    A file is read once in a process as long as nobody touches it.
    """
    path = folder / SEAL
    if not path.is_file():
        return f"{folder} is not complete (no {SEAL})"
    try:
        sums = read_json(path)
    except InputError:
        return f"{path} was altered"
    if not isinstance(sums, dict) or not all(isinstance(found, str) for found in sums.values()):
        return f"{path} was altered"
    for name, expected in sums.items():
        try:
            if sha256_unchanged(folder / name) != expected:
                return f"{printable(folder / name)} was altered"
        except (OSError, ValueError) as error:  # ValueError: NUL in a name
            reason = getattr(error, "strerror", None) or error
            return printable(f"{folder / name} cannot be read ({reason})")
    if more := sorted(set(_held(folder)) - sums.keys()):
        return f"{printable(folder / more[0])} was added"
    return ""


def _held(folder: Path) -> Iterator[str]:
    """Paths of the folder's files inside it, the seal and what is hidden left out."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and name.as_posix() != SEAL and not any(
            part.startswith(".") for part in name.parts
        ):  # fmt: skip
            yield name.as_posix()


def ensure_sealed(path: Path, build: Callable[[Path], None] | None, ref: str) -> None:
    """Leave a complete, unaltered folder at `path`, building it beside and moving it in place.

    `build` writes the files into the folder it is given; None only checks. Several processes may
    call this at once. Raises InputError, naming `ref`, where the folder cannot be had.
    """
    problem = problem_of(path)
    if not problem:
        return
    if build is None:
        if not path.is_dir():
            problem = f"{path} is not in the cache"
        known = ref.startswith("embedded:")
        how = f"run `replicate models fetch {ref}`" if known else "fetch the model again"
        raise InputError(f"{ref}: {problem}; {how}")
    try:
        with scratch_folder(path) as scratch:
            made = scratch / "model"
            made.mkdir()
            build(made)
            for item in made.iterdir():
                item.chmod(0o644)
            seal(made)
            if path.exists() and problem_of(path):
                shutil.rmtree(path)
            try:
                os.replace(made, path)
            except OSError:  # another process finished first
                if problem_of(path):
                    raise
    except OSError as error:
        raise InputError(f"{path}: not written ({error.strerror or error})") from error
