"""The parts of a collection as Python objects, checked by the rules that files are read by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_grade, check_id, check_text, check_title

Grades = dict[str, dict[str, int]]
"""Judgements of one split: query id -> document id -> grade."""


def check_documents(documents: Mapping[str, tuple[str, str]], where: str) -> None:
    """Raise InputError for a bad id and for what is no (title, text); a title may be None."""
    for doc_id, document in documents.items():
        _check_key(doc_id, "document id", where)
        try:
            if not isinstance(document, tuple | list) or len(document) != 2:
                raise InputError("expected title and text")
            check_title(document[0])
            check_text(document[1], "the text")
        except InputError as error:
            raise InputError(f"{where}: document {doc_id!r}: {error}") from error


def check_queries(queries: Mapping[str, str], where: str) -> None:
    """Raise InputError for a bad id and for what is no text."""
    for query_id, text in queries.items():
        _check_key(query_id, "query id", where)
        check_text(text, f"the text of query {query_id!r}", where)


def checked_grades(rows: Mapping[str, Mapping[str, Any]], where: str) -> Grades:
    """The judgements of one split with int grades; InputError for bad ids and grades."""
    grades: Grades = {}
    for query_id, of_query in rows.items():
        _check_key(query_id, "query id", where)
        grades[query_id] = {}
        for doc_id, grade in of_query.items():
            _check_key(doc_id, "document id", where)
            grades[query_id][doc_id] = check_grade(grade, where)
    return grades


def checked_ids(ids: Iterable[str], where: str) -> frozenset[str]:
    """Document ids as a set; InputError for a lone text and for bad ids."""
    if isinstance(ids, str):
        raise InputError(f"{where}: expected a list of document ids, found a lone text")
    found = frozenset(ids)
    for doc_id in found:
        _check_key(doc_id, "document id", where)
    return found


def _check_key(key: object, what: str, where: str) -> None:
    if check_id(key, what, where) != key:  # a number would not be found by its text
        raise InputError(f"{where}: {what} {key!r} is {type(key).__name__}, expected a string")
