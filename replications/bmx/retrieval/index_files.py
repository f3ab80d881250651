"""Saving and loading an index: NumPy files without pickle, checked by size, version and sha256."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.bmx.retrieval.index import ARRAYS, Index
from ir_replications.bmx.retrieval.index_checks import check_index
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import replace_folder, scratch_folder, sha256_file
from ir_replications.shared.printable import printable, shown
from ir_replications.shared.reading import is_whole, read_json, user_path

FORMAT = "bmx-index"
VERSION = 1
MANIFEST = "index.json"
VOCABULARY = "vocabulary.json"
FILES = [*(f"{name}.npy" for name in ARRAYS), VOCABULARY]
_HALVES = re.compile(r"[\ud800-\udfff]")


def save_index(folder: Path | str, index: Index, options: dict[str, Any]) -> None:
    """Write index and options to `folder`, which appears complete or not at all.

    An index already there is replaced; any other non-empty folder is refused with InputError.
    """
    folder = user_path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a new folder for the index")
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds other files; give a new folder for the index")
    for token in index.vocabulary:
        if not isinstance(token, str) or (not token.isascii() and _HALVES.search(token)):
            raise InputError(f"token {shown(token)}: only texts of whole characters can be saved")
    try:
        with scratch_folder(folder) as scratch:
            new = scratch / "index"
            new.mkdir()
            for name in ARRAYS:
                np.save(new / f"{name}.npy", getattr(index, name), allow_pickle=False)
            text = json.dumps(index.vocabulary, ensure_ascii=True)
            (new / VOCABULARY).write_text(text, encoding="ascii")
            checksums = {name: sha256_file(new / name) for name in FILES}
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "options": options,
                "sha256": checksums,
                "digest": _digest(options, checksums),
            }
            text = json.dumps(manifest, indent=1) + "\n"
            (new / MANIFEST).write_text(text, encoding="utf-8")
            replace_folder(new, folder)
    except OSError as error:
        raise InputError(
            f"{folder}: not written ({error.strerror}); free some space and save again"
        ) from error


def load_index(folder: Path | str, mmap: bool = True) -> tuple[Index, dict[str, Any]]:
    """Read (index, options) back; `mmap` maps the arrays instead of copying them into memory.

    Raises InputError, one line, when a file is missing, damaged, edited or of another version, and
    for an index that no corpus gives. The options are an object; the retriever knows which.
    """
    folder = user_path(folder)
    advice = "index the corpus and save it again"
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{path}: missing; expected a saved BMX index")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path}: not a {FORMAT} manifest; {advice}")
    if not is_whole(manifest.get("version")) or manifest["version"] != VERSION:
        raise InputError(
            f"{path}: version {shown(manifest.get('version'))}, expected {VERSION}; {advice}"
        )
    options: Any = manifest.get("options")
    checksums: Any = manifest.get("sha256")
    if manifest.get("digest") != _digest(options, checksums):
        raise InputError(f"{path}: damaged or edited (digest differs); {advice}")
    for name, content in (("options", options), ("sha256", checksums)):
        if not isinstance(content, dict):
            raise InputError(f"{path}: {name} is {shown(content)}, expected an object; {advice}")
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: missing; {advice}")
        if sha256_file(folder / name) != checksums.get(name):
            raise InputError(f"{folder / name}: damaged or edited (checksum differs); {advice}")
    arrays = {name: _array(folder / f"{name}.npy", mmap) for name in ARRAYS}
    vocabulary = read_json(folder / VOCABULARY)
    if not isinstance(vocabulary, list):
        raise InputError(f"{folder / VOCABULARY}: expected a list of tokens; {advice}")
    index = Index(**arrays, vocabulary=vocabulary)
    check_index(index, str(folder))
    return index, options


def _array(path: Path, mmap: bool) -> np.ndarray:
    # copy-on-write: same array type as in memory, and the file can never change
    mode: Any = "c" if mmap else None
    try:
        found = np.load(path, mmap_mode=mode, allow_pickle=False)
    except Exception as error:  # headers and archives have a dozen kinds of errors
        what = printable(error).partition(". ")[0] or type(error).__name__
        raise InputError(
            f"{path}: no array ({what}); index the corpus and save it again"
        ) from error
    if not isinstance(found, np.ndarray):
        raise InputError(f"{path}: no array; index the corpus and save it again")
    return found


def _digest(options: object, checksums: object) -> str:
    text = json.dumps([options, checksums], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
