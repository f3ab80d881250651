"""PyDocs, the embedded collection: the docstrings of the installed NumPy and SciPy.

One document per public object (function, ufunc, class, distribution): its dotted name as title,
the body of its docstring, without signature, summary and See Also, as text. One query per
summary. Relevant are the objects with that summary (grade 2) and those that their authors list
under See Also (grade 1).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ir_replications.shared.data.beir import read_beir, read_source, write_beir
from ir_replications.shared.data.collection import Collection, Grades, make_collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.locks import turn_at
from ir_replications.shared.scratch import usable
from ir_replications.shared.versions import version

BUILDER = 2
"""Version of the rules below; raise it when the content that they make changes."""

# Named one by one: walking the packages would find private shims, and what it finds would
# depend on what has been imported before. Only names of `__all__` are read. numpy.dtypes is left
# out: its classes are named after the C types of the platform.
_NAMES = """
numpy numpy.char numpy.ctypeslib numpy.exceptions numpy.fft numpy.lib
numpy.lib.array_utils numpy.lib.introspect numpy.lib.mixins numpy.lib.recfunctions
numpy.lib.scimath numpy.linalg numpy.ma numpy.ma.mrecords numpy.polynomial
numpy.polynomial.chebyshev numpy.polynomial.hermite numpy.polynomial.hermite_e
numpy.polynomial.laguerre numpy.polynomial.legendre numpy.polynomial.polynomial
numpy.polynomial.polyutils numpy.random numpy.rec numpy.strings numpy.testing
scipy scipy.cluster.hierarchy scipy.cluster.vq scipy.constants scipy.datasets
scipy.differentiate scipy.fft scipy.fftpack scipy.integrate scipy.interpolate scipy.io
scipy.io.arff scipy.io.matlab scipy.io.wavfile scipy.linalg scipy.linalg.blas
scipy.linalg.interpolative scipy.linalg.lapack scipy.ndimage scipy.odr scipy.optimize
scipy.optimize.elementwise scipy.signal scipy.signal.windows scipy.sparse
scipy.sparse.csgraph scipy.sparse.linalg scipy.spatial scipy.spatial.distance
scipy.spatial.transform scipy.special scipy.stats scipy.stats.contingency
scipy.stats.mstats scipy.stats.qmc scipy.stats.sampling
"""
_MODULES = _NAMES.split()
_MIN_BODY_WORDS = 20
_QUERY_WORDS = range(4, 41)

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_SIGNATURE = re.compile(r"(\w+\s*=\s*)?[\w.]+\(.*\)(\s*->.*)?", re.DOTALL)
_UNDERLINE = re.compile(r"\s*[-=~]{3,}\s*")
_ROLE = re.compile(r":\w+:")
# Lines that differ between machines or runs: the platform of a scalar type, an address, the
# output of an unseeded example, the printed form of a set.
_UNSTABLE = re.compile(
    r"Alias on this platform|\bat 0x[0-9a-fA-F]+|0x[0-9a-f]{9,}|# may vary"
    r"|Argument\(s\) ``\{|Use of argument\(s\)"
)


class Doc(NamedTuple):
    """One docstring taken apart; `see_also` holds names as its authors wrote them."""

    summary: str
    body: str
    see_also: tuple[str, ...]


def parse_docstring(text: str) -> Doc:
    """Take a numpydoc docstring apart into summary, body and the names under See Also."""
    lines = [line for line in inspect.cleandoc(text).splitlines() if not _UNSTABLE.search(line)]
    paragraphs = [p for p in re.split(r"\n\s*\n", "\n".join(lines)) if p.strip()]
    while paragraphs:
        first, _, rest = paragraphs[0].partition("\n")
        if _SIGNATURE.fullmatch(paragraphs[0].strip()):
            paragraphs.pop(0)
        elif rest and _SIGNATURE.fullmatch(first.strip()):
            paragraphs[0] = rest
        else:
            break
    if not paragraphs:
        return Doc("", "", ())
    kept: list[str] = []
    listed: list[str] = []
    target = kept
    body = "\n\n".join(paragraphs[1:]).splitlines()
    for line, following in zip(body, [*body[1:], ""], strict=False):
        if _UNDERLINE.fullmatch(following) and line.strip() and not _UNDERLINE.fullmatch(line):
            target = listed if line.strip().lower() == "see also" else kept
        target.append(line)
    return Doc(" ".join(paragraphs[0].split()), "\n".join(kept).strip(), _names(listed[2:]))


def _names(lines: list[str]) -> tuple[str, ...]:
    """Return the object names of a See Also section; indented lines are descriptions."""
    names: list[str] = []
    for line in lines:
        if line and not line[0].isspace() and not line.startswith(".."):
            head = re.split(r"\s:|:\s|:$", _ROLE.sub("", line))[0]
            names += [part.strip(" `~()") for part in head.split(",")]
    return tuple(name for name in names if re.fullmatch(r"[A-Za-z_][\w.]*", name))


def _public_objects() -> Iterator[tuple[str, object]]:
    """Yield (dotted name, object) of every public object, under each of its names."""
    for module_name in _MODULES:
        module = sys.modules.get(module_name)
        for name in sorted(set(getattr(module, "__all__", ()))):
            found = getattr(module, name, None)
            if _is_documented(found):
                yield f"{module_name}.{name}", found


def _of_package(found: object) -> bool:
    owner = getattr(found, "__module__", None) or type(found).__module__
    return str(owner).partition(".")[0] in ("numpy", "scipy")


def _is_documented(found: object) -> bool:
    """Whether the docstring is the object's own: constants show that of their type."""
    if isinstance(found, types.ModuleType) or found is None:
        return False
    own = inspect.isclass(found) or found.__doc__ != type(found).__doc__
    return own and _of_package(found)


