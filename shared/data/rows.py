"""Rows of a dataset (hub, parquet, ir_datasets) gathered into the parts of a collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.data.collection import Grades, group_qrels
from shared.errors import InputError

_DOC_ID = ("_id", "id", "docid", "doc_id")
_TEXT = ("text", "content")
_QUERY_ID = ("query-id", "query_id", "qid")
_CORPUS_ID = ("corpus-id", "corpus_id", "docid", "doc_id")
_GRADE = ("score", "relevance")


def _pick(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise InputError(f"{where}: no column {' or '.join(names)}; it has {', '.join(row)}")


def _text(row: Mapping[str, Any], where: str) -> str:
    text = _pick(row, _TEXT, where)
    if not isinstance(text, str):
        raise InputError(f"{where}: the text is {type(text).__name__}, expected a string")
    return text


def gather_documents(
    rows: Iterable[Mapping[str, Any]], name: str, notes: list[str]
) -> dict[str, tuple[str, str]]:
    """Gather rows into document id -> (title, text).

    A document given twice with one text is kept once and counted in `notes`. Raises InputError,
    with `name` and the row from 1, when the texts differ or a column is missing.
    """
    documents: dict[str, tuple[str, str]] = {}
    repeats = 0
    for number, row in enumerate(rows, start=1):
        where = f"{name} row {number}"
        key = str(_pick(row, _DOC_ID, where))
        value = (str(row.get("title") or ""), _text(row, where))
        if key not in documents:
            documents[key] = value
        elif documents[key] == value:
            repeats += 1
        else:
            raise InputError(f"{where}: document {key!r} is there before with another text")
    if repeats:
        notes.append(f"{repeats} documents are there twice with one text, kept once")
    return documents


def gather_queries(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, str]:
    """Gather rows into query id -> text; raise InputError on an id given twice."""
    queries: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{name} row {number}"
        key = str(_pick(row, _DOC_ID, where))
        if key in queries:
            raise InputError(f"{where}: query {key!r} is there twice")
        queries[key] = _text(row, where)
    return queries


def gather_qrels(rows: Iterable[Mapping[str, Any]], name: str, notes: list[str]) -> Grades:
    """Gather rows into query id -> document id -> grade; grades must be whole numbers."""

    def parsed() -> Iterator[tuple[str, str, int, int]]:
        for number, row in enumerate(rows, start=1):
            where = f"{name} row {number}"
            grade = _pick(row, _GRADE, where)
            if not isinstance(grade, int | float) or grade != int(grade):
                raise InputError(f"{where}: grade {grade!r} is not a whole number")
            query_id, doc_id = _pick(row, _QUERY_ID, where), _pick(row, _CORPUS_ID, where)
            yield str(query_id), str(doc_id), int(grade), number

    grades, repeats = group_qrels(parsed(), name)
    if repeats:
        notes.append(f"{name}: {repeats} qrels rows are repeated, counted once")
    return grades
