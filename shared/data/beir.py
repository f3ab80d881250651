"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/<split>.tsv, each plain or .gz."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from shared.data.collection import Collection, Grades, group_qrels, make_collection
from shared.data.lines import json_lines, numbered_lines, only_file
from shared.errors import InputError
from shared.files import atomic_write

_HEADER_GRADES = {"score", "relevance", "relevancy", "rel", "grade", "label"}


def read_beir(folder: Path, id: str, *, source: str = "", licence: str = "") -> Collection:
    """Read a BEIR folder as the collection `id`.

    `SOURCE.json`, if present, gives source and licence where the arguments do not, and
    `excluded.tsv` (query id, document id) the documents to leave out per query. Raises InputError
    with file, line and remedy for a missing file and for any line that is not as expected.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder that holds corpus.jsonl")
    corpus = only_file(folder, "corpus.jsonl")
    if corpus is None:
        raise InputError(f"{folder}: no corpus.jsonl or corpus.jsonl.gz; put the documents there")
    notes: list[str] = []
    queries = read_queries(folder)
    qrels = read_splits(folder, notes)
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
    )


def _field(record: dict[str, Any], key: str, where: str, default: str | None = None) -> str:
    """Return the string `record[key]`; raise InputError when it is absent or no string."""
    value = record.get(key, default)
    if isinstance(value, str):
        return value
    if key not in record:
        raise InputError(f'{where}: no "{key}"; expected {{"_id": ..., "text": ...}}')
    raise InputError(f'{where}: "{key}" is {type(value).__name__}, expected a string in quotes')


def _records(path: Path, what: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield (id, record, "path:line") of a corpus or query file; ids are present and unique."""
    seen: dict[str, int] = {}
    for line, record in json_lines(path):
        where = f"{path}:{line}"
        key = _field(record, "_id", where)
        if not key:
            raise InputError(f'{where}: "_id" is empty; give the {what} an id')
        if key in seen:
            raise InputError(
                f"{where}: duplicate {what} id {key!r}, first on line {seen[key]}; "
                "keep one of the two"
            )
        seen[key] = line
        yield key, record, where
    if not seen:
        raise InputError(f"{path}:1: the file is empty; expected one {what} per line")


def read_documents(path: Path) -> dict[str, tuple[str, str]]:
    """Read corpus.jsonl: document id -> (title, text); the title is optional."""
    return {
        key: (_field(record, "title", where, ""), _field(record, "text", where))
        for key, record, where in _records(path, "document")
    }


def read_queries(folder: Path) -> dict[str, str]:
    """Read queries.jsonl[.gz] of `folder`: query id -> text, in file order."""
    path = only_file(folder, "queries.jsonl")
    if path is None:
        raise InputError(f"{folder}: no queries.jsonl or queries.jsonl.gz; put the queries there")
    return {key: _field(record, "text", where) for key, record, where in _records(path, "query")}


def read_splits(folder: Path, notes: list[str]) -> dict[str, Grades]:
    """Read qrels/*.tsv[.gz] of `folder`: split (the file's name) -> judgements."""
    splits: dict[str, Grades] = {}
    for path in sorted((folder / "qrels").glob("*.tsv*")):
        split = path.name.removesuffix(".gz").removesuffix(".tsv")
        if not path.name.endswith((".tsv", ".tsv.gz")) or not split:
            continue
        if split in splits:
            raise InputError(f"{path}: split {split!r} is there twice; remove the .tsv or the .gz")
        splits[split] = read_qrels(path, notes)
    if not splits:
        raise InputError(
            f"{folder}: no judgements; expected qrels/<split>.tsv, such as qrels/test.tsv, with "
            "the columns query-id, corpus-id, score"
        )
    return splits


def read_qrels(path: Path, notes: list[str] | None = None) -> Grades:
    """Read one qrels file, plain or .gz: BEIR (3 columns, tabs) or TREC (4 columns, any space).

    A BEIR header line is skipped. Every judgement is kept, those of unknown documents too. Equal
    rows given twice are counted in `notes`. Raises InputError with the line otherwise.
    """
    grades, repeats = group_qrels(_qrels_rows(path), str(path))
    if not grades:
        raise InputError(f"{path}:1: no judgements; expected query-id, corpus-id, score per line")
    if repeats and notes is not None:
        notes.append(f"{path.name}: {repeats} qrels rows are repeated, counted once")
    return grades


