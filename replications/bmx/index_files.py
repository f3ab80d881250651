"""Saving and loading an index: NumPy files without pickle, checked by size, version and sha256."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from replications.bmx.index import ARRAYS, Index
from shared.errors import InputError
from shared.files import sha256_file

FORMAT = "bmx-index"
VERSION = 1
MANIFEST = "index.json"
VOCABULARY = "vocabulary.json"


def save_index(folder: Path | str, index: Index, options: dict[str, Any]) -> None:
    """Write index and options to `folder`, which appears complete or not at all.

    An index already there is replaced; any other non-empty folder is refused with InputError.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds other files; give a new folder for the index")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        for name in ARRAYS:
            np.save(new / f"{name}.npy", getattr(index, name), allow_pickle=False)
        text = json.dumps(index.vocabulary, ensure_ascii=True)
        (new / VOCABULARY).write_text(text, encoding="ascii")
        names = [f"{name}.npy" for name in ARRAYS] + [VOCABULARY]
        checksums = {name: sha256_file(new / name) for name in names}
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "options": options,
            "sha256": checksums,
            "digest": _digest(options, checksums),
        }
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        new.chmod(0o755)
        old = new.with_suffix(".old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{folder}: not written ({error.strerror}); free some space and save again"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load_index(folder: Path | str, mmap: bool = True) -> tuple[Index, dict[str, Any]]:
    """Read (index, options) back; `mmap` maps the arrays instead of copying them into memory.

    Raises InputError, one line, when a file is missing, damaged, edited or of another version.
    """
    folder = Path(folder)
    advice = "index the corpus and save it again"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{folder / MANIFEST}: {error.strerror}; expected a saved BMX index"
        ) from error
    except ValueError as error:
        raise InputError(f"{folder / MANIFEST}: damaged (not JSON); {advice}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{folder / MANIFEST}: not a {FORMAT} manifest; {advice}")
    if manifest.get("version") != VERSION:
        raise InputError(
            f"{folder / MANIFEST}: version {manifest.get('version')}, expected {VERSION}; {advice}"
        )
    options: Any = manifest.get("options")
    checksums: Any = manifest.get("sha256")
    if manifest.get("digest") != _digest(options, checksums):
        raise InputError(f"{folder / MANIFEST}: damaged or edited (digest differs); {advice}")
    for name in [f"{name}.npy" for name in ARRAYS] + [VOCABULARY]:
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: missing; {advice}")
        if sha256_file(path) != checksums.get(name):
            raise InputError(f"{path}: damaged or edited (checksum differs); {advice}")
    # copy-on-write: same array type as in memory, and the file can never change
    mode: Any = "c" if mmap else None
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False) for name in ARRAYS
    }
    vocabulary = json.loads((folder / VOCABULARY).read_text(encoding="ascii"))
    return Index(**arrays, vocabulary=vocabulary), options


def _digest(options: object, checksums: object) -> str:
    text = json.dumps([options, checksums], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
