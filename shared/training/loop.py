"""What a training loop needs: updates, checkpoints, a log.

Of several processes (shared.training.distributed) the first writes the files.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ir_replications.shared.errors import DivergedError, InputError
from ir_replications.shared.processor import note_slow_bfloat16
from ir_replications.shared.reading import read_json
from ir_replications.shared.training.distributed import (
    is_first,
    place,
    start_alike,
    sum_gradients,
    total,
)
from ir_replications.shared.training.folder import KEPT, TrainingFolder
from ir_replications.shared.training.followed import Steps, followed
from ir_replications.shared.training.updates import Updates


class UpdateLoop:
    """Optimiser, learning rate, checkpoints and log of one run in its folder.

    `steps()` yields the numbers of the batches still to do; a run that was killed goes on after
    its last checkpoint with the same weights, optimiser state and random numbers, in as many
    processes or in another number of them. `parameters` are those to train, by name; `repeats`
    counts the updates made of one batch. A bar on the terminal shows how far it is.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        settings: Updates,
        folder: TrainingFolder,
        *,
        seed: int,
        precision: str = "float32",
        repeats: int = 1,
    ) -> None:
        from transformers import get_scheduler

        self.trainable, self.settings, self.folder = dict(parameters), settings, folder
        self.precision = precision
        if precision == "bfloat16":
            note_slow_bfloat16()
        self.generator = torch.Generator().manual_seed(seed)
        self.resumed_from: str | None = None
        self.done = 0  # batches
        self.began, self._started = datetime.now(UTC), time.perf_counter()
        self._seconds = 0.0  # of earlier processes
        updates = settings.steps * repeats
        self.optimizer = torch.optim.AdamW(
            self.trainable.values(),
            lr=settings.learning_rate,
            betas=(settings.adam_beta1, settings.adam_beta2),
            eps=1e-8,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.schedule = get_scheduler(
            settings.scheduler,
            self.optimizer,
            num_warmup_steps=round(settings.warmup_ratio * updates),
            num_training_steps=updates,
        )
        weights = sum(p.numel() * p.element_size() for p in self.trainable.values())
        if checkpoint := folder.start((1 + 3 * KEPT) * weights, settings.steps):
            self._resume(checkpoint)
        start_alike(self.trainable.values(), self.done)
        self._followed: Steps | None = None

    def steps(self) -> Iterator[int]:
        """Batch numbers from 0, checkpointing after every `save_steps` of them."""
        steps = self.settings.steps
        name = self.folder.request.get("stage") or self.folder.request.get("kind")
        unit = f"updates of the {name}" if name else "updates"
        with followed(steps, unit, done=self.done, name=name) as self._followed:
            while self.done < steps:
                yield self.done
                self.done += 1
                self._followed.advance()
                if is_first() and self.done % self.settings.save_steps == 0 and self.done < steps:
                    self._save()
        total(0.0)  # the log is complete for every process

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision where the recipe asks for bfloat16."""
        device = next(iter(self.trainable.values())).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    def check(self, what: str, finite: bool) -> None:
        """Raise DivergedError naming the step where something is not finite in any process."""
        if total(float(not finite)):
            raise DivergedError(
                f"{self.folder.path}: the {what} is not finite at step {self.done + 1}; lower "
                "the learning rate; the last checkpoint is kept"
            )

    def update(self, loss: float) -> dict[str, float]:
        """One update from the gradients that were accumulated; what to log of it.

        Loss and gradients are this process's part of the batch's and are summed over processes.
        Raises DivergedError for a loss or gradient that is not finite, before any weight changes.
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
        if self._followed is not None:
            shown = {name: entry[name] for name in ("loss", "reward") if name in entry}
            self._followed.note(**shown)

    def summary(self) -> dict[str, Any]:
        """What the run's own record says of every loop."""
        return {
            "steps": self.done,
            "trainable_parameters": sum(p.numel() for p in self.trainable.values()),
            "resumed_from": self.resumed_from,
            "processes": place()[1],
        }

    @property
    def seconds(self) -> float:
        """Seconds of training, those of earlier processes included."""
        return self._seconds + time.perf_counter() - self._started

    def _save(self) -> None:
        """A checkpoint, complete or not there: written beside and moved in place."""
        scratch = self.folder.path / f".checkpoint-{self.done}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        state = {
            "weights": {name: p.detach().cpu() for name, p in self.trainable.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
        }
        torch.save(state, scratch / "state.pt")
        note = {"global_step": self.done, "seconds": self.seconds}
        (scratch / "trainer_state.json").write_text(json.dumps(note) + "\n", "utf-8")
        self.folder.keep_checkpoint(self.done, scratch)

    def _resume(self, checkpoint: Path) -> None:
        try:
            state = torch.load(checkpoint / "state.pt", weights_only=True)
            note = read_json(checkpoint / "trainer_state.json")
            with torch.no_grad():
                for name, parameter in self.trainable.items():
                    parameter.copy_(state["weights"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.generator.set_state(state["generator"])
            self.done, self._seconds = note["global_step"], float(note["seconds"])
        except (
            OSError, EOFError, LookupError, TypeError, ValueError, RuntimeError, UnpicklingError,
        ) as error:  # fmt: skip
            raise InputError(
                f"{checkpoint}: cannot be read ({type(error).__name__}); delete it, and the run "
                "goes on from the one before"
            ) from error
        self.resumed_from = checkpoint.name
