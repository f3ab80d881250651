"""Groups of one query's documents from judged collections, as arrays over shared texts.

Every arm sees the same groups in the same order: column 0 is a judged-relevant document, the
others are candidates of the same first stage that are not.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.reranking import candidates as candidate_ids
from ir_replications.shared.retrieval.reranking import check_ids
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.training.pairs import SOURCES, Pair, Source, training_pairs
from ir_replications.shared.training.pairs import groups as groups_of


@dataclass(frozen=True, eq=False, repr=False)
class TrainingSet:
    """n groups of m documents of one query each, in the order of training.

    `query` (n,) int32 and `groups` (n, m) int32 index `queries` and `documents` (texts; two
    documents with one text are one document). `labelled` (n,) bool: column 0 is known to be
    relevant; elsewhere the columns mean nothing. `source` (n,) int8 indexes `sources`. Raises
    InputError for arrays whose shapes do not fit.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    query: np.ndarray
    groups: np.ndarray
    labelled: np.ndarray
    source: np.ndarray
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.groups)
        lengths = [array.shape for array in (self.query, self.labelled, self.source)]
        if self.groups.ndim != 2 or not n or any(shape != (n,) for shape in lengths):
            raise InputError(
                f"training set: groups {self.groups.shape}, other arrays {lengths}: expected "
                "(n, m) and (n,) with at least one group"
            )

    def __len__(self) -> int:
        return len(self.groups)

    def __repr__(self) -> str:
        n, m = self.groups.shape
        return f"TrainingSet({n} groups of {m}, {len(self.queries)} queries)"

    @cached_property
    def sha256(self) -> str:
        """Hex sha256 of texts, groups, labels and sources, in their order; no notes."""
        return _sha256(
            [self.queries, self.documents, self.sources],
            [self.query, self.groups, self.labelled, self.source],
        )

    @cached_property
    def couples(self) -> np.ndarray:
        """The distinct (query, document) couples of all groups, int64 (k, 2), ascending."""
        return np.stack(np.divmod(np.unique(self.couple_keys), len(self.documents)), axis=1)

    @property
    def couple_keys(self) -> np.ndarray:
        """One number for each (query, document) couple of the groups, int64 (n, m)."""
        return self.query.astype(np.int64)[:, None] * len(self.documents) + self.groups

    @cached_property
    def couples_sha256(self) -> str:
        """Hex sha256 of what a teacher scores: texts and couples, not labels, columns and order."""
        return _sha256([self.queries, self.documents], [self.couples])

    def subset(self, rows: np.ndarray, note: str | None = None) -> TrainingSet:
        """The groups that `rows` (bool or indices) choose; indices of texts stay as they are."""
        arrays = {name: getattr(self, name)[rows] for name in _BY_GROUP}
        return self.changed(note, **arrays)

    def changed(self, note: str | None = None, **fields: Any) -> TrainingSet:
        """The set with other arrays, and a note about them."""
        return replace(self, notes=(*self.notes, *([note] if note else [])), **fields)


_BY_GROUP = ("query", "groups", "labelled", "source")


def training_set(
    sources: Sequence[tuple[Collection, str, Run]],
    *,
    groups: int,
    negatives: int,
    seed: int,
    unlabelled: float = 0.0,
    held_out: Iterable[Mapping[str, str]] = (),
    positives: str = "retrieved",
    candidates: int = 100,
) -> TrainingSet:
    """`groups` groups of 1 + `negatives` documents, from the sources in turn.

    A source is a collection, the split with its training queries and their first stage, of which
    the first `candidates` results count. Labels are those of shared.training.pairs (SOURCES);
    `held_out` are the queries, id to text, that the model is judged on: training queries near them
    are left out. Every source gives as many groups as the others (one more or less): one group for
    each (query, relevant document) in random order, then again with other negatives. A document,
    or another with its text, is in a group once, and none with the text of a document judged above
    0 for the query is a negative.

    `unlabelled` is the share of groups that have no label: random candidates of a training query,
    relevant or not. The result depends on content and seed only. Raises InputError for no source,
    a share outside [0, 1], numbers below 1, an unknown split, and for a source without a group.
    """
    if not sources:
        raise InputError("training set: no collection to train on; name at least one")
    if min(groups, negatives, candidates) < 1 or not 0 <= unlabelled <= 1:
        raise InputError(
            f"training set: groups {groups}, negatives {negatives}, candidates {candidates}, "
            f"unlabelled {unlabelled}: expected at least 1, and a share in [0, 1]"
        )
    held_out = list(held_out)
    notes: list[str] = []
    drawn: list[list[_Group]] = []
    for place, (collection, split, run) in enumerate(sources):
        found = _Drawer(collection, split, run, candidates, positives, held_out, seed, notes)
        size = groups // len(sources) + (place < groups % len(sources))
        drawn.append(found.draw(size, negatives, unlabelled, notes))
    in_turn = [
        (place, items[turn])
        for turn in range(max(map(len, drawn)))
        for place, items in enumerate(drawn)
        if turn < len(items)
    ]
    return _assembled(in_turn, [collection.id for collection, _, _ in sources], notes)


@dataclass(frozen=True)
class _Group:
    """A query's id and text and the texts of its documents, in columns."""

    qid: str
    query: str
    documents: tuple[str, ...]
    labelled: bool


