"""Files of relevance judgements, of BEIR and of TREC."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ir_replications.shared.data.collection import Grades, group_qrels
from ir_replications.shared.data.lines import blank_separated, numbered_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import check_grade, check_id
from ir_replications.shared.reading import user_path

_HEADER_GRADES = {"score", "relevance", "relevancy", "rel", "grade", "label"}


def read_qrels(path: Path | str, notes: list[str] | None = None) -> Grades:
    """Read one qrels file, plain or .gz: BEIR (3 columns, tabs) or TREC (4 columns, any space).

    Columns between tabs may be quoted as csv writers do, BEIR's among them. A BEIR header line is
    skipped, and in TREC files lines starting "#", as in runs. Every judgement is kept, those of
    unknown documents too. Equal rows given twice are counted in `notes`. Raises InputError with
    the line otherwise.
    """
    path = user_path(path)
    grades, repeats = group_qrels(_qrels_rows(path), str(path))
    if not grades:
        raise InputError(f"{path}:1: no judgements; expected query-id, corpus-id, score per line")
    if repeats and notes is not None:
        notes.append(f"{path.name}: {repeats} qrels rows are repeated, counted once")
    return grades


def _qrels_rows(path: Path) -> Iterator[tuple[str, str, int, int]]:
    columns, name = 0, str(path)
    for line, text in numbered_lines(path):
        where = f"{name}:{line}"
        tabs = text.count("\t")
        if columns != 3 and tabs != 2 and text.startswith("#"):
            continue
        of_beir = columns == 3 or (not columns and tabs == 2)
        parts = tabbed(text, where) if of_beir else blank_separated(text)
        first, columns = not columns, columns or (4 if len(parts) == 4 else 3)
        if len(parts) != columns or not all(parts):
            raise InputError(
                f"{where}: found {len(parts)} columns, expected query-id, corpus-id and "
                "score with tabs between, or the four columns of TREC qrels"
            )
        if first and parts[-1].strip().lower() in _HEADER_GRADES:
            continue
        query_id = check_id(parts[0], "query id", where)
        doc_id = check_id(parts[-2], "document id", where)
        yield query_id, doc_id, check_grade(parts[-1], where), line


def tabbed(text: str, where: str) -> list[str]:
    """The columns between tabs, without the quotes that csv writers put around some."""
    if '"' not in text:
        return text.split("\t")
    try:
        return next(csv.reader([text], delimiter="\t", strict=True))
    except csv.Error as error:
        raise InputError(
            f"{where}: quotes that do not match; quote the whole column and double the quotes in "
            "it, as csv writers do"
        ) from error
