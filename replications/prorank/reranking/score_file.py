"""Scores of a reranker in a JSON Lines file, query by query, so that a killed run resumes.

The first line says what the scores depend on (weights, prompt, lengths, collection) with a
digest; scores made by anything else are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id
from ir_replications.shared.locks import turn_at
from ir_replications.shared.reading import (
    is_cut_line,
    is_finite,
    open_input,
    parse_json,
    user_path,
)
from ir_replications.shared.training.folder import digest_of

Produce = Callable[[str, Sequence[str]], tuple[Sequence[float], Mapping[str, float]]]
"""(query id, document ids) -> a score for each of them, and further numbers about the query."""

_START = b'{"digest": "'  # of the first line

Done = Callable[[str, bool], None]
"""Told of each query whose scores are there: its id, and whether an earlier run had made them."""


class ScoreFile:
    """Scores by query and document, and further numbers by query.

    Raises InputError, beginning with the path, when the file is of another request or damaged
    anywhere but in its last line, which a kill cuts off and which is made again.
    """

    def __init__(self, path: Path | str, request: Mapping[str, Any]) -> None:
        self.path = user_path(path)
        self.request = json.loads(json.dumps(dict(request)))
        self.scores: dict[str, dict[str, float]] = {}
        self.numbers: dict[str, dict[str, float]] = {}
        self.made = 0  # scores that were not in the file
        self.seconds = 0.0  # that all scores of the file took

    def fill(
        self, wanted: Mapping[str, Sequence[str]], produce: Produce, done: Done | None = None
    ) -> None:
        """Make the scores that the file lacks, a line for each query; others are kept.

        Another process that fills the same file is waited for. The numbers of a query are those
        of its first line. Raises InputError when the file cannot be written; what it has is kept.
        """
        from time import perf_counter

        with self._locked():
            end = self._read()
            with self._opened("r+b" if end else "wb") as handle:
                handle.seek(end)
                handle.truncate()
                if not end:
                    first = {"digest": digest_of(self.request), "request": self.request}
                    self._append(handle, first)
                for qid, docids in wanted.items():
                    known = self.scores.get(qid, {})
                    missing = [docid for docid in docids if docid not in known]
                    if not missing:
                        if done:
                            done(qid, True)
                        continue
                    started = perf_counter()
                    found, numbers = produce(qid, missing)
                    line = {
                        "qid": qid,
                        "scores": dict(zip(missing, map(float, found), strict=True)),
                        "numbers": dict(numbers),
                        "seconds": round(perf_counter() - started, 4),
                    }
                    self._take(line, str(self.path))
                    self._append(handle, line)
                    self.made += len(missing)
                    if done:
                        done(qid, False)

    def _locked(self) -> AbstractContextManager[None]:
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise InputError(f"{self.path}: is no regular file; name one to keep the scores in")
        return turn_at(self.path.with_suffix(".lock"))

    def _opened(self, mode: str) -> IO[bytes]:
        try:
            return open(self.path, mode)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: could not be written ({error.strerror or error}); free some space "
            "and run the same command again, it goes on"
        )

    def _append(self, handle: IO[bytes], line: Mapping[str, Any]) -> None:
        try:
            handle.write(json.dumps(line).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _read(self) -> int:
        """Take in the file as another process may have left it; returns where to write on."""
        self.scores, self.numbers, self.seconds = {}, {}, 0.0
        if not os.path.exists(self.path):
            return 0
        end = 0
        for number, raw in enumerate(_whole_lines(self.path), start=1):
            where = f"{self.path}:{number}"
            try:
                line = parse_json(raw.decode("utf-8"), where)
                if number > 1:
                    self._take(line, where)
                elif line["digest"] != digest_of(line["request"]):
                    raise InputError("its digest is of another request")
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                raise InputError(
                    f"{where}: cannot be read ({_reason(error, where)}); delete this "
                    "line and those after it, and they are made again"
                ) from error
            if number == 1 and line["digest"] != digest_of(self.request):
                raise InputError(
                    f"{self.path}: holds scores of another model, prompt or collection; "
                    "delete it or name another file"
                )
            end += len(raw)
        if not end and not is_cut_line(_head(self.path), _START):
            raise InputError(
                f"{self.path}: is no file of scores, nor the start of one; name another file"
            )
        return end

    def _take(self, line: Mapping[str, Any], where: str) -> None:
        """Keep what a line says; InputError for what is no finite number and a repeated score."""
        qid, scores, numbers = line["qid"], line["scores"], line["numbers"]
        check_id(qid, '"qid"', where)
        known = self.scores.setdefault(qid, {})
        for docid, score in scores.items():
            if docid in known:
                raise InputError(f"{where}: document {docid!r} of query {qid!r} has a score before")
            known[docid] = _finite(score, f"{where}: the score of document {docid!r}")
        found = {key: _finite(number, f"{where}: {key!r}") for key, number in numbers.items()}
        self.numbers.setdefault(qid, found)
        seconds = _finite(line["seconds"], f"{where}: seconds")
        if seconds < 0:
            raise InputError(f"{where}: seconds {seconds:g} is below 0")
        self.seconds += seconds


def _finite(value: object, what: str) -> float:
    if not isinstance(value, int | float) or not is_finite(value):
        raise InputError(f"{what} is no finite number")
    return float(value)


def _reason(error: Exception, where: str) -> str:
    if isinstance(error, InputError):
        return str(error).removeprefix(f"{where}: ").partition(";")[0]
    return type(error).__name__


def _head(path: Path) -> bytes:
    with open_input(path) as handle:
        return handle.read(len(_START))


def _whole_lines(path: Path) -> Iterator[bytes]:
    with open_input(path) as handle:
        for raw in handle:
            if raw.endswith(b"\n"):
                yield raw
