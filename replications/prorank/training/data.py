"""The pairs and groups of a recipe, from its collections and their first stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, TypeVar

from ir_replications.engine.context import Context
from ir_replications.engine.first_stages import candidate_run
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.shared.data import Collection
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.training.pairs import (
    SOURCES,
    Group,
    Pair,
    Source,
    balanced,
    groups,
    training_pairs,
)


@dataclass(frozen=True)
class TrainingData:
    """Couples for stage 1 (and supervised training), groups for stage 2, and their sha256."""

    pairs: list[Pair]
    groups: list[Group]
    sha256: str
    notes: tuple[str, ...]


def training_data(
    recipe: Recipe,
    sources: Sequence[tuple[Collection, Run]],
    held_out: Iterable[Mapping[str, str]] = (),
) -> TrainingData:
    """What the recipe trains on, in the order of its seed.

    `sources` are collections with the first stages of their training queries, to the depth of the
    recipe's candidates; `held_out` are the queries that the model will be judged on. Of several
    sources each gives as many couples and groups as the others, as far as it has them: what both
    stages take in one epoch, in turn. Raises InputError as training_pairs does.
    """
    held_out = list(held_out)
    notes: list[str] = []
    first, second = recipe.warmup, recipe.fine_grained
    couples = -(-first.steps * first.pairs_per_step // (2 * len(sources)))
    # Stage 2 alone, the control, takes the updates of both stages.
    grouped = -(-(first.steps + second.steps) * second.groups_per_step // len(sources))
    pairs: list[list[tuple[Pair, Pair]]] = []
    made: list[list[Group]] = []
    for collection, run in sources:
        shallow = {qid: found[: recipe.candidates] for qid, found in run.items()}
        labelled = training_pairs(
            collection, shallow, positives=recipe.positives, held_out=held_out, notes=notes
        )
        chosen = balanced(labelled, recipe.seed, notes=notes)
        pairs.append(list(zip(chosen[::2], chosen[1::2], strict=True))[:couples])
        found = groups(labelled, recipe.seed, negatives=second.negatives, notes=notes)
        made.append(found[:grouped])
    taken = [pair for couple in _in_turn(pairs) for pair in couple]
    grouped_in_turn = _in_turn(made)
    notes.append(f"taken: {len(taken)} pairs and {len(grouped_in_turn)} groups")
    digest = pairs_sha256(taken, *grouped_in_turn)
    return TrainingData(taken, grouped_in_turn, digest, tuple(notes))


def recipe_data(recipe: Recipe, context: Context) -> TrainingData:
    """The pairs and groups that a recipe trains on, from BM25's candidates.

    A process draws them once for all cells that train by one recipe: on MS MARCO half a million
    queries are searched.
    """
    key = recipe, tuple(sorted(context.splits.items()))
    found = _drawn.get(key)
    if found is None or any(context.fingerprint(name) != sum for name, sum in found[1].items()):
        own = replace(context, data={}, mismatches=[])
        found = _draw(recipe, own), own.data
        _drawn.clear()  # one is large enough
        _drawn[key] = found
        context.note(own)  # what was drawn earlier, `fingerprint` has just noted
    return found[0]


_drawn: dict[tuple[Any, ...], tuple[TrainingData, dict[str, str]]] = {}


def _draw(recipe: Recipe, context: Context) -> TrainingData:
    sources = []
    for name in recipe.data:
        collection = context.collection(name)
        split = SOURCES.get(collection.id, Source()).split  # the name may be a folder's
        sources.append((collection, candidate_run(name, split, context, recipe.candidates)))
    held_out = []
    for name in recipe.held_out:
        collection = context.collection(name)
        held_out.append(collection.topics(collection.default_split))
    return training_data(recipe, sources, held_out)


T = TypeVar("T")


def _in_turn(lists: Sequence[Sequence[T]]) -> list[T]:
    """The first of every list, then the second of every list that has one, ..."""
    longest = max(map(len, lists))
    return [items[i] for i in range(longest) for items in lists if i < len(items)]


def pairs_sha256(*lists: Sequence[Pair]) -> str:
    """Hex sha256 of the pairs of all lists, texts and labels included, in their order."""
    digest = hashlib.sha256()
    for pairs in lists:
        digest.update(json.dumps([astuple(pair) for pair in pairs]).encode() + b"\n")
    return digest.hexdigest()


def run_request(
    recipe: Recipe,
    stage: str,
    *,
    data_sha256: str,
    model_sha256: str,
    start_sha256: str | None = None,
) -> dict[str, Any]:
    """What a stage's TrainingFolder is asked for: settings, data, model, weights begun from."""
    return recipe.request(stage) | {
        "data_sha256": data_sha256,
        "model_sha256": model_sha256,
        "start_sha256": start_sha256,
    }
