"""Distil a small cross-encoder on one's own data: `distill(data, output)`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ir_replications.bert_distill_losses.training.arms import Arm, arm_of
from ir_replications.bert_distill_losses.training.data import (
    TrainingData,
    pairs_data,
    training_data,
)
from ir_replications.bert_distill_losses.training.own_pairs import NAME, read_pairs
from ir_replications.bert_distill_losses.training.recipe import Kind, Recipe, load_recipe
from ir_replications.bert_distill_losses.training.run import SINGLE, train_student
from ir_replications.engine.train_command import training_context
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import check_model
from ir_replications.shared.reading import user_path

if TYPE_CHECKING:
    from ir_replications.bert_distill_losses.ranker.cross_encoder import CrossEncoder

RECIPE, ARM = "own", "A8"


@dataclass(frozen=True)
class Prepared:
    """What a run would train on, checked, and what there is to say about it."""

    recipe: Recipe
    data: TrainingData
    notes: tuple[str, ...]


def prepared(
    recipe: Recipe,
    kind: Kind,
    seed: int,
    pairs: Iterable[Sequence[object]] | None = None,
    data_root: Path | None = None,
    arm: Arm | None = None,
) -> Prepared:
    """Draw the groups of a teacher or student, and those of the teacher that an arm needs.

    From the recipe's collections, or from `pairs` in their place. Nothing is trained or
    downloaded but collections. Raises InputError for all that the training would refuse of data.
    """
    data = (
        training_data(recipe, kind, seed, training_context(recipe.data, data_root))
        if pairs is None
        else pairs_data(recipe, kind, seed, pairs)
    )
    notes = list(data.groups.notes)
    if arm is not None and (arm.needs_teacher or any(arm.layers.values())):
        teacher = data.of_seed(SINGLE[0], recipe, "teacher")
        notes += [f"teacher: {note}" for note in teacher.groups.notes if note not in notes]
        if arm.teacher == "cross-fitted":
            for half in (0, 1):
                teacher.of_half(half)
    for ref in dict.fromkeys(filter(None, (recipe.teacher_model, recipe.student_model))):
        if problems := check_model(ref):
            notes.append(f"{ref}: to be fetched first ({problems[0]})")
    return Prepared(recipe, data, tuple(notes))


def own_recipe(
    recipe: str, data: Sequence[str], split: str | None = None
) -> tuple[Recipe, list[tuple[str, str, int]] | None]:
    """A recipe with the user's data in the place of its own, and the pairs of a file if it is one.

    `data` are BEIR folders and collection ids, or one JSON Lines file of pairs; none: the
    recipe's. Raises InputError for a split of pairs, and for a file among others.
    """
    files = [ref for ref in data if os.path.isfile(user_path(ref))]
    if not files:
        return load_recipe(recipe, data=list(data) or None, split=split), None
    if len(data) > 1 or split is not None:
        raise InputError(f"{files[0]}: a file of pairs stands alone, and has no split")
    return load_recipe(recipe, data=[NAME]), read_pairs(files[0])


def distill(
    data: str | Path | Iterable[Sequence[object]],
    output: Path | str | None = None,
    *,
    split: str | None = None,
    recipe: str = RECIPE,
    arm: str = ARM,
    layers: int | None = None,
    seed: int = 1,
    data_root: Path | str | None = None,
) -> CrossEncoder:
    """Train a teacher, then a smaller student of it, on the user's data; return the student.

    `data` is a BEIR folder or a collection id (negatives are then what BM25 ranks high and
    nobody judged), a JSON Lines file of {"query", "document", "label"}, or such triples; label 1
    is relevant, 0 is not. `split` has the queries to train on, by default "train"; queries near
    those of other splits are left out. `recipe` is a name in training/recipes or a YAML file,
    `arm` the losses (training/arms.py), `layers` the student's. `output` is the run's folder, by
    default one in the cache named after all that decides the result: a killed run goes on, a
    finished one is found. Raises InputError for data that cannot be trained on, before any
    training; DivergedError for a loss that is not finite.
    """
    from ir_replications.bert_distill_losses.ranker.cross_encoder import CrossEncoder

    root = None if data_root is None else user_path(data_root)
    chosen = arm_of({"arm": arm})
    if isinstance(data, str | Path):
        settings, pairs = own_recipe(recipe, [str(data)], split)
    elif split is not None:
        raise InputError("pairs have no split; leave it out")
    else:
        settings, pairs = load_recipe(recipe, data=[NAME]), list(data)  # type: ignore[arg-type]
    ready = prepared(settings, "student", seed, pairs, root, chosen)
    where = None if output is None else user_path(output)
    trained = train_student(settings, chosen, seed, ready.data, layers=layers, output=where)
    return CrossEncoder(trained.weights)
