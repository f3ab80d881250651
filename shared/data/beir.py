"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/<split>.tsv, each plain or .gz."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ir_replications.shared.data.collection import (
    Collection,
    Grades,
    make_collection,
    no_judgements,
)
from ir_replications.shared.data.lines import files_of, json_lines, numbered_lines, only_file
from ir_replications.shared.data.qrels import read_qrels, tabbed
from ir_replications.shared.data.stored import StoredDocuments, is_large
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_id, check_text, check_title
from ir_replications.shared.files import atomic_write, replace_folder, scratch_folder
from ir_replications.shared.reading import read_json, user_path


def read_beir(
    folder: Path | str, id: str, *, source: str = "", licence: str = "", unjudged: bool = False
) -> Collection:
    """Read a BEIR folder as the collection `id`; with `unjudged`, one without qrels too.

    `SOURCE.json`, if present, gives source and licence where the arguments do not, and
    `excluded.tsv` (query id, document id) the documents to leave out per query. Raises InputError
    with file, line and remedy for a missing file and for any line that is not as expected.
    """
    folder = user_path(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; give a folder that holds corpus.jsonl")
    corpus = only_file(folder, "corpus.jsonl")
    if corpus is None:
        raise InputError(f"{folder}: no corpus.jsonl or corpus.jsonl.gz; put the documents there")
    notes: list[str] = []
    queries = read_queries(folder)
    qrels = {} if unjudged and not has_splits(folder) else read_splits(folder, notes)
    documents = read_documents(corpus)
    about = read_source(folder)
    return make_collection(
        id,
        documents,
        queries,
        qrels,
        source=source or about["source"],
        licence=licence or about["licence"],
        excluded=read_excluded(folder),
        notes=notes,
        where=str(folder),
        unjudged=unjudged,
    )


def _records(path: Path, what: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield (id, record, "path:line") of a corpus or query file; ids are present and unique."""
    seen: dict[str, int] = {}
    for line, record in json_lines(path):
        where = f"{path}:{line}"
        for name in ("_id", "text"):
            if name not in record:
                raise InputError(f'{where}: no "{name}"; expected {{"_id": ..., "text": ...}}')
        key = check_id(record["_id"], '"_id"', where)
        if key in seen:
            raise InputError(
                f"{where}: duplicate {what} id {key!r}, first on line {seen[key]}; "
                "keep one of the two"
            )
        seen[key] = line
        yield key, record, where
    if not seen:
        raise InputError(f"{path}:1: the file is empty; expected one {what} per line")


def read_documents(path: Path) -> Mapping[str, tuple[str, str]]:
    """Read corpus.jsonl: document id -> (title, text); the title may be absent or null.

    The texts of a large file stay on disk (`stored.LARGE`).
    """
    documents = (
        (
            key,
            (
                check_title(record.get("title"), where),
                check_text(record["text"], '"text"', where),
            ),
        )
        for key, record, where in _records(path, "document")
    )
    return StoredDocuments(documents) if is_large(path) else dict(documents)


def read_queries(folder: Path) -> dict[str, str]:
    """Read queries.jsonl[.gz] of `folder`: query id -> text, in file order."""
    path = only_file(folder, "queries.jsonl")
    if path is None:
        raise InputError(f"{folder}: no queries.jsonl or queries.jsonl.gz; put the queries there")
    return {
        key: check_text(record["text"], '"text"', where)
        for key, record, where in _records(path, "query")
    }


def read_splits(folder: Path, notes: list[str]) -> dict[str, Grades]:
    """Read qrels/*.tsv[.gz] of `folder`: split (the file's name) -> judgements."""
    splits: dict[str, Grades] = {}
    for path in files_of(folder / "qrels", ".tsv", ".tsv.gz"):
        split = path.name.removesuffix(".gz").removesuffix(".tsv")
        if split in splits:
            raise InputError(f"{path}: split {split!r} is there twice; remove the .tsv or the .gz")
        splits[split] = read_qrels(path, notes)
    if not splits:
        raise InputError(no_judgements(folder))
    return splits


def has_splits(folder: Path) -> bool:
    """Whether a folder holds any file of judgements."""
    return bool(list(files_of(folder / "qrels", ".tsv", ".tsv.gz")))


def read_excluded(folder: Path) -> dict[str, set[str]]:
    """Read excluded.tsv[.gz] of `folder`, if there: query id -> ids never to be returned."""
    excluded: dict[str, set[str]] = {}
    path = only_file(folder, "excluded.tsv")
    for line, text in numbered_lines(path) if path else ():
        where = f"{path}:{line}"
        parts = tabbed(text, where)
        if len(parts) != 2:
            raise InputError(f"{where}: expected query id and document id with a tab between")
        query_id = check_id(parts[0], "query id", where)
        excluded.setdefault(query_id, set()).add(check_id(parts[1], "document id", where))
    return excluded


def read_source(folder: Path) -> dict[str, str]:
    """Return source, licence and sha256 of SOURCE.json, "" where it does not say."""
    path = folder / "SOURCE.json"
    if not os.path.exists(path):
        return {"source": str(folder), "licence": "", "sha256": ""}
    about = read_json(path)
    if not isinstance(about, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(about).__name__}")
    inner = about.get("source")
    if isinstance(inner, str):
        inner = {"repo": inner, "licence": about.get("licence")}
    inner = inner if isinstance(inner, dict) else {}
    repo, derived = _described(inner, "repo", path), _described(inner, "derived", path)
    origin = repo or derived or str(folder)
    if isinstance(commit := inner.get("commit"), str):
        origin = f"{origin}@{commit}"
    return {
        "source": origin,
        "licence": _described(inner, "licence", path),
        "sha256": _described(about, "sha256", path),
    }


def _described(about: Mapping[str, Any], key: str, path: Path) -> str:
    value = about.get(key)
    return "" if value is None else check_text(value, f'"{key}"', str(path))


def write_beir(collection: Collection, folder: Path | str) -> Path:
    """Write `collection` as a BEIR folder that appears whole or not at all; return `folder`.

    `read_beir` gives the same collection back, with "" as source where that is the folder. A
    folder already there is replaced. Raises InputError when the disk refuses, and for a split
    whose name cannot be that of a file.
    """
    folder = user_path(folder)
    for split in collection.qrels:
        check_id(split, "split", str(folder))
        if "/" in split or split.startswith(".") or len(split.encode()) > 200:
            raise InputError(f"{folder}: split {split[:60]!r} is no file name; give it another")
    try:
        with scratch_folder(folder) as scratch:
            made = scratch / "collection"
            made.mkdir()
            _write_files(collection, made)
            replace_folder(made, folder)
    except OSError as error:
        if not _holds(folder, collection):  # else another process has finished first
            raise InputError(f"{folder}: not written ({error.strerror or error})") from error
    return folder


def _holds(folder: Path, collection: Collection) -> bool:
    """Whether `write_beir` has written this collection there."""
    try:
        return bool(read_json(folder / "SOURCE.json")["sha256"] == collection.sha256)
    except (InputError, KeyError, TypeError):
        return False


def _write_files(collection: Collection, folder: Path) -> None:
    def rows(handle: IO, records: Iterator[dict[str, Any]]) -> None:
        handle.writelines(json.dumps(record) + "\n" for record in records)

    documents = zip(collection.doc_ids, collection.titles, collection.texts, strict=True)
    with atomic_write(folder / "corpus.jsonl") as handle:
        rows(handle, ({"_id": d, "title": title, "text": text} for d, title, text in documents))
    with atomic_write(folder / "queries.jsonl") as handle:
        rows(handle, ({"_id": q, "text": text} for q, text in collection.queries.items()))
    for split, by_query in collection.qrels.items():
        judged = ((q, d, grade) for q, grades in by_query.items() for d, grade in grades.items())
        with atomic_write(folder / "qrels" / f"{split}.tsv") as handle:
            _tabs(handle, [("query-id", "corpus-id", "score")])
            _tabs(handle, judged)
    if collection.excluded:
        with atomic_write(folder / "excluded.tsv") as handle:
            _tabs(handle, ((q, d) for q, ids in collection.excluded.items() for d in sorted(ids)))
    about = {"repo": collection.source, "licence": collection.licence}
    with atomic_write(folder / "SOURCE.json") as handle:
        json.dump({"id": collection.id, "sha256": collection.sha256, "source": about}, handle)


def _tabs(handle: IO, rows: Iterable[tuple[str | int, ...]]) -> None:
    """Write rows as BEIR does: tabs, and quotes where a column needs them."""
    csv.writer(handle, delimiter="\t", lineterminator="\n").writerows(rows)
