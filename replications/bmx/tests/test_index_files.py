"""Indexes whose checksums are right and whose content is not never reach the compiled search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.bmx.retrieval import index_checks
from ir_replications.bmx.retrieval.index import ARRAYS
from ir_replications.bmx.retrieval.index_files import FILES, MANIFEST, _digest
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import sha256_file

CORPUS = [["cat", "purr", "cat"], ["dog", "bark"], ["cat", "dog"], [], ["purr", "bark", "dog"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    BMX().index(CORPUS).save(tmp_path / "index")
    return tmp_path / "index"


def seal(folder: Path, **changes: Any) -> None:
    """Write the manifest that belongs to the files as they are now."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = {name: sha256_file(folder / name) for name in FILES}
    manifest |= changes
    manifest["digest"] = _digest(manifest["options"], manifest["sha256"])
    (folder / MANIFEST).write_text(json.dumps(manifest))


def altered(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        path = folder / f"{name}.npy"
        np.save(path, change(np.load(path)))

    return alter


def put(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def claiming(shape: str) -> bytes:
    """A file whose header claims an array of this shape."""
    header = f"{{'descr': '<u4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 32


TYPE, RANGE, ORDER = "is of another type", "a document id out of range", "does not ascend"


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (altered("docs", put(0, 5)), RANGE),
        (altered("docs", put(-1, 2**32 - 1)), RANGE),
        (altered("docs", lambda a: a[:-1]), "docs and tf differ in length"),
        (altered("docs", lambda a: a[[1, 0, *range(2, len(a))]]), ORDER),
        (altered("docs", put(1, 0)), ORDER),  # a document twice in one list
        (altered("docs", lambda a: a.astype(np.int64)), TYPE),
        (altered("docs", lambda a: a.astype(np.float32)), TYPE),
        (altered("docs", lambda a: a.astype(">u4")), TYPE),
        (altered("docs", lambda a: a[None]), TYPE),
        (altered("docs", lambda a: a.astype("U3")), TYPE),
        (altered("tf", put(0, 0)), "a frequency of 0"),
        (altered("tf", put(0, 9)), "lengths that the frequencies do not give"),
        (altered("tf", lambda a: a.astype(np.int16)), TYPE),
        (altered("tf", lambda a: np.append(a, a[:1])), "docs and tf differ in length"),
        (altered("indptr", put(-1, 99)), "indptr does not span the postings"),
        (altered("indptr", put(0, 1)), "indptr does not span the postings"),
        (altered("indptr", put(1, -1)), "indptr does not ascend"),
        (altered("indptr", put(2, 2**62)), "indptr does not ascend"),
        (altered("indptr", put(1, -(2**63))), "indptr does not ascend"),
        (altered("indptr", lambda a: a[:-1]), "indptr does not fit the vocabulary"),
        (altered("indptr", lambda a: a[:0]), "indptr does not fit the vocabulary"),
        (altered("indptr", lambda a: a.astype(np.int32)), TYPE),
        (altered("entropies", put(0, np.nan)), "an impossible entropy"),
        (altered("entropies", put(0, np.inf)), "an impossible entropy"),
        (altered("entropies", put(0, -1e-9)), "an impossible entropy"),
        (altered("entropies", put(0, 1.0)), "an impossible entropy"),  # two lists: at most 2 / e
        (altered("entropies", lambda a: a[:-1]), "entropies do not fit the vocabulary"),
        (altered("lengths", put(0, 4)), "lengths that the frequencies do not give"),
        (altered("lengths", lambda a: a[:0]), "no documents"),
        (altered("lengths", lambda a: a[:-1]), RANGE),
        (altered("lengths", lambda a: np.append(a, a[:1])), "lengths that the frequencies do not"),
        (altered("lengths", lambda a: a.astype(np.float64)), TYPE),
        (text("docs.npy", b""), "docs.npy: no array"),
        (text("docs.npy", b"PK\x03\x04 no archive"), "docs.npy: no array"),
        (text("docs.npy", claiming("(1000000000000000,)")), "docs.npy: no array"),
        (text("docs.npy", claiming("(9,")), "docs.npy: no array"),
        (text("docs.npy", claiming("(-1,)")), "docs"),
        (text("docs.npy", claiming(f"({'9' * 30},)")), "docs.npy: no array"),
        (text("vocabulary.json", "{}"), "vocabulary.json: expected a list of tokens"),
        (text("vocabulary.json", '["cat"'), "vocabulary.json: malformed JSON"),
        (text("vocabulary.json", "[" * 100_000), "vocabulary.json: JSON nested too deeply"),
        (text("vocabulary.json", '["cat", "dog", "purr"]'), "indptr does not fit"),
        (text("vocabulary.json", '["cat", "purr", "dog", 4]'), "holds other than texts"),
        (text("vocabulary.json", '["cat", "purr", "dog", "dog"]'), "a token is listed twice"),
        (text("vocabulary.json", r'["cat", "purr", "dog", "\ud800"]'), "half a character"),
    ],
)
def test_what_no_corpus_gives_is_refused(
    folder: Path, alter: Callable[[Path], None], message: str, mmap: bool
) -> None:
    alter(folder)
    seal(folder)
    with pytest.raises(InputError, match=message) as error:
        BMX.load(folder, mmap=mmap)
    said = str(error.value)
    assert said.startswith(str(folder)) and said.isprintable()
    assert "save it again" in said or "vocabulary.json" in said


