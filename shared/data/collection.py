"""The test collection: documents, queries and relevance judgements, checked when it is made."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

from ir_replications.shared.data.manifest import pinned
from ir_replications.shared.data.parts import (
    Grades,
    check_documents,
    check_queries,
    checked_grades,
    checked_ids,
)
from ir_replications.shared.data.stored import StoredDocuments
from ir_replications.shared.errors import InputError

__all__ = [
    "TITLE_MODES", "Collection", "Grades", "check_id", "fingerprint", "group_qrels",
    "make_collection",
]  # fmt: skip

TITLE_MODES: dict[str, str | None] = {"newline": "\n", "space": " ", "omit": None}
"""How `Collection.contents` joins a title to its text; None leaves the title out."""

UNJUDGED = "unjudged"
"""The split that holds all queries of a collection without judgements."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def check_id(name: str) -> str:
    """Return `name` if it is a collection id, such as "beir/scifact"; else raise InputError."""
    if not _ID.fullmatch(name) or len(name) > 200:
        raise InputError(
            f"collection id {name!r}: expected parts of letters, digits, '.', '_' and '-' joined "
            "by '/', such as beir/scifact; to read a folder, give the path of one that exists"
        )
    return name


@dataclass(frozen=True, eq=False, repr=False)
class Collection:
    """One test collection; `doc_ids` ascend, so document order is the canonical order of ties.

    Make it with `make_collection`, which checks every field. Two objects hold the same content
    when their `sha256` agree; `==` compares identity. Titles and texts of a large folder are read
    from disk one by one. `qrels` are the benchmark's: judgements of documents that the collection
    lacks are among them, because the ideal ranking counts them.
    """

    id: str
    doc_ids: list[str]
    titles: Sequence[str]
    texts: Sequence[str]
    queries: dict[str, str]
    qrels: dict[str, Grades]
    source: str = ""
    licence: str = ""
    excluded: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    split: str = ""

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {len(rows)}" for name, rows in self.qrels.items())
        return f"Collection({self.id}: {len(self.doc_ids)} documents, topics {splits})"

    @cached_property
    def sha256(self) -> str:
        """Hex fingerprint of ids, texts, queries, judgements and exclusions, in sorted order.

        It depends neither on compression nor on the order of lines, nor on id, source, licence
        and notes, nor on judgements of documents that are not here: `outside_sha256` has those.
        """
        documents = zip(self.doc_ids, self.titles, self.texts, strict=True)
        inside = {split: self.inside(split) for split in self.qrels}
        return fingerprint(documents, self.queries, inside, self.excluded)

    @cached_property
    def _documents(self) -> frozenset[str]:
        return frozenset(self.doc_ids)

    def inside(self, split: str) -> Grades:
        """The split's judgements of the collection's own documents; queries without any left out.

        What training needs, whose documents must have a text.
        """
        known = self._documents
        kept = {
            query_id: {doc_id: grade for doc_id, grade in grades.items() if doc_id in known}
            for query_id, grades in self._judged(split).items()
        }
        return {query_id: grades for query_id, grades in kept.items() if grades}

    def outside(self, split: str) -> Grades:
        """The split's judgements of documents that the collection lacks."""
        known = self._documents
        kept = {
            query_id: {doc_id: grade for doc_id, grade in grades.items() if doc_id not in known}
            for query_id, grades in self._judged(split).items()
        }
        return {query_id: grades for query_id, grades in kept.items() if grades}

    def outside_sha256(self, splits: Iterable[str]) -> str:
        """Hex fingerprint of the `outside` judgements of splits."""
        return fingerprint((), {}, {split: self.outside(split) for split in splits}, {})

    def judged_inside(self) -> Collection:
        """The same collection with the judgements of its own documents alone."""
        return replace(self, qrels={split: self.inside(split) for split in self.qrels})

    def contents(self, title: str) -> list[str]:
        """Return the text to index of each document, in `doc_ids` order.

        `title` is a key of TITLE_MODES: "newline", "space" or "omit". A document without a title
        is its text alone. Raises InputError on another mode.
        """
        return list(self.each_content(title))

    def each_content(self, title: str) -> Iterator[str]:
        """The same one after another, without a second copy of all texts in memory."""
        if title not in TITLE_MODES:
            raise InputError(f"title mode {title!r}: expected one of {', '.join(TITLE_MODES)}")
        joint = TITLE_MODES[title]
        if joint is None:
            return iter(self.texts)
        pairs = zip(self.titles, self.texts, strict=True)
        return (f"{head}{joint}{text}" if head else text for head, text in pairs)

    def topics(self, split: str) -> dict[str, str]:
        """Return the judged queries of `split`, query id -> text, in the order of `queries`."""
        judged = self._judged(split)
        return {query_id: text for query_id, text in self.queries.items() if query_id in judged}

    def _judged(self, split: str) -> Grades:
        """The judgements of a split; InputError where there is none of that name."""
        if split not in self.qrels:
            known = ", ".join(self.qrels) or "none"
            raise InputError(f"{self.id}: no split {split!r}; its splits: {known}")
        return self.qrels[split]

    @property
    def judged(self) -> bool:
        """Whether there is any judgement: a folder may be read without (`UNJUDGED`)."""
        return any(grades for by_query in self.qrels.values() for grades in by_query.values())

    @property
    def default_split(self) -> str:
        """The split to evaluate: the chosen, the manifest's, else "test", else the only one."""
        if self.split:
            return self.split
        if UNJUDGED in self.qrels and not self.judged:
            raise InputError(no_judgements(self.source or self.id))
        pin = pinned(self.id)
        for name in (pin.split if pin else None, "test"):
            if name in self.qrels:
                return name
        if len(self.qrels) == 1:
            return next(iter(self.qrels))
        raise InputError(
            f"{self.id}: no split 'test' but {', '.join(self.qrels)}; choose one with --split, or "
            "name its file qrels/test.tsv"
        )

    def with_split(self, split: str) -> Collection:
        """The same collection, of which `split` is to be evaluated. Raises InputError as `topics`.

        It is chosen for a use, so it does not change the fingerprint.
        """
        self.topics(split)
        other = copy(self)
        object.__setattr__(other, "split", split)
        return other


