"""A teacher or a student from its first weights to what its folder says at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from ir_replications.bert_distill_losses.ranker.files import READS, save_ranker
from ir_replications.bert_distill_losses.ranker.model import freeze_word_embeddings
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens, same_tokenizer
from ir_replications.bert_distill_losses.training.arms import Arm
from ir_replications.bert_distill_losses.training.data import TrainingData
from ir_replications.bert_distill_losses.training.loop import train_ranker
from ir_replications.bert_distill_losses.training.recipe import Recipe
from ir_replications.bert_distill_losses.training.threads import fixed_threads
from ir_replications.reports.records import provenance
from ir_replications.shared.processor import usual_device
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.distributed import is_first, process_group, total
from ir_replications.shared.training.folder import weights_checksums


@process_group()
def fit(
    recipe: Recipe,
    kind: Literal["teacher", "student"],
    data: TrainingData,
    arm: Arm,
    seed: int,
    folder: TrainingFolder,
    models: Mapping[str, str],
    make: Callable[[], Any],
    targets: Callable[[], np.ndarray] | None,
    follow: Callable[[], Any] | None,
) -> dict[str, Any]:
    """Make the ranker, train it as `train_ranker` does, write its weights and finished.json."""
    ranker = on_device(make())
    if recipe.freeze_word_embeddings:
        freeze_word_embeddings(ranker)
    model = recipe.teacher_model if kind == "teacher" else recipe.student_model
    model = model or recipe.teacher_model
    layer_teacher = _followed(ranker, follow, recipe, data) if follow else (None, None)
    with fixed_threads(recipe.threads):
        loop = train_ranker(
            ranker,
            data.groups,
            data.tokens(recipe, model, ranker.tokenizer),
            arm,
            recipe.teacher if kind == "teacher" else recipe.student,
            folder,
            seed=seed,
            precision=recipe.precision,
            margin=recipe.margin,
            teacher_scores=targets() if targets else None,
            layer_teacher=layer_teacher[0],
            layer_tokens=layer_teacher[1],
        )
        if is_first():
            reads = {name: getattr(recipe, name) for name in READS}
            save_ranker(ranker, folder.final, reads)
            folder.finish(_record(recipe, kind, data, arm, seed, folder, models, loop))
    total(0.0)  # the others wait for it
    return folder.finished() or {}


def _record(
    recipe: Recipe,
    kind: str,
    data: TrainingData,
    arm: Arm,
    seed: int,
    folder: TrainingFolder,
    models: Mapping[str, str],
    loop: Any,
) -> dict[str, Any]:
    """What finished.json says: the loop's own summary, the weights, where they were made."""
    return {
        **loop.summary(),
        "weights_sha256": weights_checksums(folder.final),
        "seconds": round(loop.seconds, 3),
        "provenance": provenance.collect(
            paper="bert_distill_losses",
            command=f"{kind}, {arm.title}, recipe {recipe.name}",
            seed=seed,
            data={"+".join(recipe.data): data.groups.sha256},
            models=dict(models),
            started=loop.began,
            wall_s=loop.seconds,
            training_code_sha256=folder.request.get("code_sha256"),
        ),
    }


def _followed(
    student: Any, follow: Callable[[], Any], recipe: Recipe, data: TrainingData
) -> tuple[Any, PairTokens | None]:
    """(the encoder whose layers the student follows, its own tokens where ids are other)."""
    teacher = on_device(follow())
    if same_tokenizer(teacher.tokenizer, student.tokenizer):
        return teacher.encoder, None
    return teacher.encoder, data.tokens(recipe, recipe.teacher_model, teacher.tokenizer)


def on_device(model: Any) -> Any:
    """On the GPU of this process, if there is one."""
    return model.to(usual_device())
