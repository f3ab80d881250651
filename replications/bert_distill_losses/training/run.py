"""Teachers and students, trained in their folders, gone on with, or found finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ir_replications.bert_distill_losses.ranker.embedder import cosines
from ir_replications.bert_distill_losses.training.arms import INITS, Arm
from ir_replications.bert_distill_losses.training.data import TrainingData
from ir_replications.bert_distill_losses.training.recipe import Recipe
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.own_code import code_of
from ir_replications.shared.training.runs import Trained, finished_or, run_folder

SINGLE, ENSEMBLE = (11,), (11, 12, 13)  # seeds of teachers; students have others
EVERYTHING = "all"


def train_teacher(
    recipe: Recipe,
    seed: int,
    data: TrainingData,
    *,
    half: int | None = None,
    output: Path | None = None,
    download: bool = True,
) -> Trained:
    """A teacher of the recipe; `half` 0 or 1 trains it on the queries of that half alone.

    Raises InputError for a half without groups, and as the loop does.
    """
    from ir_replications.bert_distill_losses.ranker.model import pretrained_ranker

    guided = recipe.teacher_guided
    arm = Arm("teacher", hard=recipe.teacher_loss, soft="margin-mse" if guided else "")
    request = recipe.request("teacher") | {
        "seed": seed,
        "half": EVERYTHING if half is None else half,
    }
    data = data if half is None else data.of_half(half)
    return _trained(
        recipe, "teacher", request, data, arm, seed, output, download,
        make=lambda: pretrained_ranker(recipe.teacher_model, recipe.head, seed=seed),
        targets=(lambda: _guide(recipe, data)) if guided else None,
    )  # fmt: skip


def _guide(recipe: Recipe, data: TrainingData) -> np.ndarray:
    """What the model says of the groups as a sentence embedder, in the scale of the head."""
    from ir_replications.bert_distill_losses.method.heads import COSINE_SCALE
    from ir_replications.shared.training.followed import followed

    groups = data.groups
    texts = len(groups.queries) + len(groups.documents)
    with followed(texts, "texts embedded to guide the teacher") as steps:
        return COSINE_SCALE * cosines(
            recipe.teacher_model, groups.queries, groups.documents, groups.query[:, None],
            groups.groups, max_length=recipe.max_length, bf16=recipe.precision == "bfloat16",
            done=steps.advance,
        )  # fmt: skip


def train_student(
    recipe: Recipe,
    arm: Arm,
    seed: int,
    data: TrainingData,
    *,
    init: str = "pre-trained",
    layers: int | None = None,
    learning_rate: float | None = None,
    output: Path | None = None,
    download: bool = True,
) -> Trained:
    """A student of the arm, after the teachers that it learns from.

    `layers` and `learning_rate` replace the recipe's. Raises InputError for an unknown `init` and
    as the teachers and the loop do.
    """
    from ir_replications.bert_distill_losses.ranker.files import load_ranker
    from ir_replications.bert_distill_losses.ranker.model import pretrained_ranker, student_of

    if init not in INITS:
        raise InputError(f"init {init!r}: expected one of {', '.join(INITS)}")
    if learning_rate is not None:
        student = replace(recipe.student, learning_rate=learning_rate)
        recipe = replace(recipe, student=student)
    if layers is not None:
        recipe = replace(recipe, student_layers=layers)
    data = data.changed(arm, seed)
    teachers = Teachers(recipe, data, download)
    scores, used = teachers.scores(arm, seed)
    request = recipe.request("student") | {
        "arm": _settings(arm), "seed": seed, "init": init, "teacher_scores": used,
    }  # fmt: skip
    if any(arm.layers.values()) or init == "teacher":
        request["teacher_sha256"] = teachers.single().sha256

    def make() -> Any:
        if init == "teacher":
            return student_of(load_ranker(teachers.single().weights), recipe.student_layers)
        model = recipe.student_model or recipe.teacher_model
        return pretrained_ranker(model, recipe.head, layers=recipe.student_layers, seed=seed)

    def follow() -> Any:
        if arm.layer_teacher == "pre-trained":
            return pretrained_ranker(recipe.teacher_model, recipe.head)
        return load_ranker(teachers.single().weights)

    return _trained(
        recipe, "student", request, data, arm, seed, output, download, make=make,
        targets=None if scores is None else lambda: scores,
        follow=follow if any(arm.layers.values()) else None,
    )  # fmt: skip


class Teachers:
    """The teachers of a recipe, trained when first asked for."""

    def __init__(self, recipe: Recipe, data: TrainingData, download: bool = True) -> None:
        self.recipe, self.data, self.download = recipe, data, download

    def single(self) -> Trained:
        """The teacher whose layers students follow."""
        return self.of(SINGLE[0])

    def of(self, seed: int, half: int | None = None) -> Trained:
        """The teacher of a seed, of the queries of one half if given."""
        data = self.data.of_seed(seed, self.recipe, "teacher")
        return train_teacher(self.recipe, seed, data, half=half, download=self.download)

    def scores(self, arm: Arm, seed: int) -> tuple[np.ndarray | None, list[str]]:
        """(scores of the data's groups for the arm, the sha256 of the teachers that gave them)."""
        from ir_replications.bert_distill_losses.training.label_changes import shuffled
        from ir_replications.bert_distill_losses.training.teacher_cache import cross_fitted

        if not arm.needs_teacher:
            return None, []
        if arm.teacher == "cross-fitted":
            both = [self.of(SINGLE[0], half) for half in (0, 1)]
            own = self.data.half
            others = [self._scores(one, own != half) for half, one in enumerate(both)]
            found = cross_fitted(own, others)
            used = [one.sha256 for one in both]
        else:
            seeds = ENSEMBLE if arm.teacher == "ensemble" else SINGLE
            trained = [self.of(one) for one in seeds]
            found = np.asarray(np.mean([self._scores(one) for one in trained], axis=0), np.float32)
            used = [one.sha256 for one in trained]
        return (shuffled(found, seed, columns=True) if arm.shuffled else found), used

    def _scores(self, teacher: Trained, rows: np.ndarray | None = None) -> np.ndarray:
        from ir_replications.bert_distill_losses.ranker.files import load_ranker
        from ir_replications.bert_distill_losses.ranker.scoring import score_pairs
        from ir_replications.bert_distill_losses.training.fit import on_device
        from ir_replications.bert_distill_losses.training.teacher_cache import teacher_scores

        recipe, loaded = self.recipe, None

        def score(query: np.ndarray, document: np.ndarray) -> np.ndarray:
            nonlocal loaded
            if loaded is None:
                ranker = on_device(load_ranker(teacher.weights))
                name = recipe.teacher_model
                loaded = ranker, self.data.tokens(recipe, name, ranker.tokenizer)
            return score_pairs(*loaded, query, document, bf16=recipe.precision == "bfloat16")

        settings = {
            "query_length": recipe.query_length, "max_length": recipe.max_length,
            "token_types": recipe.token_types, "precision": recipe.precision,
            "code_sha256": code_of(__name__),
        }  # fmt: skip
        return teacher_scores(
            score, self.data.groups, teacher_sha256=teacher.sha256, settings=settings, rows=rows
        )


def _trained(
    recipe: Recipe,
    kind: Literal["teacher", "student"],
    request: Mapping[str, Any],
    data: TrainingData,
    arm: Arm,
    seed: int,
    output: Path | None,
    download: bool,
    *,
    make: Callable[[], Any],
    targets: Callable[[], np.ndarray] | None = None,
    follow: Callable[[], Any] | None = None,
) -> Trained:
    models = {recipe.teacher_model: fetch_model(recipe.teacher_model, download=download).sha256}
    if kind == "student" and recipe.student_model:
        files = fetch_model(recipe.student_model, download=download)
        models[recipe.student_model] = files.sha256
    request = {
        **request,
        "models": models,
        "data_sha256": data.groups.sha256,
        "code_sha256": code_of(__name__),
    }
    folder = run_folder(f"bert_distill-{recipe.name}-{kind}", request, output)

    def train() -> dict[str, Any]:
        from ir_replications.bert_distill_losses.training.fit import fit

        return fit(recipe, kind, data, arm, seed, folder, models, make, targets, follow)

    return finished_or(folder, train)


def _settings(arm: Arm) -> dict[str, Any]:
    """What of an arm decides the weights: everything but its title."""
    return {name: value for name, value in vars(arm).items() if name != "title"} | {
        "layers": dict(arm.layers)
    }