MAX_GRADE = 1000  # trec_eval keeps a table as long as the highest grade


def _qrels_rows(path: Path) -> Iterator[tuple[str, str, int, int]]:
    columns = 0
    for line, text in numbered_lines(path):
        parts = text.split("\t")
        if columns == 4 or (not columns and len(parts) != 3):
            parts = text.split()
        if not columns:
            columns = 4 if len(parts) == 4 else 3
        if len(parts) != columns or not all(parts):
            raise InputError(
                f"{path}:{line}: found {len(parts)} columns, expected query-id, corpus-id and "
                "score with tabs between, or the four columns of TREC qrels"
            )
        grade = parts[-1].strip()
        try:
            value = int(grade)
        except ValueError as error:
            if line == 1 and grade.lower() in _HEADER_GRADES:
                continue
            raise InputError(
                f"{path}:{line}: grade {grade!r} is not a whole number; write one such as 1"
            ) from error
        if abs(value) > MAX_GRADE:
            raise InputError(
                f"{path}:{line}: grade {grade}, expected one of -{MAX_GRADE} to {MAX_GRADE}"
            )
        yield parts[0], parts[-2], value, line


def read_excluded(folder: Path) -> dict[str, set[str]]:
    """Read excluded.tsv[.gz] of `folder`, if there: query id -> ids never to be returned."""
    excluded: dict[str, set[str]] = {}
    path = only_file(folder, "excluded.tsv")
    for line, text in numbered_lines(path) if path else ():
        parts = text.split("\t")
        if len(parts) != 2 or not all(parts):
            raise InputError(f"{path}:{line}: expected query id and document id with a tab between")
        excluded.setdefault(parts[0], set()).add(parts[1])
    return excluded


def read_source(folder: Path) -> dict[str, str]:
    """Return source, licence and sha256 of SOURCE.json, "" where it does not say."""
    path = folder / "SOURCE.json"
    if not path.exists():
        return {"source": str(folder), "licence": "", "sha256": ""}
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); mend or remove it") from error
    inner = about.get("source", {}) if isinstance(about, dict) else {}
    if isinstance(inner, str):
        inner = {"repo": inner, "licence": about.get("licence", "")}
    inner = inner if isinstance(inner, dict) else {}
    origin = inner.get("repo") or inner.get("derived") or str(folder)
    commit = inner.get("commit")
    if isinstance(commit, str):
        origin = f"{origin}@{commit}"
    written = about.get("sha256", "") if isinstance(about, dict) else ""
    return {
        "source": str(origin),
        "licence": str(inner.get("licence", "")),
        "sha256": str(written),
    }


def write_beir(collection: Collection, folder: Path) -> Path:
    """Write `collection` as a BEIR folder that appears whole or not at all; return `folder`.

    A folder already there is replaced. Raises InputError when the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    try:
        _write_files(collection, temporary)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        # Another process may have finished the same folder first: its content is as good.
        if not (folder / "SOURCE.json").exists():
            raise InputError(f"{folder}: not written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_files(collection: Collection, folder: Path) -> None:
    def rows(handle: IO, records: Iterator[dict[str, Any]]) -> None:
        handle.writelines(json.dumps(record) + "\n" for record in records)

    documents = zip(collection.doc_ids, collection.titles, collection.texts, strict=True)
    with atomic_write(folder / "corpus.jsonl") as handle:
        rows(handle, ({"_id": d, "title": title, "text": text} for d, title, text in documents))
    with atomic_write(folder / "queries.jsonl") as handle:
        rows(handle, ({"_id": q, "text": text} for q, text in collection.queries.items()))
    for split, by_query in collection.qrels.items():
        with atomic_write(folder / "qrels" / f"{split}.tsv") as handle:
            handle.write("query-id\tcorpus-id\tscore\n")
            for query_id, grades in by_query.items():
                handle.writelines(f"{query_id}\t{doc_id}\t{g}\n" for doc_id, g in grades.items())
    if collection.excluded:
        with atomic_write(folder / "excluded.tsv") as handle:
            for query_id, doc_ids in collection.excluded.items():
                handle.writelines(f"{query_id}\t{doc_id}\n" for doc_id in sorted(doc_ids))
    about = {"repo": collection.source, "licence": collection.licence}
    with atomic_write(folder / "SOURCE.json") as handle:
        json.dump({"id": collection.id, "sha256": collection.sha256, "source": about}, handle)