def build_pydocs() -> Collection:
    """Build the collection in this process; `load_pydocs` calls it in a fresh one.

    Raises InputError when Python runs without docstrings (-OO).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated names warn when they are looked up
        # All first: importing SciPy rewrites the docstrings of NumPy functions that it wraps.
        for name in _MODULES:
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
        found = [(name, str(found.__doc__ or "")) for name, found in _public_objects()]
    parsed = {text: parse_docstring(text) for _, text in found}
    docs: dict[str, Doc] = {}
    canonical: dict[str, str] = {}  # body -> name of its document
    aliases: dict[str, str] = {}  # every name -> name of its document
    for name, text in sorted(set(found), key=lambda pair: (pair[0].count("."), pair[0])):
        doc = parsed[text]
        if doc.summary and len(_WORD.findall(doc.body)) >= _MIN_BODY_WORDS:
            aliases[name] = canonical.setdefault(doc.body, name)
            docs.setdefault(aliases[name], doc)
    if not docs:
        raise InputError("PyDocs: NumPy and SciPy have no docstrings; run Python without -OO")
    queries: dict[str, str] = {}
    owners: dict[str, list[str]] = {}  # summary -> the objects that share it
    for name, doc in sorted(docs.items()):
        if len(_WORD.findall(doc.summary)) in _QUERY_WORDS:
            owners.setdefault(doc.summary, []).append(name)
    qrels: dict[str, Grades] = {"train": {}, "dev": {}, "test": {}}
    for summary, names in owners.items():
        query_id = f"q-{names[0]}"
        queries[query_id] = summary
        listed = [(other, name) for name in names for other in docs[name].see_also]
        related = {_resolve(other, name, aliases) for other, name in listed}
        grades = dict.fromkeys(sorted(related - {""}), 1) | dict.fromkeys(names, 2)
        qrels[split_of(names[0])][query_id] = grades
    return make_collection(
        "pydocs",
        {name: (name, doc.body) for name, doc in docs.items()},
        queries,
        qrels,
        source=f"docstrings of numpy {version('numpy')} and scipy {version('scipy')}",
        licence="BSD-3-Clause",
    )


def split_of(name: str) -> str:
    """Return the split of an object by the hash of its name: 60% train, 20% dev, 20% test."""
    bucket = int(hashlib.sha256(name.encode("utf-8")).hexdigest()[:8], 16) % 10
    return "train" if bucket < 6 else "dev" if bucket < 8 else "test"


def _resolve(written: str, owner: str, aliases: dict[str, str]) -> str:
    """Return the document meant by a See Also name, searched outwards from `owner`; or ""."""
    scope = owner.split(".")
    written = re.sub(r"^np\.", "numpy.", written)
    for depth in range(len(scope) - 1, -1, -1):
        name = ".".join([*scope[:depth], written])
        if name in aliases:
            return aliases[name]
    return aliases.get(f"numpy.{written}", "")


def load_pydocs(cache_dir: Path | None = None) -> Collection:
    """Return PyDocs from `cache_dir`, else build it there in about two seconds.

    It is built in a fresh interpreter, because docstrings can be changed by other packages and
    by SCIPY_ARRAY_API. The cache is keyed by the versions of NumPy, SciPy and these rules, and
    built again when its content does not have the fingerprint it was written with. Where the
    cache cannot be written, or is None, a temporary folder serves.
    """
    key = f"numpy-{version('numpy')}_scipy-{version('scipy')}_rules-{BUILDER}"
    with tempfile.TemporaryDirectory() as temporary:
        for base in (cache_dir, Path(temporary)):
            if base is None:
                continue
            folder = base / "pydocs" / key
            try:
                return _read_checked(folder)
            except InputError:
                pass  # absent or damaged: built below
            try:
                return _built(folder)
            except InputError:
                if base == Path(temporary):
                    raise
    raise AssertionError("unreachable")


def _read_checked(folder: Path) -> Collection:
    """Read a folder written by `write_beir`; raise InputError unless its fingerprint agrees."""
    collection = read_beir(folder, "pydocs")
    if collection.sha256 != read_source(folder)["sha256"]:
        raise InputError(f"{folder}: the content does not match SOURCE.json; remove the folder")
    return collection


def _built(folder: Path) -> Collection:
    """Build the collection, or wait for the process that does and read what it made."""
    if not usable(folder.parent):
        raise InputError(f"PyDocs could not be built in {folder} (it cannot be written)")
    with turn_at(folder.with_name(f".{folder.name}.lock")):
        try:
            return _read_checked(folder)
        except InputError:
            _build_apart(folder)
        return _read_checked(folder)


def _build_apart(folder: Path) -> None:
    """Build the collection into `folder` in a fresh interpreter."""
    unset = ("SCIPY_ARRAY_API", "PYTHONOPTIMIZE", "PYTHONSTARTUP")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-W",
            "ignore",
            "-m",
            "ir_replications.shared.data.pydocs",
            str(folder.absolute()),
        ],
        env={**environment, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"PyDocs could not be built in {folder} ({reason})")


if __name__ == "__main__":
    write_beir(build_pydocs(), Path(sys.argv[1]))