def no_judgements(where: object) -> str:
    """What is said of a folder without any, where some are needed."""
    return (
        f"{where}: no judgements; expected qrels/<split>.tsv, such as qrels/test.tsv, with "
        "the columns query-id, corpus-id, score"
    )


def fingerprint(
    documents: Iterable[tuple[str, str, str]],
    queries: Mapping[str, str],
    qrels: Mapping[str, Grades],
    excluded: Mapping[str, Iterable[str]],
) -> str:
    """Return the hex sha256 of sorted (id, title, text) documents and of the rest, sorted here."""
    digest = hashlib.sha256(b"collection 1\n")

    def add(*parts: str | int) -> None:
        digest.update(json.dumps(parts, separators=(",", ":")).encode("ascii") + b"\n")

    for document in documents:
        add("d", *document)
    for query_id, text in sorted(queries.items()):
        add("q", query_id, text)
    for split, by_query in sorted(qrels.items()):
        for query_id, grades in sorted(by_query.items()):
            for doc_id, grade in sorted(grades.items()):
                add("r", split, query_id, doc_id, grade)
    for query_id, doc_ids in sorted(excluded.items()):
        add("x", query_id, *sorted(doc_ids))
    return digest.hexdigest()


def group_qrels(rows: Iterable[tuple[str, str, int, int]], name: str) -> tuple[Grades, int]:
    """Gather (query id, document id, grade, line) rows by query; return them and the repeats.

    A row given twice with one grade is counted as a repeat. Raises InputError, naming `name` and
    the line, when the grades differ.
    """
    grades: Grades = {}
    repeats = 0
    for query_id, doc_id, grade, line in rows:
        of_query = grades.setdefault(query_id, {})
        if doc_id not in of_query:
            of_query[doc_id] = grade
        elif of_query[doc_id] == grade:
            repeats += 1
        else:
            raise InputError(
                f"{name}:{line}: query {query_id!r}, document {doc_id!r} has grade {grade} here "
                f"and {of_query[doc_id]} in an earlier row; keep one of the two"
            )
    return grades, repeats


