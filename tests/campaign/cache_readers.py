"""Readers of caches: scores, texts, tokens."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.checks.tiny_training import toy_set
from ir_replications.bert_distill_losses.training.teacher_cache import teacher_scores
from ir_replications.prorank.reranking.score_file import ScoreFile
from ir_replications.shared.analysis.tokens import Tokens, read_tokens, write_tokens
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.generation import CachedGenerator, Sampling
from tests.campaign import independent as own
from tests.campaign.campaign import Reader

REQUEST = {"model_sha256": "a" * 64, "steps": 4, "seed": 0}


def _scored(_: str, ids: Any) -> Any:
    return [float(len(i)) for i in ids], {"spread": 0.5}


def make_scores(folder: Path) -> None:
    ScoreFile(folder / "s.jsonl", REQUEST).fill(
        {"q1": ["d1", "dd2"], "q2": ["d1"], "q3": ["ddd3"]}, _scored
    )


def read_scores(folder: Path) -> Any:
    file = ScoreFile(folder / "s.jsonl", REQUEST)
    before = (folder / "s.jsonl").read_bytes() if (folder / "s.jsonl").is_file() else b""
    file.fill({}, _scored)
    return file.scores, before


def confirm_scores(folder: Path, found: Any) -> None:
    scores, before = found
    whole = before[: before.rfind(b"\n") + 1].decode("utf-8")  # a kill cuts off the last line
    rows = [own.json_of(line) for line in whole.split("\n") if line.strip()]
    if not rows:
        assert scores == {}, "scores from nowhere"
        return
    first, *rest = rows
    digest = hashlib.sha256(json.dumps(REQUEST, sort_keys=True).encode()).hexdigest()
    assert first == {"digest": digest, "request": REQUEST}, "another request"
    pairs = []
    for row in rest:
        own.plain(row["qid"], "query")
        own.finite(row["seconds"], "seconds", least=0)
        assert all(own.finite(v, k) is not None for k, v in row["numbers"].items())
        pairs += [((row["qid"], d), own.finite(v, d)) for d, v in row["scores"].items()]
    expected: dict[str, dict[str, float]] = {row["qid"]: {} for row in rest}
    for (qid, docid), score in own.once(pairs, "score").items():
        expected[qid][docid] = score
    assert scores == expected, "other scores"


def _generator(path: Path) -> CachedGenerator:
    def produce(model: Any, tokenizer: Any, prompts: Any, rows: Any, *_: Any) -> Any:
        return ((row, f"made {row.prompt}") for row in rows)

    return CachedGenerator(path, lambda: (None, None), "c" * 64, Sampling(), produce=produce)


def make_texts(folder: Path) -> None:
    _generator(folder / "t.jsonl").generate(["a", "b", "c"])


def read_texts(folder: Path) -> Any:
    path = folder / "t.jsonl"
    before = path.read_bytes() if path.is_file() else b""
    return _generator(path).generate(["a", "b", "c"]), before


def confirm_texts(folder: Path, found: Any) -> None:
    texts, before = found
    whole = before[: before.rfind(b"\n") + 1].decode("utf-8")
    rows = [own.json_of(line) for line in whole.split("\n") if line.strip()]
    pairs = [(own.text(row["key"], "key"), own.text(row["text"], "text")) for row in rows]
    kept = set(own.once(pairs, "text").values())
    assert all(t in kept or t == f"made {n}" for n, (t,) in enumerate(texts)), "other texts"


def _teacher(query: np.ndarray, document: np.ndarray) -> np.ndarray:
    return (10 * query + document).astype(np.float32)


def read_teacher(folder: Path) -> Any:
    return teacher_scores(
        _teacher, toy_set(), teacher_sha256="t", settings={"max_length": 9}, path=folder / "t.npz"
    )


def confirm_teacher(folder: Path, found: np.ndarray) -> None:
    groups = toy_set()
    assert found.shape == groups.groups.shape and found.dtype == np.float32, "another shape"
    assert np.isfinite(found).all(), "not finite"
    with np.load(folder / "t.npz", allow_pickle=False) as stored:
        scores = stored["scores"]
        assert stored["done"].shape == () and stored["done"].dtype.kind in "iu", "done"
    assert set(found.ravel().tolist()) <= set(scores.tolist()), "other scores"


def alter_npz(folder: Path, rng: Random) -> None:
    """Alter one array of an npz file and write it whole."""
    path = next(folder.glob("*.npz"))
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = rng.choice(sorted(arrays))
    arrays[name] = altered(arrays[name], rng)
    if rng.random() < 0.1:
        del arrays[name]
    np.savez(path, **arrays)


def altered(array: np.ndarray, rng: Random) -> np.ndarray:
    """An array with one value, its length, type or shape changed."""
    kind = rng.randrange(8)
    flat = array.reshape(-1)
    if kind == 0 and array.dtype.kind in "fiu" and flat.size:
        changed = flat.copy()
        info = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
        odd = [info.max, info.min, 0, 1]
        odd += [np.nan, np.inf] if array.dtype.kind == "f" else []
        changed[rng.randrange(flat.size)] = rng.choice(odd)
        return changed.reshape(array.shape)
    if kind == 1:
        return flat[: rng.randrange(flat.size + 1)]
    if kind == 2:
        return np.concatenate([flat, flat[: rng.randrange(1, 5)]])
    if kind == 3:
        return array.astype(rng.choice(["float16", "float64", "int8", "bool", "complex64", "U4"]))
    if kind == 4:
        return flat[::-1].copy()
    if kind == 5:
        return array[None]
    if kind == 6:
        return np.zeros_like(array)
    return np.array(rng.choice([0, "x", 1.5, True, -1]))


KEY = {"analyzer": "toy", "data": "d" * 64}
TEXTS = [["wing", "lift", "wing"], [], ["shock", "wave", "lift"], ["heat"]]


def read_tokens_or_none(folder: Path) -> Tokens:
    """The tokens; where they are made again instead, that counts as refused."""
    found = read_tokens(folder / "t.npz", KEY)
    if found is None:
        raise InputError(f"{folder}: made again")
    return found


def confirm_tokens(folder: Path, found: Tokens) -> None:
    with np.load(folder / "t.npz", allow_pickle=False) as stored:
        ids, offsets, vocab = stored["ids"], stored["offsets"], stored["vocab"]
        meta = own.json_of(stored["meta"].tobytes().decode())
    words = own.json_of(vocab.tobytes().decode())
    assert meta["key"] == KEY, "another key"
    assert all(type(word) is str for word in words) and len(set(words)) == len(words), "vocabulary"
    assert ids.dtype == np.int32 and offsets.dtype == np.int64, "types"
    assert offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) >= 0).all(), "offsets"
    assert ((ids >= 0) & (ids < len(words))).all(), "ids out of range"
    lists = [[words[i] for i in ids[a:b]] for a, b in pairwise(offsets)]
    assert list(found) == lists, "other tokens"


def seal_tokens(folder: Path, rng: Random) -> None:
    path = folder / "t.npz"
    found = Tokens.from_lists(TEXTS)
    ids, offsets, vocab = found.ids, found.offsets, found.vocab
    kind = rng.randrange(3)
    if kind == 0:
        ids = altered(ids, rng)
    elif kind == 1:
        offsets = altered(offsets, rng)
    else:
        odd: list[Any] = [vocab[:-1], vocab * 2, [1, 2], {"a": 1}, "text", [None], []]
        vocab = rng.choice(odd)
    write_tokens(path, Tokens(ids, offsets, vocab), KEY)


READERS = (
    Reader(
        "score file",
        make_scores,
        {"s.jsonl": "lines"},
        read_scores,
        confirm_scores,
        ("ScoreFile.fill",),
        share=1.5,
    ),
    Reader(
        "generated texts",
        make_texts,
        {"t.jsonl": "lines"},
        read_texts,
        confirm_texts,
        ("CachedGenerator",),
    ),
    Reader(
        "teacher cache",
        read_teacher,
        {"*.npz": "bytes"},
        read_teacher,
        confirm_teacher,
        ("teacher_scores",),
        seal=alter_npz,
        apart=True,
    ),
    Reader(
        "tokens cache",
        lambda f: write_tokens(f / "t.npz", Tokens.from_lists(TEXTS), KEY),
        {"*.npz": "bytes"},
        read_tokens_or_none,
        confirm_tokens,
        ("read_tokens",),
        seal=seal_tokens,
        apart=True,
    ),
)
