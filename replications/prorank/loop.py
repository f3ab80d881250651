"""What every stage's training loop needs: updates, checkpoints, a log, an end.

Of several processes (see distributed.py) the first writes the files.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from tqdm import tqdm

from replications.prorank.distributed import is_first, place, start_alike, sum_gradients, total
from replications.prorank.recipe import Recipe, Updates
from reports import provenance
from shared.errors import InputError
from shared.files import sha256_file
from shared.training import TrainingFolder
from shared.training.adapters import note_base

KEPT = 2  # checkpoints


class Loop:
    """Optimiser, learning rate, checkpoints and log of one stage in its folder.

    `steps()` yields the numbers of the batches still to do; a run that was killed goes on after
    its last checkpoint with the same weights, optimiser state and random numbers, in as many
    processes or in another number of them. A bar on the terminal shows how far it is.
    """

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        settings: Updates,
        folder: TrainingFolder,
        repeats: int = 1,
    ) -> None:
        from transformers import get_scheduler

        self.model, self.recipe, self.settings, self.folder = model, recipe, settings, folder
        self.trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.resumed_from: str | None = None
        self.done = 0  # batches
        self._began, self._started = datetime.now(UTC), time.perf_counter()
        self._seconds = 0.0  # of earlier processes
        updates = settings.steps * repeats
        self.optimizer = torch.optim.AdamW(
            self.trainable.values(),
            lr=settings.learning_rate,
            betas=(settings.adam_beta1, settings.adam_beta2),
            eps=1e-8,
            weight_decay=settings.weight_decay,
        )
        self.schedule = get_scheduler(
            settings.scheduler,
            self.optimizer,
            num_warmup_steps=round(settings.warmup_ratio * updates),
            num_training_steps=updates,
        )
        weights = sum(p.numel() * p.element_size() for p in self.trainable.values())
        if checkpoint := folder.start(needed_bytes=(1 + 3 * KEPT) * weights):
            self._resume(checkpoint)
        start_alike(self.trainable.values(), self.done)
        self._bar: Any = None

    def steps(self) -> Iterator[int]:
        """Batch numbers from 0, checkpointing after every `save_steps` of them."""
        steps = self.settings.steps
        hidden = None if is_first() else True  # None: hidden where stderr is no terminal
        name = self.folder.request.get("stage")
        with tqdm(total=steps, initial=self.done, desc=name, disable=hidden) as self._bar:
            while self.done < steps:
                yield self.done
                self.done += 1
                self._bar.update()
                if is_first() and self.done % self.settings.save_steps == 0 and self.done < steps:
                    self._save()
        total(0.0)  # the log is complete for every process

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision where the recipe asks for bfloat16."""
        device = next(iter(self.trainable.values())).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def check(self, what: str, finite: bool) -> None:
        """Raise InputError naming the step where something is not finite in any process."""
        if total(float(not finite)):
            raise InputError(
                f"{self.folder.path}: the {what} is not finite at step {self.done + 1}; lower "
                "the learning rate; the last checkpoint is kept"
            )

    def update(self, loss: float) -> dict[str, float]:
        """One update from the gradients that were accumulated; what to log of it.

        Loss and gradients are this process's part of the batch's and are summed over processes.
        Raises InputError for a loss or gradient that is not finite, before any weight changes.
        """
        loss = total(loss)
        self.check("loss", math.isfinite(loss))
        sum_gradients(self.trainable.values())
        norm = float(
            torch.nn.utils.clip_grad_norm_(self.trainable.values(), self.settings.max_grad_norm)
        )
        self.check("gradient", math.isfinite(norm))
        rate = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"loss": loss, "grad_norm": norm, "learning_rate": rate}

    def log(self, entry: Mapping[str, float]) -> None:
        """Write the metrics of the batch at hand."""
        if is_first():
            self.folder.log({"step": self.done + 1, **entry})
        if self._bar is not None:
            shown = {name: entry[name] for name in ("loss", "reward") if name in entry}
            self._bar.set_postfix(shown, refresh=False)

    def save_weights(self) -> None:
        """Write the adapter, or the whole model, to the folder's `final`."""
        if is_first():
            save_weights(self.model, self.recipe, self.folder)

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write finished.json; returns the run's own record, in every process."""
        mine = {
            "steps": self.done,
            "trainable_parameters": sum(p.numel() for p in self.trainable.values()),
            "resumed_from": self.resumed_from,
            "processes": place()[1],
        }
        seconds, record = self._seconds + time.perf_counter() - self._started, None
        if is_first():
            record = finish(self.folder, self.recipe, {**result, **mine}, self._began, seconds)
        total(0.0)  # the others wait for it
        return record or self.folder.finished() or {}

    def _save(self) -> None:
        """A checkpoint, complete or not there: written beside and moved in place."""
        target = self.folder.path / f"checkpoint-{self.done}"
        scratch = self.folder.path / f".{target.name}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        state = {
            "weights": {name: p.detach().cpu() for name, p in self.trainable.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
        }
        torch.save(state, scratch / "state.pt")
        seconds = self._seconds + time.perf_counter() - self._started
        note = {"global_step": self.done, "seconds": seconds}
        (scratch / "trainer_state.json").write_text(json.dumps(note) + "\n", "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(scratch, target)
        found = sorted(self.folder.path.glob("checkpoint-*"), key=lambda p: int(p.name[11:]))
        for old in found[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _resume(self, checkpoint: Path) -> None:
        try:
            state = torch.load(checkpoint / "state.pt", weights_only=True)
            note = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
            with torch.no_grad():
                for name, parameter in self.trainable.items():
                    parameter.copy_(state["weights"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.generator.set_state(state["generator"])
            self.done, self._seconds = int(note["global_step"]), float(note["seconds"])
        except (OSError, EOFError, LookupError, ValueError, RuntimeError, UnpicklingError) as error:
            raise InputError(
                f"{checkpoint}: cannot be read ({type(error).__name__}); delete it, and the run "
                "goes on from the one before"
            ) from error
        self.resumed_from = checkpoint.name


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
    weights = sorted(folder.final.glob("*.safetensors"))
    return folder.finish(
        {
            **result,
            "weights_sha256": {path.name: sha256_file(path) for path in weights},
            "seconds": round(seconds, 3),
            "provenance": provenance.collect(
                paper="prorank",
                command=f"prorank {request.get('stage')}, recipe {recipe.name}",
                seed=recipe.seed,
                data={"+".join(recipe.data): str(request.get("data_sha256"))},
                models={recipe.model: str(request.get("model_sha256"))},
                started=began,
                wall_s=seconds,
                code_sha256=provenance.code_digest("prorank"),
            ),
        }
    )
