"""Training pairs of rerankers: relevant documents, and hard negatives of a first stage.

As couples of a relevant and an irrelevant document, or as groups of one relevant document and n
others.
"""

from __future__ import annotations

import random
from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import Run, canonical
from ir_replications.shared.training.near_duplicates import leaked_queries

NEGATIVES = ("unjudged", "judged")
POSITIVES = ("retrieved", "judged")


@dataclass(frozen=True)
class Pair:
    """A query and a document, relevant (label 1) or not (0). Raises InputError for other labels."""

    qid: str
    docid: str
    query: str
    document: str
    label: int

    def __post_init__(self) -> None:
        if isinstance(self.label, bool) or self.label not in (0, 1):
            raise InputError(
                f"pair of query {self.qid!r} and document {self.docid!r}: label {self.label!r}, "
                "expected 0 or 1; graded judgements need a threshold"
            )


Group = tuple[Pair, ...]
"""One query's relevant document first, then its negatives."""


@dataclass(frozen=True)
class Source:
    """How a collection's judgements become labels.

    `positive_from` is the lowest grade that is relevant; grades from 1 up to it are neither
    relevant nor a negative. Negatives are candidates: "unjudged" ones where only relevant
    documents were judged, "judged" ones (grade 0 or less) where a pool was.
    """

    split: str = "train"
    positive_from: int = 1
    negatives: str = "unjudged"


SOURCES: Mapping[str, Source] = {
    "beir/nfcorpus": Source(),
    "beir/scifact": Source(),
    # Both its grades count in the collection's own evaluation: the object and its See Also.
    "pydocs": Source(),
    "derived/msmarco-mini": Source(split="dev"),
    # TREC's own rule for passages: 2 and 3 are relevant; 1 (related) is neither.
    "rerank/dl21": Source(split="test", positive_from=2, negatives="judged"),
}


def training_pairs(
    collection: Collection,
    run: Run,
    *,
    source: Source | None = None,
    positives: str = "retrieved",
    held_out: Iterable[Mapping[str, str]] = (),
    notes: list[str] | None = None,
) -> list[Pair]:
    """`labelled_pairs` of a collection's training split without queries near held-out ones.

    `source` is by default the collection's in SOURCES, else `Source()`. Held out are the
    collection's other splits and `held_out`, each query id to text: the queries of every other
    collection that the model will be judged on.
    """
    source = source or SOURCES.get(collection.id, Source())
    training = collection.topics(source.split)
    splits = [collection.topics(name) for name in collection.qrels]
    # A pool's "test" and "test.full" are one set of queries judged to different depths.
    others = [topics for topics in splits if topics.keys() != training.keys()]
    leaked = leaked_queries(training, [*others, *held_out])
    return labelled_pairs(
        collection, run, source, positives=positives, leave_out=leaked, notes=notes
    )


def labelled_pairs(
    collection: Collection,
    run: Run,
    source: Source,
    *,
    positives: str = "retrieved",
    title: str = "space",
    leave_out: Container[str] = (),
    notes: list[str] | None = None,
) -> list[Pair]:
    """All labelled pairs of a split, by query in its order and then by document id.

    `run` holds the candidates of the split's queries, such as BM25's first 100. `positives`
    "retrieved" takes the relevant documents among them, "judged" all. Against candidates as
    negatives the latter teaches that documents like the query are irrelevant: on NFCorpus, whose
    judgements hardly depend on words, BM25 ranks four in five of such pairs the wrong way round.
    `leave_out` names queries not to train on. Documents without text are passed over. Counts go
    to `notes`. Raises InputError for options unknown, a threshold below 1, and when no query has
    both labels.
    """
    if source.negatives not in NEGATIVES or positives not in POSITIVES:
        raise InputError(
            f"pairs: negatives {source.negatives!r}, positives {positives!r}: expected one of "
            f"{', '.join(NEGATIVES)} and one of {', '.join(POSITIVES)}"
        )
    if source.positive_from < 1:
        raise InputError(f"pairs: relevant from grade {source.positive_from}: expected 1 or more")
    topics = collection.topics(source.split)
    qrels = collection.inside(source.split)
    topics = {qid: text for qid, text in topics.items() if qid in qrels}
    texts = dict(zip(collection.doc_ids, collection.contents(title), strict=True))
    found = {qid: {docid for docid, _ in results} for qid, results in canonical(run).items()}
    pairs: list[Pair] = []
    relevant = between = blank = used = 0
    for qid, query in topics.items():
        if qid in leave_out:
            continue
        labels = _labels(qrels[qid], found.get(qid, set()), source, positives)
        relevant += sum(grade >= source.positive_from for grade in qrels[qid].values())
        between += sum(0 < grade < source.positive_from for grade in qrels[qid].values())
        labels.pop(qid, None)  # a document is not evidence about the query that is its own id
        empty = {docid for docid in labels if not texts.get(docid, "").strip()}
        blank += len(empty)
        kept = {docid: label for docid, label in sorted(labels.items()) if docid not in empty}
        used += len(set(kept.values())) == 2
        pairs += [Pair(qid, docid, query, texts[docid], label) for docid, label in kept.items()]
    if not used:
        raise InputError(
            f"{collection.id} {source.split}: no query has both a relevant and an irrelevant "
            "candidate; a first stage gives the irrelevant ones: check that the run is of this "
            "split, or that other documents share words with the queries"
        )
    if notes is not None:
        left_out = sum(qid in leave_out for qid in topics)
        chosen = sum(pair.label for pair in pairs)
        notes.append(
            f"{collection.id} {source.split}: {len(topics)} queries, {left_out} left out, "
            f"{used} with both labels; {chosen} of {relevant} relevant documents "
            f"(grade {source.positive_from} and above, {positives}), {len(pairs) - chosen} "
            f"negatives ({source.negatives} candidates); {between} documents of lower grades and "
            f"{blank} without text passed over"
        )
    return pairs


