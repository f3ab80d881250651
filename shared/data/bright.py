"""BRIGHT: queries, gold documents and documents excluded per query; the corpus comes apart.

A folder holds `examples.jsonl[.gz]` as the benchmark publishes it (query, id, gold_ids,
excluded_ids), or queries.jsonl, qrels/ and excluded.tsv; more splits may lie in qrels/. The
corpus is corpus.jsonl[.gz], or documents/*.jsonl[.gz] or *.parquet with the columns id, content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.shared.data.beir import (
    read_documents,
    read_excluded,
    read_queries,
    read_source,
    read_splits,
)
from ir_replications.shared.data.collection import Collection, Grades, fingerprint, make_collection
from ir_replications.shared.data.lines import files_of, json_lines, only_file
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.data.rows import Placed, gather_documents, numbered
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.printable import printable
from ir_replications.shared.reading import user_path

BRIGHT_SUBSETS = (
    "biology", "earth_science", "economics", "psychology", "robotics", "stackoverflow",
    "sustainable_living", "leetcode", "pony", "aops", "theoremqa_theorems", "theoremqa_questions",
)  # fmt: skip
LICENCE = "CC BY 4.0"


@dataclass(frozen=True, eq=False)
class BrightQueries:
    """The queries of one BRIGHT subset with gold (grade 1) and excluded documents, no corpus."""

    subset: str
    queries: dict[str, str]
    qrels: dict[str, Grades]
    excluded: dict[str, frozenset[str]]
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hex fingerprint of queries, judgements and exclusions, as in `Collection.sha256`."""
        return fingerprint((), self.queries, self.qrels, self.excluded)


def load_bright_queries(subset: str, data_root: Path | str | None = None) -> BrightQueries:
    """Read the queries of a subset from `<data root>/bright/<subset>`, where no corpus need be."""
    if subset not in BRIGHT_SUBSETS:
        raise InputError(f"BRIGHT subset {subset!r}: expected one of {', '.join(BRIGHT_SUBSETS)}")
    root = find_data_root(data_root)
    if root is None or not os.path.isdir(root / "bright" / subset):
        raise InputError(
            f"bright/{subset}: no such folder in the data root {root or '(none is set)'}; "
            "set IR_REPLICATIONS_DATA to a folder that holds it"
        )
    return read_bright_queries(root / "bright" / subset)


def read_bright_queries(folder: Path | str) -> BrightQueries:
    """Read queries, judgements and exclusions of a BRIGHT folder (see the module's docstring)."""
    folder = user_path(folder)
    notes: list[str] = []
    examples = only_file(folder, "examples.jsonl")
    if examples is None:
        queries, qrels = read_queries(folder), read_splits(folder, notes)
        excluded = {key: frozenset(ids) for key, ids in read_excluded(folder).items()}
        return BrightQueries(folder.name, queries, qrels, excluded, tuple(notes))
    numbered = ((f"{examples}:{line}", record) for line, record in json_lines(examples))
    queries, gold, excluded = gather_examples(numbered, notes)
    if not queries:
        raise InputError(f"{examples}:1: the file is empty; expected one query per line")
    qrels = {"test": gold}
    if os.path.isdir(folder / "qrels"):
        splits = read_splits(folder, notes)
        if splits.get("test", gold) != gold:
            raise InputError(f"{folder}: qrels/test.tsv and gold_ids of {examples.name} differ")
        qrels |= splits
    return BrightQueries(folder.name, queries, qrels, excluded, tuple(notes))


def gather_examples(
    records: Iterable[Placed], notes: list[str]
) -> tuple[dict[str, str], Grades, dict[str, frozenset[str]]]:
    """Gather (place, example) into queries, gold documents and excluded documents.

    "N/A" in excluded_ids stands for none; a gold id listed twice counts once. Raises InputError
    with the place when a field is missing, a query comes twice, or a document is gold and
    excluded at once.
    """
    queries: dict[str, str] = {}
    gold: Grades = {}
    excluded: dict[str, frozenset[str]] = {}
    repeats = 0
    for where, record in records:
        query_id = check_id(record.get("id"), '"id"', where)
        text = check_text(record.get("query"), '"query"', where)
        if query_id in queries:
            raise InputError(f"{where}: duplicate query id {query_id!r}; keep one of the two")
        relevant = _ids(record, "gold_ids", where)
        barred = frozenset(_ids(record, "excluded_ids", where))
        if clash := barred & set(relevant):
            raise InputError(
                f"{where}: document {min(clash)!r} is both gold and excluded; remove one of the two"
            )
        queries[query_id] = text
        gold[query_id] = dict.fromkeys(relevant, 1)
        repeats += len(relevant) - len(gold[query_id])
        if barred:
            excluded[query_id] = barred
    if repeats:
        notes.append(f"{repeats} gold ids are listed twice for a query, counted once")
    return queries, gold, excluded


def _ids(record: Mapping[str, Any], key: str, where: str) -> list[str]:
    ids = record.get(key)
    if not isinstance(ids, list):
        raise InputError(f'{where}: expected "{key}" to be a list of document ids')
    what = f"an id in {key}"
    return [check_id(doc_id, what, where) for doc_id in ids if doc_id != "N/A"]


def has_corpus(folder: Path) -> bool:
    """Whether a BRIGHT folder holds its documents."""
    return only_file(folder, "corpus.jsonl") is not None or bool(_document_files(folder))


def _document_files(folder: Path) -> list[Path]:
    return files_of(folder / "documents", ".jsonl", ".jsonl.gz", ".parquet")


def read_bright(folder: Path | str, id: str) -> Collection:
    """Read a BRIGHT folder with its corpus; raise InputError that says how to get a missing one."""
    folder = user_path(folder)
    corpus = only_file(folder, "corpus.jsonl")
    files = _document_files(folder)
    if corpus is None and not files:
        raise InputError(missing_corpus(folder, id))
    parts = read_bright_queries(folder)
    notes = list(parts.notes)
    if corpus is not None:
        documents = read_documents(corpus)
    else:
        rows = (row for path in files for row in _document_rows(path))
        documents = gather_documents(rows, notes)
    return make_collection(
        id,
        documents,
        parts.queries,
        parts.qrels,
        source=read_source(folder)["source"],
        licence=LICENCE,
        excluded=parts.excluded,
        notes=notes,
        where=str(folder),
    )


def missing_corpus(folder: Path, id: str) -> str:
    """Return the line that tells a user how to get the corpus of `id`."""
    return (
        f"{folder}: the corpus of {id} is missing; run `replicate data fetch {id}`, or put its "
        "documents there as corpus.jsonl or documents/*.parquet"
    )


def _document_rows(path: Path) -> Iterator[Placed]:
    if path.suffix != ".parquet":
        yield from ((f"{path}:{line}", record) for line, record in json_lines(path))
    else:
        yield from numbered(_parquet_rows(path), str(path))


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if not os.path.isfile(path):
        raise InputError(f"{path}: is no regular file; parquet cannot be read from a pipe")
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: reading parquet needs pyarrow; pip install 'ir-replications[hub]'"
        ) from error
    try:
        for batch in parquet.ParquetFile(path).iter_batches(columns=["id", "content"]):
            yield from batch.to_pylist()
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: cannot be read as parquet ({printable(reason)})") from error
