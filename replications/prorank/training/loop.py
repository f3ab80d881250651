"""The loop of every stage: the recipe's updates in its folder, and what a finished stage writes."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ir_replications.prorank.training.recipe import Recipe
from ir_replications.reports.records import provenance
from ir_replications.shared.training import TrainingFolder, Updates
from ir_replications.shared.training.adapters import note_base
from ir_replications.shared.training.distributed import is_first, total
from ir_replications.shared.training.folder import weights_checksums
from ir_replications.shared.training.loop import UpdateLoop


class Loop(UpdateLoop):
    """The updates of one stage of a recipe; the parameters that need gradients are trained."""

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        settings: Updates,
        folder: TrainingFolder,
        repeats: int = 1,
    ) -> None:
        self.model, self.recipe = model, recipe
        super().__init__(
            {n: p for n, p in model.named_parameters() if p.requires_grad},
            settings,
            folder,
            seed=recipe.seed,
            precision=recipe.precision,
            repeats=repeats,
        )

    def save_weights(self) -> None:
        """Write the adapter, or the whole model, to the folder's `final`."""
        if is_first():
            save_weights(self.model, self.recipe, self.folder)

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write finished.json; returns the run's own record, in every process."""
        record, whole = None, {**result, **self.summary()}
        if is_first():
            record = finish(self.folder, self.recipe, whole, self.began, self.seconds)
        total(0.0)  # the others wait for it
        return record or self.folder.finished() or {}


def save_weights(model: Any, recipe: Recipe, folder: TrainingFolder) -> None:
    """Write the adapter, or the whole model, to the folder's `final`."""
    from safetensors import SafetensorError
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        model.save_pretrained(str(folder.final))
    except SafetensorError as error:
        raise OSError(errno.ENOSPC, "the weights could not be written") from error
    if recipe.lora is not None:
        note_base(folder.final, recipe.model, str(folder.request.get("model_sha256")))


def finish(
    folder: TrainingFolder,
    recipe: Recipe,
    result: Mapping[str, Any],
    began: datetime,
    seconds: float,
) -> dict[str, Any]:
    """Write finished.json with the result, the weights' checksums and where they were made."""
    request = folder.request
    return folder.finish(
        {
            **result,
            "weights_sha256": weights_checksums(folder.final),
            "seconds": round(seconds, 3),
            "provenance": provenance.collect(
                paper="prorank",
                command=f"prorank {request.get('stage')}, recipe {recipe.name}",
                seed=recipe.seed,
                data={"+".join(recipe.data): str(request.get("data_sha256"))},
                models={recipe.model: str(request.get("model_sha256"))},
                started=began,
                wall_s=seconds,
                training_code_sha256=request.get("code_sha256"),
            ),
        }
    )
