"""Read questions and answers for training: Stack Exchange records, or a collection's judgements."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.shared.data import Collection, load_collection
from ir_replications.shared.data.lines import files_of, json_lines, only_file
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.reading import is_finite, user_path
from ir_replications.tongsearch_qr.training.data import (
    Row,
    count_unusable,
    drop_unusable,
    positives_of,
    question_of,
)


@dataclass(frozen=True)
class TrainingSet:
    """Usable rows of one source, the sha256 of what was read and counted notes on what was not."""

    rows: list[Row]
    sha256: str
    notes: tuple[str, ...] = ()


def load_rows(
    source: str | Path,
    *,
    data_root: Path | None = None,
    download: bool = True,
    positives: str = "best",
    split: str = "train",
) -> tuple[list[Row], str]:
    """Return the usable rows of a source and the sha256 of what was read; see `read_rows`."""
    found = read_rows(
        source, data_root=data_root, download=download, positives=positives, split=split
    )
    return found.rows, found.sha256


def read_rows(
    source: str | Path,
    *,
    data_root: Path | None = None,
    download: bool = True,
    positives: str = "best",
    split: str = "train",
) -> TrainingSet:
    """Read a training source.

    `source` is a file or folder of Stack Exchange records (JSON lines with site, id, title, body
    and answers of text, score and accepted), a BEIR folder with judgements of `split`, or the
    name of either below the data root, "pydocs" among them. `positives`: see `positives_of`; of
    a collection's judgements "best" and "accepted" are the relevant documents of the query's
    highest grade, "all" every relevant one. The text of a document is its title, a newline and
    its body; of PyDocs the body alone, since its title is the name that the body documents.

    Questions without an answer and those that the paper's filters drop are counted in the notes.
    Raises InputError for a source that is not there, malformed records, and no usable row.
    """
    place = _stack_exchange_place(source, data_root)
    notes: tuple[str, ...] = ()
    if place is not None:
        rows, sha256 = _read_stack_exchange(place, positives)
        where = str(place)
    else:
        collection = load_collection(source, data_root=data_root, download=download)
        rows, sha256 = _rows_of(collection, split, positives), collection.sha256
        where, notes = collection.id, collection.notes
    counted = [f"{count} rows left out: {why}" for why, count in count_unusable(rows).items()]
    try:
        return TrainingSet(drop_unusable(rows), sha256, (*notes, *counted))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _stack_exchange_place(source: str | Path, data_root: Path | None) -> Path | None:
    """Return the file or folder of records that `source` names; None when it is a collection."""
    if source == "pydocs":
        return None
    place = user_path(source)
    if not os.path.exists(place):
        root = find_data_root(data_root)
        if root is None or place.is_absolute() or ".." in place.parts:
            return None
        place = root / place
    if os.path.exists(place) and not os.path.isdir(place):
        return place
    if only_file(place, "corpus.jsonl") or only_file(place, "examples.jsonl"):
        return None
    return place if _record_files(place) else None


def _record_files(folder: Path) -> list[Path]:
    return files_of(folder, ".jsonl", ".jsonl.gz")


def _read_stack_exchange(place: Path, which: str) -> tuple[list[Row], str]:
    """Read every record; the sha256 is of the records, whatever their order and compression."""
    files = _record_files(place) if os.path.isdir(place) else [place]
    rows: list[Row] = []
    digests: list[str] = []
    seen: dict[str, str] = {}
    for where, record in _records(files):
        row_id = f"{record['site']}-{record['id']}"
        if row_id in seen:
            raise InputError(
                f"{where}: question {record['id']!r} of {record['site']!r} was given before, at "
                f"{seen[row_id]}; keep one of the two"
            )
        seen[row_id] = where
        try:
            canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
        except RecursionError as error:
            raise InputError(f"{where}: JSON nested too deeply") from error
        digests.append(hashlib.sha256(canonical.encode("ascii")).hexdigest())
        question, answers = question_of(record), positives_of(record, which)
        rows.append(Row(row_id, question, answers, record["site"]))
    if not rows:
        raise InputError(f"{place}: no records; expected one question per line")
    return rows, hashlib.sha256("\n".join(sorted(digests)).encode("ascii")).hexdigest()


def _records(files: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in files:
        for number, record in json_lines(path):
            where = f"{path}:{number}"
            for key in ("site", "id"):
                record[key] = check_id(record.get(key), f'"{key}"', where, numbers=key == "id")
            for key in ("title", "body"):
                if record.get(key) is not None:
                    check_text(record[key], f'"{key}"', where)
            answers = record.get("answers")
            if answers is not None and not (
                isinstance(answers, list) and all(map(_is_answer, answers))
            ):
                raise InputError(
                    f'{where}: expected "answers", a list of objects with a "text" and perhaps '
                    'a number "score" and true or false for "accepted"'
                )
            yield where, record


def _is_answer(answer: object) -> bool:
    """Whether an answer has a text; score and accepted may be absent or null, and nothing else."""
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        return False
    score, accepted = answer.get("score"), answer.get("accepted")
    return (score is None or is_finite(score)) and (accepted is None or type(accepted) is bool)


def _rows_of(collection: Collection, split: str, which: str) -> list[Row]:
    """Rows of a collection's judgements; queries in the collection's order."""
    positives_of({}, which)  # checks the word
    title = "omit" if collection.id == "pydocs" else "newline"
    texts = dict(zip(collection.doc_ids, collection.contents(title), strict=True))
    rows, judged = [], collection.inside(split)
    for query_id, text in collection.topics(split).items():
        if not (grades := judged.get(query_id)):
            continue
        least = 1 if which == "all" else max(1, *grades.values())
        chosen = sorted(doc_id for doc_id, grade in grades.items() if grade >= least)
        rows.append(Row(query_id, text, tuple(texts[d] for d in chosen), collection.id))
    return rows
