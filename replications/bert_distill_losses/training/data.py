"""What a recipe trains on: the groups that a seed draws, and queries set aside for choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_replications.bert_distill_losses.training.arms import Arm
from ir_replications.bert_distill_losses.training.halves import halves
from ir_replications.bert_distill_losses.training.label_changes import with_fraction, with_noise
from ir_replications.bert_distill_losses.training.own_pairs import source_of_pairs
from ir_replications.bert_distill_losses.training.recipe import Kind, Recipe
from ir_replications.bert_distill_losses.training.training_set import TrainingSet, training_set
from ir_replications.engine.context import Context
from ir_replications.engine.first_stages import candidate_run, chosen_queries
from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.training import pairs

if TYPE_CHECKING:
    from ir_replications.bert_distill_losses.ranker.tokens import PairTokens

DEVELOPMENT = 40  # queries of each collection
LEAST = 400  # training queries of a collection that can spare so many


@dataclass(frozen=True)
class Source:
    """Collections to draw groups from.

    `draw` takes seed, groups, negatives and the share of groups without a label; `halves` gives
    the half, 0 or 1, of every training query's text.
    """

    draw: Callable[[int, int, int, float], TrainingSet]
    halves: Callable[[], Mapping[str, int]]


@dataclass
class TrainingData:
    """The groups of one seed; `of_seed` draws those of another from the same source."""

    groups: TrainingSet
    source: Source
    _tokens: dict[tuple[Any, ...], PairTokens] = field(default_factory=dict, repr=False)

    def of_seed(self, seed: int, recipe: Recipe, kind: Kind) -> TrainingData:
        """The groups that another seed draws, for the teacher or for a student."""
        return _drawn(self.source, seed, recipe, kind)

    @property
    def half(self) -> np.ndarray:
        """The half of every group's query, int8 (n,)."""
        of_text = self.source.halves()
        return np.array([of_text[text] for text in self.groups.queries], np.int8)[self.groups.query]

    def of_half(self, half: int) -> TrainingData:
        """The groups whose query is in a half. Raises InputError where there are none."""
        rows = self.half == half
        if not rows.any():
            raise InputError(f"training set: no query is in half {half}; expected more queries")
        return TrainingData(self.groups.subset(rows), self.source)

    def changed(self, arm: Arm, seed: int) -> TrainingData:
        """The groups with the arm's share of wrong labels and of labels."""
        groups = self.groups
        if arm.swapped:
            groups = with_noise(groups, arm.swapped, seed)
        if arm.labelled < 1:
            groups = with_fraction(groups, arm.labelled, seed)
        return self if groups is self.groups else TrainingData(groups, self.source)

    def tokens(self, recipe: Recipe, model: str, tokenizer: Any) -> PairTokens:
        """The texts of the groups as tokens of a model (its tokenizer), made once."""
        from ir_replications.bert_distill_losses.ranker.tokens import PairTokens

        key = (model, recipe.query_length, recipe.max_length, recipe.token_types)
        if key not in self._tokens:
            self._tokens[key] = PairTokens(
                tokenizer,
                self.groups.queries,
                self.groups.documents,
                query_length=recipe.query_length,
                max_length=recipe.max_length,
                types=recipe.token_types,
            )
        return self._tokens[key]


def split_of(name: str, context: Context, chosen: str = "") -> str:
    """The split of a collection's training queries: the chosen one, else the usual one.

    Raises InputError for one that the collection lacks.
    """
    collection = context.collection(name)
    split = chosen or pairs.SOURCES.get(collection.id, pairs.Source()).split
    if split not in collection.qrels:
        raise InputError(
            f"{collection.id}: no split {split!r} to train on; its splits: "
            f"{', '.join(collection.qrels)}; choose one with --split, and judge on another"
        )
    return split


def development(name: str, context: Context, training_split: str = "") -> tuple[str, list[str]]:
    """(split, query ids) of a collection set aside for choices: of its dev split if it has one.

    Otherwise, and where the dev split is what is tested (MS MARCO), a fixed choice of its training
    queries, which are then left out of training; none of a collection that has few.
    """
    split, collection = split_of(name, context, training_split), context.collection(name)
    spare = "dev" in collection.qrels and "dev" not in (split, _evaluated(collection))
    chosen = "dev" if spare else split
    topics = collection.topics(chosen)
    if chosen == split and len(topics) < LEAST:
        return chosen, []
    return chosen, chosen_queries(topics, DEVELOPMENT)


def training_data(recipe: Recipe, kind: Kind, seed: int, context: Context) -> TrainingData:
    """The groups that a seed draws for the steps of the recipe's teacher or student.

    Queries near those of a test, and those of development, are left out. A process draws a seed's
    groups once.
    """
    key = (
        recipe.data, recipe.split, recipe.held_out, recipe.candidates,
        tuple(sorted(context.splits.items())),
    )  # fmt: skip
    found = _sources.get(key)
    if found is None or any(context.fingerprint(name) != sum for name, sum in found[1].items()):
        own = replace(context, data={}, mismatches=[])
        found = _source(recipe, own), own.data
        _sources[key] = found
        context.note(own)  # what was drawn earlier, `fingerprint` has just noted
    return _drawn(found[0], seed, recipe, kind)


_sources: dict[tuple[Any, ...], tuple[Source, dict[str, str]]] = {}


def _drawn(source: Source, seed: int, recipe: Recipe, kind: Kind) -> TrainingData:
    groups, negatives = recipe.rounds(kind).groups, recipe.negatives_of(kind)
    return TrainingData(source.draw(seed, groups, negatives, recipe.unlabelled_of(kind)), source)


def _source(recipe: Recipe, context: Context) -> Source:
    """The recipe's collections; their first stages are searched here, once."""
    sources, held_out = [], []
    for name in recipe.data:
        collection = context.collection(name)
        split = split_of(name, context, recipe.split)
        sources.append((collection, split, candidate_run(name, split, context, recipe.candidates)))
        held_out.append(_topics(name, *development(name, context, recipe.split), context))
    for name in recipe.held_out:
        collection = context.collection(name)
        held_out.append(collection.topics(collection.default_split))
    return _source_of(recipe, sources, held_out)


def pairs_data(
    recipe: Recipe, kind: Kind, seed: int, given: Iterable[Sequence[object]]
) -> TrainingData:
    """The groups that a seed draws from labelled pairs, (query, document, label) each.

    Raises InputError as `source_of_pairs` and `training_set` do.
    """
    return _drawn(_source_of(recipe, [source_of_pairs(given)], []), seed, recipe, kind)


def _source_of(
    recipe: Recipe,
    sources: Sequence[tuple[Collection, str, Run]],
    held_out: Sequence[Mapping[str, str]],
) -> Source:
    """Where groups are drawn from (collection, split, first stage), each seed's once."""

    @cache
    def draw(seed: int, groups: int, negatives: int, unlabelled: float) -> TrainingSet:
        return training_set(
            sources,
            groups=groups,
            negatives=negatives,
            seed=seed,
            unlabelled=unlabelled,
            held_out=held_out,
            candidates=recipe.candidates,
        )

    topics = [collection.topics(split) for collection, split, _ in sources]
    return Source(draw, cache(lambda: halves(text for each in topics for text in each.values())))


def _evaluated(collection: Collection) -> str:
    """The split that the collection is evaluated on; "" where it has several and no usual one."""
    try:
        return collection.default_split
    except InputError:
        return ""


def _topics(name: str, split: str, qids: list[str], context: Context) -> Mapping[str, str]:
    topics = context.collection(name).topics(split)
    return {qid: topics[qid] for qid in qids}
