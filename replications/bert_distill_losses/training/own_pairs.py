"""A user's own labelled pairs as what a recipe trains on: no collection, no first stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ir_replications.shared.data import Collection, make_collection
from ir_replications.shared.data.lines import json_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import is_whole, user_path
from ir_replications.shared.retrieval.runs import Run

LabelledPair = tuple[str, str, int]
"""(query, document, label): relevant (1) or not (0)."""

NAME, SPLIT = "pairs", "train"


def read_pairs(path: Path | str) -> list[LabelledPair]:
    """The pairs of a JSON Lines file, plain or .gz: {"query", "document", "label"} a line.

    Raises InputError with file and line for anything else.
    """
    path = user_path(path)
    pairs = []
    for line, record in json_lines(path):
        where = f"{path}:{line}: "
        query, document, label = (record.get(key) for key in ("query", "document", "label"))
        pairs.append(_checked(query, document, label, where))
    if not pairs:
        raise InputError(f"{path}:1: the file is empty; expected one pair per line")
    return pairs


def source_of_pairs(pairs: Iterable[Sequence[object]]) -> tuple[Collection, str, Run]:
    """The pairs as a collection of their distinct texts, its split, and each query's documents.

    Raises InputError for what is no pair, a pair with both labels, and where no query has
    documents of both labels: what is irrelevant has to be among the pairs.
    """
    labels: dict[str, dict[str, int]] = {}
    for number, pair in enumerate(pairs, start=1):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 3:
            raise InputError(f"pair {number}: expected (query, document, label)")
        query, document, label = _checked(pair[0], pair[1], pair[2], f"pair {number}: ")
        if labels.setdefault(query, {}).setdefault(document, label) != label:
            raise InputError(
                f"pair {number}: query {query!r:.60} has this document with both labels; "
                "keep one of the two"
            )
    if not any(set(of.values()) == {0, 1} for of in labels.values()):
        raise InputError(
            f"{len(labels)} queries: none has documents of both labels; give each documents with "
            "label 1 and with label 0, such as unjudged ones that a first stage ranks high"
        )
    texts = dict.fromkeys(text for of in labels.values() for text in of)
    ids = {text: f"d{i:08}" for i, text in enumerate(texts)}
    topics = {f"q{i:08}": query for i, query in enumerate(labels)}
    relevant = {
        qid: {ids[text]: 1 for text, label in labels[query].items() if label}
        for qid, query in topics.items()
    }
    run: Run = {}
    for qid, query in topics.items():
        first = sorted(labels[query], key=lambda text: -labels[query][text])
        run[qid] = [(ids[text], -float(rank)) for rank, text in enumerate(first)]
    documents = {docid: ("", text) for text, docid in ids.items()}
    judged = {qid: grades for qid, grades in relevant.items() if grades}
    return make_collection(NAME, documents, topics, {SPLIT: judged}), SPLIT, run


def _checked(query: object, document: object, label: object, where: str) -> LabelledPair:
    """The pair; InputError, starting with `where`, for another type and an empty text."""
    for kind, text in (("query", query), ("document", document)):
        if not isinstance(text, str) or not text.strip():
            what = "empty" if isinstance(text, str) else type(text).__name__
            raise InputError(f"{where}the {kind} is {what}, expected a text")
    if not is_whole(label) or label not in (0, 1):
        raise InputError(f"{where}the label is {label!r:.40}, expected 1 (relevant) or 0")
    return str(query), str(document), 1 if label else 0