def test_an_array_of_objects_is_not_unpickled(folder: Path) -> None:
    np.save(folder / "docs.npy", np.array([print], dtype=object), allow_pickle=True)
    seal(folder)
    with pytest.raises(InputError, match=r"docs\.npy: no array"):
        BMX.load(folder)


GIVEN: dict[str, Any] = {
    "alpha": None, "beta": None, "form": "reference", "entropy": "sigmoid",
    "mean_entropy": None, "normalisation": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": GIVEN | {"alpha": True}}, "alpha=True"),
        ({"options": GIVEN | {"alpha": "1"}}, "alpha='1'"),
        ({"options": GIVEN | {"alpha": 10**400}}, "alpha=<number of 1329 bits>"),
        ({"options": GIVEN | {"beta": -1}}, "beta=-1"),
        ({"options": GIVEN | {"mean_entropy": [1]}}, r"mean_entropy=\[1\]"),
        ({"options": GIVEN | {"form": ["reference"]}}, r"form=\['reference'\]"),
        ({"options": GIVEN | {"normalisation": {}}}, "normalisation={}"),
        ({"options": GIVEN | {"k1": 1.2}}, "unknown options"),
        ({"options": None}, "options is None"),
        ({"options": []}, r"options is \[\]"),
        ({"sha256": None}, "sha256 is None"),
        ({"sha256": []}, r"sha256 is \[\]"),
        ({"sha256": {}}, "checksum differs"),
        ({"version": True}, "version True"),
        ({"version": 1.0}, "version 1.0"),
        ({"version": 10**400}, "version <number of 1329 bits>"),
        ({"format": None}, "not a bmx-index manifest"),
    ],
)
def test_manifests_with_their_own_digest_are_checked(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    seal(folder, **changes)
    with pytest.raises(InputError, match=message) as error:
        BMX.load(folder)
    assert str(error.value).startswith(str(folder)) and str(error.value).isprintable()


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 100_000, "{", '{"a": NaN}', "\xff", "9" * 5000]
)
def test_a_manifest_that_is_none_is_one_line(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content, encoding="latin-1")
    with pytest.raises(InputError) as error:
        BMX.load(folder)
    assert str(error.value).startswith(f"{folder / MANIFEST}:") and str(error.value).isprintable()


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("corpus", [CORPUS, [[]], [["cat"]], [[], []], [["日本", "👩"] * 700]])
def test_every_index_that_was_saved_is_loaded(
    tmp_path: Path, corpus: list[list[str]], mmap: bool
) -> None:
    float32: Any = np.float32(0.5)
    BMX(alpha=float32).index(corpus).save(tmp_path / "index")
    loaded = BMX.load(tmp_path / "index", mmap=mmap)
    assert loaded.n_docs == len(corpus) and loaded.alpha == 0.5


def test_an_index_checked_in_pieces_is_checked_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every list ends and every swap lies at, before and after an edge of a piece."""
    rng = np.random.default_rng(3)
    corpus = [[f"w{i}" for i in rng.integers(0, 5, rng.integers(3, 12))] for _ in range(7)]
    monkeypatch.setattr(index_checks, "CHUNK", 7)
    model = BMX().index(corpus)
    index_checks.check_index(model._ready, "here")
    arrays = {name: getattr(model._ready, name) for name in ARRAYS}
    docs, inside = arrays["docs"], np.ones(len(arrays["docs"]), bool)
    inside[arrays["indptr"][:-1]] = False  # places with a smaller document of their list before
    assert inside.sum() > 5
    for place in np.flatnonzero(inside):
        wrong = docs.copy()
        wrong[[place - 1, place]] = docs[[place, place - 1]]
        index = type(model._ready)(**{**arrays, "docs": wrong}, vocabulary=model._ready.vocabulary)
        with pytest.raises(InputError, match=ORDER):
            index_checks.check_index(index, "here")


def test_what_cannot_be_loaded_again_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="only texts of whole characters"):
        BMX().index([["\ud800"]]).save(tmp_path / "index")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file; give a new folder"):
        BMX().index(CORPUS).save(tmp_path / "file")
    monkeypatch.setenv("HOME", str(tmp_path))
    BMX().index(CORPUS).save("~/index")
    assert BMX.load("~/index").n_docs == 5 and (tmp_path / "index" / MANIFEST).is_file()