class _Drawer:
    """The groups that one source can give."""

    def __init__(
        self,
        collection: Collection,
        split: str,
        run: Run,
        depth: int,
        positives: str,
        held_out: Sequence[Mapping[str, str]],
        seed: int,
        notes: list[str],
    ) -> None:
        self.name, self.seed = f"{collection.id} {split}", seed
        results = {qid: run.get(qid, []) for qid in collection.topics(split)}
        check_ids(results, collection, where=self.name)
        found = candidate_ids(results, depth)
        pairs = training_pairs(
            collection,
            {qid: [(d, -float(rank)) for rank, d in enumerate(ids)] for qid, ids in found.items()},
            source=replace(SOURCES.get(collection.id, Source()), split=split),
            positives=positives,
            held_out=held_out,
            notes=notes,
        )
        texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
        judged = {
            qid: {texts[docid] for docid, grade in grades.items() if grade > 0}
            for qid, grades in collection.inside(split).items()
        }
        self.pairs = _without_copies(pairs, judged)
        self.copies = len(pairs) - len(self.pairs)
        self.queries = {pair.qid: pair.query for pair in pairs}
        self.pools = {
            qid: list(dict.fromkeys(t for d in found[qid] if d != qid and (t := texts[d]).strip()))
            for qid in sorted(self.queries)
        }

    def draw(self, size: int, negatives: int, unlabelled: float, notes: list[str]) -> list[_Group]:
        """`size` groups in random order, the share `unlabelled` of them without a label."""
        without = round(size * unlabelled)
        made = self._labelled(size - without, negatives, notes)
        made += self._unlabelled(without, negatives)
        self._random("order").shuffle(made)
        notes.append(
            f"{self.name}: {size} groups of {1 + negatives}, {without} of them unlabelled; "
            f"{self.copies} negatives with the text of another document passed over"
        )
        return made

    def _labelled(self, size: int, negatives: int, notes: list[str]) -> list[_Group]:
        enough = _queries_with(self.pairs, negatives)
        usable = [pair for pair in self.pairs if pair.qid in enough]
        each = sum(pair.label for pair in usable)
        if not each:
            raise InputError(
                f"{self.name}: no relevant document has {negatives} negatives of its query; "
                "ask for fewer negatives or give a deeper run"
            )
        made: list[_Group] = []
        epoch = 0
        while len(made) < size:
            wanted = min(each, size - len(made))
            drawn = groups_of(
                usable, self._seed(f"epoch {epoch}"), negatives=negatives, size=wanted
            )
            for group in drawn:
                columns = tuple(pair.document for pair in group)
                made.append(_Group(group[0].qid, group[0].query, columns, True))
            epoch += 1
        notes.append(
            f"{self.name}: {each} relevant documents of {len(enough)} queries have {negatives} "
            f"negatives; {len(made)} labelled groups in {len(made) / each:.2f} epochs"
        )
        return made

    def _unlabelled(self, size: int, negatives: int) -> list[_Group]:
        """One group of each query in random order, then again."""
        source = self._random("unlabelled")
        deep = [qid for qid, texts in self.pools.items() if len(texts) > negatives]
        if size and not deep:
            raise InputError(f"{self.name}: no query has {1 + negatives} candidates with a text")
        made: list[_Group] = []
        while len(made) < size:
            source.shuffle(deep)
            for qid in deep[: size - len(made)]:
                columns = tuple(source.sample(self.pools[qid], 1 + negatives))
                made.append(_Group(qid, self.queries[qid], columns, False))
        return made

    def _seed(self, what: str) -> int:
        key = f"{self.seed}:{self.name}:{what}".encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:8], "big")

    def _random(self, what: str) -> random.Random:
        return random.Random(self._seed(what))


def _without_copies(pairs: Sequence[Pair], judged: Mapping[str, set[str]]) -> list[Pair]:
    """The pairs without negatives whose text a relevant document or an earlier negative has."""
    seen: dict[str, set[str]] = {}
    kept = []
    for pair in pairs:
        if not pair.label:
            texts = seen.setdefault(pair.qid, set(judged.get(pair.qid, ())))
            if pair.document in texts:
                continue
            texts.add(pair.document)
        kept.append(pair)
    return kept


def _queries_with(pairs: Sequence[Pair], negatives: int) -> set[str]:
    """Queries with a relevant document and so many negatives."""
    counts: dict[str, list[int]] = {}
    for pair in pairs:
        counts.setdefault(pair.qid, [0, 0])[pair.label] += 1
    return {qid for qid, (others, relevant) in counts.items() if relevant and others >= negatives}


def _assembled(
    drawn: Sequence[tuple[int, _Group]], sources: Sequence[str], notes: Sequence[str]
) -> TrainingSet:
    queries: dict[tuple[str, str], int] = {}
    texts: list[str] = []
    documents: dict[str, int] = {}
    query = []
    for place, group in drawn:
        key = (sources[place], group.qid)
        if key not in queries:
            queries[key] = len(queries)
            texts.append(group.query)
        query.append(queries[key])
    columns = [
        [documents.setdefault(text, len(documents)) for text in group.documents]
        for _, group in drawn
    ]
    return TrainingSet(
        queries=tuple(texts),
        documents=tuple(documents),
        query=np.array(query, np.int32),
        groups=np.array(columns, np.int32),
        labelled=np.array([group.labelled for _, group in drawn], bool),
        source=np.array([place for place, _ in drawn], np.int8),
        sources=tuple(sources),
        notes=tuple(notes),
    )


def _sha256(texts: Sequence[Sequence[str]], arrays: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256(b"training set 2\n")
    for part in texts:
        digest.update(json.dumps(list(part)).encode() + b"\n")
    for array in arrays:
        plain = np.ascontiguousarray(array, np.dtype("<i8"))
        digest.update(json.dumps(plain.shape).encode() + plain.tobytes())
    return digest.hexdigest()