def _labels(
    grades: Mapping[str, int], found: set[str], source: Source, positives: str
) -> dict[str, int]:
    """Document id -> label of one query; what is neither has none."""
    labels = {}
    for docid, grade in grades.items():
        if grade >= source.positive_from and (positives == "judged" or docid in found):
            labels[docid] = 1
        elif grade <= 0 and source.negatives == "judged" and docid in found:
            labels[docid] = 0
    if source.negatives == "unjudged":
        labels |= dict.fromkeys(found - grades.keys(), 0)
    return labels


def balanced(
    pairs: Iterable[Pair],
    seed: int,
    *,
    size: int | None = None,
    per_query: int | None = None,
    notes: list[str] | None = None,
) -> list[Pair]:
    """As many relevant as irrelevant pairs, `size` in all, in couples of one query.

    Pairs 2i and 2i + 1 are a relevant document and a negative of one query, so every batch of an
    even number has balanced labels and no query's words tell the label. No pair is taken twice;
    each query gives one couple before any gives a second, and at most `per_query`. The result
    depends on the pairs and the seed, not on the order of the pairs. Raises InputError for an
    odd size and when there are fewer pairs.
    """
    if size is not None and (size < 2 or size % 2):
        raise InputError(f"balanced pairs: size {size}: expected an even number of at least 2")
    source = random.Random(seed)
    couples: dict[str, list[tuple[Pair, Pair]]] = {}
    for qid, (relevant, negatives) in _by_query(pairs).items():
        source.shuffle(relevant)
        source.shuffle(negatives)
        couples[qid] = list(zip(relevant, negatives, strict=False))
    chosen = _rounds(couples, source, None if size is None else size // 2, per_query, "couples")
    if notes is not None:
        queries = len({relevant.qid for relevant, _ in chosen})
        notes.append(f"{len(chosen)} pairs of each label, from {queries} queries, seed {seed}")
    return [pair for couple in chosen for pair in couple]


def groups(
    pairs: Iterable[Pair],
    seed: int,
    *,
    negatives: int = 7,
    size: int | None = None,
    per_query: int | None = None,
    notes: list[str] | None = None,
) -> list[Group]:
    """`size` groups of one relevant document and `negatives` others of the same query.

    Within a group no document is taken twice; another group of the query has another relevant
    document and draws its negatives anew. Queries with too few negatives are passed over. Order,
    `per_query`, errors and what the result depends on are as in `balanced`.
    """
    if negatives < 1 or (size is not None and size < 1):
        raise InputError(f"groups: negatives {negatives}, size {size}: expected at least 1")
    source = random.Random(seed)
    made: dict[str, list[Group]] = {}
    too_few = 0
    for qid, (relevant, others) in _by_query(pairs).items():
        if len(others) < negatives:
            too_few += bool(relevant)
            continue
        source.shuffle(relevant)
        made[qid] = [(pair, *source.sample(others, negatives)) for pair in relevant]
    chosen = _rounds(made, source, size, per_query, "groups")
    if notes is not None:
        notes.append(
            f"{len(chosen)} groups of 1 + {negatives}, from {len({g[0].qid for g in chosen})} "
            f"queries, seed {seed}; {too_few} queries have fewer than {negatives} negatives"
        )
    return chosen


def _by_query(pairs: Iterable[Pair]) -> dict[str, tuple[list[Pair], list[Pair]]]:
    """Query id -> (relevant pairs, negatives), all in the order of their ids."""
    found: dict[str, tuple[list[Pair], list[Pair]]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.qid, pair.docid)):
        found.setdefault(pair.qid, ([], []))[1 - pair.label].append(pair)
    return found


T = TypeVar("T")


def _rounds(
    items: Mapping[str, list[T]],
    source: random.Random,
    size: int | None,
    per_query: int | None,
    what: str,
) -> list[T]:
    """`size` items in random order: one of every query, then a second of every query, ..."""
    if per_query is not None and per_query < 1:
        raise InputError(f"{what} per query: expected at least 1, got {per_query}")
    deepest = max(map(len, items.values()), default=0)
    chosen: list[T] = []
    for turn in range(deepest if per_query is None else min(per_query, deepest)):
        layer = [found[turn] for found in items.values() if len(found) > turn]
        source.shuffle(layer)
        chosen += layer
    if len(chosen) < (size or 1):
        raise InputError(
            f"training pairs: {size or 1} {what} wanted, {len(chosen)} can be made; ask for fewer"
        )
    chosen = chosen[:size]
    source.shuffle(chosen)
    return chosen
