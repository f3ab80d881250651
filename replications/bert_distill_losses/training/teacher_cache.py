"""A teacher's scores of a training set's documents: made once, kept in the cache, resumable.

Each (query, document) couple is scored once, however many groups it is in. A file is one npz
without pickle: the request as JSON, the scores, and how many of them are done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.training.training_set import TrainingSet
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, find_cache_dir
from ir_replications.shared.locks import turn_at
from ir_replications.shared.reading import parse_json
from ir_replications.shared.training.folder import digest_of
from ir_replications.shared.training.followed import followed

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(query indices (k,), document indices (k,)) of a set, int64 -> float32 scores (k,)."""

CHUNK = 4096  # couples between two writes: about a minute of a small encoder on one core
_NAMES = {"teacher_sha256": "teacher", "couples_sha256": "training set", "settings": "settings"}


def teacher_scores(
    score: Score,
    set: TrainingSet,
    *,
    teacher_sha256: str,
    settings: Mapping[str, Any],
    folder: Path | None = None,
    path: Path | None = None,
    rows: np.ndarray | None = None,
    chunk: int = CHUNK,
) -> np.ndarray:
    """The teacher's scores of all groups, float32 (n, m), from the cache as far as it has them.

    `settings` (JSON-like) are what the scores depend on besides weights and texts: lengths, head,
    precision. The file is `folder`'s (by default the cache's) and is named by teacher, couples and
    settings; sets that differ in labels, columns or order share it. `path` names one file instead.
    `rows` (n,) bool: groups to score, NaN elsewhere. Writes happen every `chunk` couples, and a
    killed run goes on from there. Raises InputError for scores of a wrong shape or not finite,
    for a damaged file and for one of another teacher, set or settings, saying which.
    """
    if rows is not None and not rows.any():
        return np.full(set.groups.shape, np.nan, np.float32)
    asked = set if rows is None else set.subset(rows)
    request = {
        "teacher_sha256": teacher_sha256,
        "couples_sha256": asked.couples_sha256,
        "settings": json.loads(json.dumps(dict(settings))),
    }
    if path is None:
        home = folder or find_cache_dir() / "scores"
        path = home / f"teacher-{digest_of(request)[:16]}.npz"
    path = Path(path)
    couples = asked.couples
    with turn_at(path.with_suffix(".lock")):  # of two processes the second waits
        found, done = _read(path, request, len(couples))
        with followed(len(couples), "pairs scored by the teacher", done=done) as steps:
            for start in range(done, len(couples), chunk):
                part = couples[start : start + chunk]
                found[start : start + len(part)] = _checked(score, part)
                _write(path, request, found, start + len(part))
                steps.advance(len(part))
    keys = couples[:, 0] * len(set.documents) + couples[:, 1]
    by_group = found[np.searchsorted(keys, asked.couple_keys)]
    if rows is None:
        return by_group
    scores = np.full(set.groups.shape, np.nan, np.float32)
    scores[rows] = by_group
    return scores


def cross_fitted(own: np.ndarray, scores_by_half: Sequence[np.ndarray]) -> np.ndarray:
    """Scores by the teacher that was not trained on the group's half, float32 (n, m).

    `own` (n,) is each group's half, 0 or 1. `scores_by_half[h]` (n, m) are those of the teacher
    trained on half h; they are read only where `own` is the other one, and may be NaN elsewhere.
    Raises InputError for other shapes and for scores needed that are not finite.
    """
    shapes = [scores.shape for scores in scores_by_half]
    if [shape[:1] for shape in shapes] != [own.shape] * 2 or len(set(shapes)) != 1:
        raise InputError(
            f"cross-fitted teacher: scores {shapes}: expected two of ({len(own)}, documents)"
        )
    first, second = scores_by_half
    scores = np.where(own[:, None] == 0, second, first).astype(np.float32)
    if not np.isfinite(scores).all():
        group = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise InputError(
            f"cross-fitted teacher: no finite score of group {group} by the teacher of half "
            f"{1 - own[group]}"
        )
    return scores


def _checked(score: Score, couples: np.ndarray) -> np.ndarray:
    values = np.asarray(score(couples[:, 0], couples[:, 1]), np.float32)
    if values.shape != (len(couples),):
        raise InputError(f"teacher: scores {values.shape} of {len(couples)} couples: expected (k,)")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        query, document = couples[wrong[0]]
        raise InputError(
            f"teacher: score {values[wrong[0]]} of query {query}, document {document} and of "
            f"{wrong.size - 1} other couples: expected finite numbers; check the model"
        )
    return values


def _read(path: Path, request: Mapping[str, Any], size: int) -> tuple[np.ndarray, int]:
    """The scores (size,) and how many of them are done; none where there is no file."""
    if not path.exists():
        return np.zeros(size, np.float32), 0
    try:
        with np.load(path, allow_pickle=False) as stored:
            made = parse_json(str(stored["request"]), str(path))
            scores, number = stored["scores"], stored["done"]
    except Exception as error:  # NumPy and zipfile raise many kinds
        raise InputError(
            f"{path}: cannot be read ({type(error).__name__}); delete it, and it is made again"
        ) from error
    if not isinstance(made, dict):
        raise InputError(f"{path}: its request is damaged; delete it, and it is made again")
    if other := difference(made, request):
        raise InputError(f"{path}: holds scores of another {other}; delete it or name another file")
    done = int(number) if number.shape == () and number.dtype.kind in "iu" else -1
    whole = scores.shape == (size,) and scores.dtype == np.float32 and 0 <= done <= size
    if not whole or not np.isfinite(scores[:done]).all():
        raise InputError(f"{path}: its scores are damaged; delete it, and they are made again")
    return scores, done


def difference(made: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """In words, what two requests differ in: "teacher", "settings (head)"; "" for nothing."""
    parts = []
    for key, name in _NAMES.items():
        old, new = made.get(key), asked.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            differ = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
            name = f"{name} ({', '.join(differ)})"
        parts.append(name)
    return " and ".join(parts)


def _write(path: Path, request: Mapping[str, Any], scores: np.ndarray, done: int) -> None:
    with atomic_write(path, "wb") as handle:
        np.savez(handle, request=json.dumps(request), scores=scores, done=done)