def make_collection(
    id: str,
    documents: Mapping[str, tuple[str, str]],
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, Mapping[str, int]]],
    *,
    source: str = "",
    licence: str = "",
    excluded: Mapping[str, Iterable[str]] | None = None,
    notes: Iterable[str] = (),
    where: str | None = None,
    unjudged: bool = False,
) -> Collection:
    """Check and order the parts of a collection; the only way that readers make one.

    Ids, texts and grades must be as `shared.fields` says; a title may be None.

    `documents` maps document id to (title, text), `qrels` split to query id to document id to
    grade. Judgements of unknown queries and empty queries are left out, those of unknown documents
    are kept, and all are counted in `notes`. With `unjudged`, a collection without any split has
    UNJUDGED, in which every query stands without a grade. Raises InputError, beginning with
    `where` (a path; default: the id), when there is no document, no query or no judgement of
    both, or when a relevant document is also excluded.
    """
    check_id(id)
    where = where or id
    noted = list(notes)
    if not documents:
        raise InputError(f"{where}: no documents; give at least one")
    check_documents(documents, where)
    check_queries(queries, where)
    qrels = {split: checked_grades(rows, f"{where}: {split}") for split, rows in qrels.items()}
    excluded = {
        query_id: checked_ids(ids, f"{where}: documents excluded for query {query_id!r}")
        for query_id, ids in (excluded or {}).items()
    }
    kept = {query_id: text for query_id, text in queries.items() if text.strip()}
    if dropped := len(queries) - len(kept):
        first = next(query_id for query_id in queries if query_id not in kept)
        noted.append(f"{dropped} queries have an empty text (first: {first}), ignored")
    if not kept:
        raise InputError(f"{where}: no queries with a text; give at least one")
    doc_ids = sorted(documents)
    titles: Sequence[str]
    texts: Sequence[str]
    if isinstance(documents, StoredDocuments):
        titles, texts = documents.columns(doc_ids)
    else:
        titles = [documents[doc_id][0] or "" for doc_id in doc_ids]
        texts = [documents[doc_id][1] for doc_id in doc_ids]
    bare = [doc_id for doc_id, text in zip(doc_ids, texts, strict=True) if not text.strip()]
    if bare:
        noted.append(f"{len(bare)} documents have an empty text (first: {bare[0]})")
    judged = {
        split: _known(split, rows, documents, queries, kept, noted) for split, rows in qrels.items()
    }
    if not qrels and unjudged:
        judged = {UNJUDGED: {query_id: {} for query_id in kept}}
    elif not any(d in documents for rows in judged.values() for g in rows.values() for d in g):
        raise InputError(f"{where}: no judgement names a known query and document; check the ids")
    barred = {
        query_id: frozenset(ids) for query_id, ids in (excluded or {}).items() if query_id in kept
    }
    for split, by_query in judged.items():
        for query_id, grades in by_query.items():
            relevant = {d for d, grade in grades.items() if grade > 0 and d in documents}
            clash = barred.get(query_id, frozenset()) & relevant
            if clash:
                raise InputError(
                    f"{where}: document {min(clash)!r} is both excluded for query {query_id!r} "
                    f"and relevant to it in {split!r}; remove one of the two"
                )
    noted += [f"{split}: no judgement is left, ignored" for split in judged if not judged[split]]
    return Collection(
        id=id,
        doc_ids=doc_ids,
        titles=titles,
        texts=texts,
        queries=kept,
        qrels={split: rows for split, rows in judged.items() if rows},
        source=source,
        licence=licence,
        excluded={query_id: ids for query_id, ids in barred.items() if ids},
        notes=tuple(noted),
    )


def _known(
    split: str,
    rows: Mapping[str, Mapping[str, int]],
    documents: Mapping[str, object],
    queries: Mapping[str, str],
    with_text: Mapping[str, str],
    notes: list[str],
) -> Grades:
    """Keep judgements of queries with a text; count unknown queries and documents in `notes`."""
    kept = {
        query_id: dict(rows[query_id])
        for query_id in rows
        if query_id in with_text and rows[query_id]
    }
    strays = [query_id for query_id in rows if query_id not in queries for _ in rows[query_id]]
    if strays:
        notes.append(
            f"{split}: {len(strays)} qrels rows name unknown queries (first: {strays[0]}), ignored"
        )
    absent = [
        doc_id for of_query in kept.values() for doc_id in of_query if doc_id not in documents
    ]
    if absent:
        notes.append(
            f"{split}: {len(absent)} qrels rows name unknown documents (first: {absent[0]}), kept: "
            "the ideal ranking counts them"
        )
    bare = [query_id for query_id, grades in kept.items() if not grades.keys() & documents.keys()]
    if bare:
        notes.append(
            f"{split}: {len(bare)} queries have no judged document in the collection (first: "
            f"{bare[0]}), kept: they score 0"
        )
    return kept
