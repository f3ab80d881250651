"""TREC run files in one canonical order, with an optional ir_metadata header.

A run maps each query id to its results, best first: `{qid: [(docid, score), ...]}`. Canonical
order is score descending, then document id ascending. trec_eval keeps scores in float32 and
breaks ties by document id *descending*, other tools ascending; files written here have scores
that strictly decrease in float32, so that every tool reads the order that was meant.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.shared.data.lines import blank_separated, numbered_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id
from ir_replications.shared.files import atomic_write
from ir_replications.shared.reading import finite_number, user_path, whole_number

Run = dict[str, list[tuple[str, float]]]

NO_RESULT = "no query has a result"
# The six components of ir_metadata v0.1 (Breuer et al., SIGIR 2022), in the order of its letters.
METADATA_KEYS = ("platform", "research goal", "implementation", "method", "actor", "data")
_COLUMNS = "six columns: query-id Q0 document-id rank score tag"
# What stands between the second column and the last three, whatever white space it holds.
_SPACED = re.compile(r"(\S+)\s+(\S+)\s+(\S.*?)\s+(\S+)\s+(\S+)\s+(\S+)")
_TINY = np.finfo(np.float32).tiny


def canonical(
    run: Mapping[str, Mapping[str, float] | Iterable[tuple[str, float]]],
) -> Run:
    """Sort every query's results by (score descending, document id ascending).

    Accepts `{qid: {docid: score}}` or `{qid: [(docid, score), ...]}`; the order of the queries is
    kept. Raises InputError for a score that is no finite number, document ids that cannot be
    compared and a repeated document.
    """
    return {qid: _sorted_results(qid, results) for qid, results in run.items()}


def with_trec_eval_ties(run: Run) -> Run:
    """The run as trec_eval orders it: ties by document id descending, scores turned into -rank.

    Published numbers that were computed with trec_eval on tied scores need this order to agree.
    """
    ordered = {}
    for qid, results in run.items():
        by_id = sorted(results, key=lambda result: result[0], reverse=True)
        by_id.sort(key=lambda result: np.float32(result[1]), reverse=True)
        ordered[qid] = [(docid, float(-rank)) for rank, (docid, _) in enumerate(by_id)]
    return ordered


def write_run(
    path: Path | str,
    run: Run,
    tag: str,
    metadata: Mapping[str, Any] | None = None,
    depth: int | None = None,
) -> None:
    """Write `run` as a six-column TREC file, gzip if `path` ends in ".gz"; atomic, same bytes.

    Ranks count from 1. A score that float32 cannot tell from the one above it is lowered by one
    float32 step, so the order survives every reader. `depth` keeps the best results per query.
    `metadata` becomes comment lines in front, with keys from METADATA_KEYS. Queries without results
    have no line, and evaluation counts them as 0. Raises InputError for ids or a tag that a
    reader would split or skip, for a run without any result, and for unknown metadata keys.
    """
    path = user_path(path)
    if not any(run.values()):
        raise InputError(f"{path}: the run has no results to write; check the retrieval step")
    with atomic_write(path, "wb") as handle:
        if path.name.endswith(".gz"):
            # No time stamp and no name in the header: the same run gives the same bytes.
            with gzip.GzipFile(
                filename="", mode="wb", compresslevel=6, fileobj=handle, mtime=0
            ) as zipped:
                zipped.writelines(_blocks(canonical(run), tag, metadata, depth))
        else:
            handle.writelines(_blocks(canonical(run), tag, metadata, depth))


def why_not_writable(run: Run) -> str | None:
    """Why `write_run` would refuse this run for its ids or for want of results; None: it would not.

    To be asked where a run file is welcome but not needed.
    """
    if not any(run.values()):
        return NO_RESULT
    try:
        for qid, results in run.items():
            _check_query_id(qid)
            for docid, _ in results:
                _check_column("document id", docid)
    except InputError as error:
        return str(error)
    return None


def read_run(path: Path | str, *, spaced_ids: bool = False) -> Run:
    """Read a TREC run file, plain or gzip, into canonical order.

    Blank lines and lines starting "#" are skipped.
    The rank column must be an integer but does not order the results: trec_eval and the tools
    built on it rank by score alone, and files exist whose ranks disagree with their scores, so
    reading ranks here would score another list than everybody else's. Ties are ordered by
    document id ascending. With `spaced_ids` a document id may hold blanks, as in published runs
    of BRIGHT. Raises InputError with `path:line` for a line that is not six columns, a score that
    is not a finite number, a rank that is not an integer (both in ASCII digits), an id that
    `check_id` refuses, a document listed twice for a query, text that is not UTF-8; and with
    `path` for an empty, damaged or absent file.
    """
    path = user_path(path)
    results: dict[str, dict[str, float]] = {}
    for number, line in numbered_lines(path):
        if line.startswith("#"):
            continue
        columns = blank_separated(line)
        if spaced_ids and len(columns) > 6 and (spaced := _SPACED.fullmatch(line.strip())):
            columns = list(spaced.groups())
        if len(columns) != 6:
            raise InputError(f"{path}:{number}: {len(columns)} columns found, expected {_COLUMNS}")
        qid, _, docid, rank, score_text, _ = columns
        where = f"{path}:{number}"
        score = finite_number(score_text)
        if score is None:
            raise InputError(f"{where}: score {score_text[:60]!r} is not a finite number")
        if whole_number(rank) is None:
            raise InputError(f"{where}: rank {rank[:60]!r} is not an integer")
        if qid not in results:
            results[check_id(qid, "query id", where)] = {}
        check_id(docid, "document id", where)
        documents = results[qid]
        if docid in documents:
            raise InputError(
                f"{path}:{number}: document {docid!r} is listed twice for query {qid!r}; "
                "keep one line"
            )
        documents[docid] = score
    if not results:
        raise InputError(f"{path}: no results in the file, expected lines of {_COLUMNS}")
    return canonical(results)


def _sorted_results(
    qid: str, results: Mapping[str, float] | Iterable[tuple[str, float]]
) -> list[tuple[str, float]]:
    pairs = list(results.items() if isinstance(results, Mapping) else results)
    if len({docid for docid, _ in pairs}) != len(pairs):
        raise InputError(f"query {qid!r}: a document occurs twice in its results; keep one")
    for docid, score in pairs:
        try:
            finite = math.isfinite(score)
        except (TypeError, OverflowError) as error:
            raise InputError(
                f"query {qid!r}, document {docid!r}: the score is no number of float64"
            ) from error
        if not finite:
            raise InputError(f"query {qid!r}, document {docid!r}: score {score} is not finite")
    try:
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    except TypeError as error:
        raise InputError(f"query {qid!r}: document ids must all be texts") from error


def _blocks(
    run: Run, tag: str, metadata: Mapping[str, Any] | None, depth: int | None
) -> Iterator[bytes]:
    """The file's bytes: the header, then all lines of one query at a time."""
    if depth is not None and depth < 1:
        raise InputError(f"depth {depth}: expected a positive number of results per query")
    _check_column("tag", tag)
    if metadata is not None:
        yield "".join(_metadata_lines(metadata)).encode()
    for qid, results in run.items():
        _check_query_id(qid)
        kept = results[:depth]
        scores = _strictly_decreasing([score for _, score in kept], qid)
        lines = []
        for rank, ((docid, _), score) in enumerate(zip(kept, scores, strict=True), start=1):
            _check_column("document id", docid)
            lines.append(f"{qid} Q0 {docid} {rank} {score!s} {tag}\n")
        yield "".join(lines).encode()


