"""The reader of saved BMX indexes."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from ir_replications.bmx import BMX
from tests.campaign import independent as own
from tests.campaign.cache_readers import altered
from tests.campaign.campaign import Reader

CORPUS = [["wing", "lift", "wing"], ["boundary", "layer"], [], ["shock", "wave", "lift"], ["heat"]]
ASKED = [["wing", "lift"], ["shock"], ["nothing"]]


def make_index(folder: Path) -> None:
    BMX().index(CORPUS).save(folder / "i")


def seal_index(folder: Path, rng: Random) -> None:
    """Alter one array, the vocabulary or the options, and make the checksums right."""
    place = folder / "i"
    manifest = json.loads((place / "index.json").read_text())
    kind = rng.random()
    if kind < 0.6:
        path = rng.choice(sorted(place.glob("[!.]*.npy")))
        np.save(path, altered(np.load(path), rng))
    elif kind < 0.8:
        path = place / "vocabulary.json"
        words = json.loads(path.read_text())
        odd = [words[:-1], [*words, "x"], words[:1] * len(words), [1] * len(words), {}, None, [[]]]
        path.write_text(json.dumps(rng.choice(odd)))
    else:
        name = rng.choice(sorted(manifest["options"]))
        odd = [None, True, -1, 1e308, "x", [], {}, 10**400, 0.5, float("nan")]
        manifest["options"][name] = rng.choice(odd)
    sums = manifest["sha256"]
    for name in sums:
        sums[name] = hashlib.sha256((place / name).read_bytes()).hexdigest()
    if rng.random() < 0.05:
        manifest["sha256"] = rng.choice([None, [], {}, "x"])
    told = json.dumps([manifest["options"], manifest["sha256"]], sort_keys=True)
    manifest["digest"] = hashlib.sha256(told.encode()).hexdigest()
    (place / "index.json").write_text(json.dumps(manifest))


def read_index(folder: Path) -> Any:
    found = BMX.load(folder / "i")
    return found.retrieve(ASKED, k=3), [found.get_scores(query) for query in ASKED]


def confirm_index(folder: Path, found: Any) -> None:
    place = folder / "i"
    manifest = own.json_of(own.text_of(place / "index.json"))
    arrays = {p.stem: np.load(p, allow_pickle=False) for p in place.glob("[!.]*.npy")}
    words = own.json_of(own.text_of(place / "vocabulary.json"))
    indptr, docs, tf = arrays["indptr"], arrays["docs"], arrays["tf"]
    n = len(arrays["lengths"])
    assert all(type(word) is str for word in words) and len(set(words)) == len(words), "vocabulary"
    assert n > 0 and all(array.ndim == 1 for array in arrays.values()), "shapes"
    assert indptr.dtype == np.int64 and docs.dtype == np.uint32, "types"
    assert tf.dtype in (np.uint16, np.uint32) and arrays["lengths"].dtype == tf.dtype, "types"
    assert len(indptr) == len(words) + 1 == len(arrays["entropies"]) + 1, "lengths"
    assert indptr[0] == 0 and indptr[-1] == len(docs) == len(tf), "postings"
    assert (np.diff(indptr) >= 0).all() and (docs < n).all() and (tf > 0).all(), "ranges"
    for start, end in pairwise(indptr):
        assert (np.diff(docs[start:end].astype(np.int64)) > 0).all(), "order"
    entropies = arrays["entropies"]
    assert entropies.dtype == np.float64 and np.isfinite(entropies).all(), "entropies"
    assert (entropies >= 0).all() and (entropies <= 1 + 1e-9).all(), "entropies out of range"
    assert (np.bincount(docs, tf, n) <= arrays["lengths"]).all(), "lengths below the postings"
    for name in ("alpha", "beta", "mean_entropy"):
        value = manifest["options"][name]
        assert value is None or own.finite(value, name, least=0) >= 0
    (best, values), scores = found
    assert all(np.isfinite(row).all() and len(row) == n for row in scores), "scores"
    for row, ids, top in zip(scores, best, values, strict=True):
        order = sorted(range(n), key=lambda i: (-row[i], i))[:3]
        wanted = [i for i in order if row[i] > 0]
        assert list(ids[: len(wanted)]) == wanted, "another order"
        assert np.allclose(top[: len(wanted)], row[wanted]), "other scores"


READERS = (
    Reader(
        "BMX index",
        make_index,
        {"i/*.json": "json", "i/*.npy": "bytes"},
        read_index,
        confirm_index,
        ("load_index", "BMX.load"),
        seal=seal_index,
        apart=True,
        share=2,
    ),
)
