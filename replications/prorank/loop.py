"""What every stage's training loop needs: a model made ready, updates, checkpoints, an end."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from replications.prorank.recipe import Lora, Recipe, Updates
from reports import provenance
from shared.errors import InputError, MissingDependencyError
from shared.files import sha256_file
from shared.training import TrainingFolder, adapter_sha256
from shared.training.adapters import note_base

KEPT = 2  # checkpoints


def prepared(model: Any, recipe: Recipe, start: Path | None = None) -> Any:
    """The model ready for training, on the GPU if there is one, with dropout off.

    Seeds are set first. With LoRA a new adapter is attached, or the one in `start` goes on;
    without, every parameter is trained, from the weights in `start` if given. Changes `model`.
    """
    from transformers import set_seed

    set_seed(recipe.seed)  # before the adapter draws its random numbers
    if recipe.lora is None:
        if start is not None:
            model = type(model).from_pretrained(str(start), dtype=model.dtype)
        model.requires_grad_(True)
    else:
        model = _adapted(model, recipe, start)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()  # gradient checkpointing works in training mode only
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    return model.to("cuda") if torch.cuda.is_available() else model


def lora_config(recipe: Recipe, model: Any) -> Any:
    """The recipe's adapter of `model` for peft; None: every parameter is trained.

    Raises InputError where the recipe leaves more layers alone than the model has.
    """
    if recipe.lora is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingDependencyError("adapters need peft: pip install peft") from error

    return LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=0.0,
        target_modules=list(recipe.lora.targets),
        layers_to_transform=_adapted_layers(model, recipe.lora),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _adapted_layers(model: Any, lora: Lora) -> list[int] | None:
    """Numbers of the layers with an adapter, counting from the input; None: all of them."""
    if lora.first_layer == 0:
        return None
    layers = model.config.num_hidden_layers
    if lora.first_layer >= layers:
        raise InputError(f"lora: first_layer {lora.first_layer}, and the model has {layers} layers")
    return list(range(lora.first_layer, layers))


def _adapted(model: Any, recipe: Recipe, start: Path | None) -> Any:
    config = lora_config(recipe, model)
    from peft import PeftModel, get_peft_model

    with warnings.catch_warnings():  # peft asks transformers by a name that is about to change
        warnings.simplefilter("ignore", FutureWarning)
        if start is None:
            return get_peft_model(model, config)
        adapter_sha256(start)
        return PeftModel.from_pretrained(model, str(start), is_trainable=True)


class Loop:
    """Optimiser, learning rate, checkpoints and log of one stage in its folder.

    `steps()` yields the numbers of the batches still to do; a run that was killed goes on after
    its last checkpoint with the same weights, optimiser state and random numbers.
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

    def steps(self) -> Iterator[int]:
        """Batch numbers from 0, checkpointing after every `save_steps` of them."""
        while self.done < self.settings.steps:
            yield self.done
            self.done += 1
            if self.done % self.settings.save_steps == 0 and self.done < self.settings.steps:
                self._save()

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision where the recipe asks for bfloat16."""
        device = next(iter(self.trainable.values())).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def check(self, what: str, finite: bool) -> None:
        """Raise InputError naming the step where something is not finite."""
        if not finite:
            raise InputError(
                f"{self.folder.path}: the {what} is not finite at step {self.done + 1}; lower "
                "the learning rate; the last checkpoint is kept"
            )

    def update(self, loss: float) -> dict[str, float]:
        """One update from the gradients that were accumulated; what to log of it.

        Raises InputError for a loss or gradient that is not finite, before any weight changes.
        """
        self.check("loss", math.isfinite(loss))
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
        self.folder.log({"step": self.done + 1, **entry})

    def save_weights(self) -> None:
        """Write the adapter, or the whole model, to the folder's `final`."""
        save_weights(self.model, self.recipe, self.folder)

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write finished.json; returns the run's own record."""
        mine = {
            "steps": self.done,
            "trainable_parameters": sum(p.numel() for p in self.trainable.values()),
            "resumed_from": self.resumed_from,
        }
        seconds = self._seconds + time.perf_counter() - self._started
        return finish(self.folder, self.recipe, {**result, **mine}, self._began, seconds)

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