def _check_query_id(qid: str) -> None:
    _check_column("query id", qid)
    if qid.startswith("#"):
        raise InputError(f"query id {qid!r}: a line starting with '#' is read as a comment")


def _check_column(kind: str, value: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{kind} is {type(value).__name__}, expected a string")
    if value.split() != [value]:
        raise InputError(f"{kind} {value!r}: a run file cannot hold empty ids or white space")
    check_id(value, kind)


def _strictly_decreasing(scores: list[float], qid: str) -> np.ndarray:
    """Scores as float32 (n,), each lowered just enough to be below the one before it."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.asarray(scores, dtype=np.float32)
    # Subnormal numbers are read as 0 by programs compiled with fast-math.
    rounded[np.abs(rounded) < _TINY] = 0.0
    if len(rounded) and not np.all(rounded[1:] < rounded[:-1]):
        for i in range(1, len(rounded)):
            if rounded[i] >= rounded[i - 1]:
                rounded[i] = _step_below(rounded[i - 1])
    if not np.all(np.isfinite(rounded)):
        raise InputError(f"query {qid!r}: a score is beyond the range of float32; rescale scores")
    return rounded


def _step_below(value: np.float32) -> np.float32:
    """The largest normal float32 (or 0) below `value`."""
    below = np.nextafter(value, np.float32(-np.inf))
    if 0 < abs(below) < _TINY:
        return np.float32(0.0) if value > 0 else np.float32(-_TINY)
    return below


def _metadata_lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(metadata) - set(METADATA_KEYS))
    if unknown:
        raise InputError(f"run metadata {unknown[0]!r}: expected one of {', '.join(METADATA_KEYS)}")
    yield "# ir_metadata.start\n"
    for key in METADATA_KEYS:
        if key in metadata:
            yield from (f"# {line}\n" for line in _yaml(key, metadata[key], ""))
    yield "# ir_metadata.end\n"


def _yaml(key: str, value: Any, indent: str) -> Iterator[str]:
    """Lines of YAML for one key; scalars and lists in JSON notation, which YAML contains."""
    if not key.isprintable():  # a line break would end the comment
        raise InputError(f"run metadata {key!r}: expected a name without control characters")
    if isinstance(value, Mapping) and value:
        yield f"{indent}{key}:"
        for name, item in value.items():
            yield from _yaml(str(name), item, indent + "  ")
    else:
        yield f"{indent}{key}: {json.dumps(value)}"
