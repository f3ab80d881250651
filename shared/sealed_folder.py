"""Cached folders that are built once, with the checksums of what they held then."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from shared.errors import InputError
from shared.files import sha256_file, sha256_unchanged
from shared.reading import read_json

_SEAL = "files.sha256.json"  # what the folder held when it was made


def ensure_sealed(path: Path, build: Callable[[Path], None] | None, ref: str) -> None:
    """Leave a complete, unaltered folder at `path`, building it beside and moving it in place.

    `build` writes the files into the folder it is given; None only checks. Several processes may
    call this at once. Raises InputError, naming `ref`, where the folder cannot be had.
    """
    problems = _altered(path)
    if not problems:
        return
    if build is None:
        raise InputError(f"{ref}: {problems[0]}; fetch the model again")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        try:
            build(made)
        except OSError as error:
            raise InputError(f"{path}: not written ({error.strerror or error})") from error
        sums = {item.name: sha256_file(item) for item in sorted(made.iterdir())}
        for name in sums:
            (made / name).chmod(0o644)
        (made / _SEAL).write_text(json.dumps(sums, indent=1) + "\n", "utf-8")
        if path.exists() and _altered(path):
            shutil.rmtree(path)
        try:
            os.replace(made, path)
        except OSError:  # another process finished first
            if _altered(path):
                raise


def _altered(path: Path) -> list[str]:
    """Why the folder is not what was once built there; empty when it is."""
    if not (path / _SEAL).is_file():
        return [f"{path} is not (completely) in the cache"]
    try:
        sums = read_json(path / _SEAL)
    except InputError:
        sums = None
    if not isinstance(sums, dict) or not sums or not all(n == Path(n).name for n in sums):
        return [f"{path / _SEAL} was altered"]
    try:
        return [
            f"{path / name} was altered"
            for name in sums
            if sha256_unchanged(path / name) != sums[name]
        ]
    except (OSError, ValueError):  # ValueError: a name with NUL
        return [f"{path} is not (completely) in the cache"]
