"""Rows of a dataset (hub, parquet, ir_datasets) gathered into the parts of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ir_replications.shared.data.collection import Grades, group_qrels
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_grade, check_id, check_text, check_title

Placed = tuple[str, Mapping[str, Any]]
"""A row with the place that an error names: a file's line, a table's row."""

_DOC_ID = ("_id", "id", "docid", "doc_id")
_TEXT = ("text", "content")
_QUERY_ID = ("query-id", "query_id", "qid")
_CORPUS_ID = ("corpus-id", "corpus_id", "docid", "doc_id")
_GRADE = ("score", "relevance")


def _pick(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> Any:
    there = [name for name in names if name in row]
    for name in there:
        if row[name] is not None:
            return row[name]
    if there:
        raise InputError(f"{where}: {' and '.join(there)} is null; give a value")
    shown = ", ".join(repr(name[:30]) for name in list(row)[:8])
    raise InputError(f"{where}: no column {' or '.join(names)}; it has {shown or 'none'}")


def _id(row: Mapping[str, Any], names: tuple[str, ...], what: str, where: str) -> str:
    return check_id(_pick(row, names, where), what, where, numbers=True)


def numbered(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[Placed]:
    """Yield each row with its place: `name` and its number from 1."""
    return ((f"{name} row {number}", row) for number, row in enumerate(rows, start=1))


def gather_documents(rows: Iterable[Placed], notes: list[str]) -> dict[str, tuple[str, str]]:
    """Gather rows into document id -> (title, text).

    A document given twice with one text is kept once and counted in `notes`. Raises InputError,
    with the place, when the texts differ, a column is missing or holds something else.
    """
    documents: dict[str, tuple[str, str]] = {}
    repeats = 0
    for where, row in rows:
        key = _id(row, _DOC_ID, "document id", where)
        title = check_title(row.get("title"), where)
        value = (title, check_text(_pick(row, _TEXT, where), "the text", where))
        if key not in documents:
            documents[key] = value
        elif documents[key] == value:
            repeats += 1
        else:
            raise InputError(f"{where}: document {key!r} is there before with another text")
    if repeats:
        notes.append(f"{repeats} documents are there twice with one text, kept once")
    return documents


def gather_queries(rows: Iterable[Placed]) -> dict[str, str]:
    """Gather rows into query id -> text; raise InputError on an id given twice."""
    queries: dict[str, str] = {}
    for where, row in rows:
        key = _id(row, _DOC_ID, "query id", where)
        if key in queries:
            raise InputError(f"{where}: query {key!r} is there twice")
        queries[key] = check_text(_pick(row, _TEXT, where), "the text", where)
    return queries


def gather_qrels(rows: Iterable[Mapping[str, Any]], name: str, notes: list[str]) -> Grades:
    """Gather rows into query id -> document id -> grade; grades must be whole numbers."""

    def parsed() -> Iterator[tuple[str, str, int, int]]:
        for number, row in enumerate(rows, start=1):
            where = f"{name} row {number}"
            query_id = _id(row, _QUERY_ID, "query id", where)
            doc_id = _id(row, _CORPUS_ID, "document id", where)
            yield query_id, doc_id, check_grade(_pick(row, _GRADE, where), where), number

    grades, repeats = group_qrels(parsed(), name)
    if repeats:
        notes.append(f"{name}: {repeats} qrels rows are repeated, counted once")
    return grades
