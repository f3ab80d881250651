"""Trainer callbacks: metrics to the run's log, checkpoints with their checksums."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback

from ir_replications.shared.errors import DivergedError
from ir_replications.shared.training.distributed import total
from ir_replications.shared.training.folder import TrainingFolder


class SealCheckpoints(TrainerCallback):
    """Seals each checkpoint once every process has written its part, and removes old ones.

    In place of `save_total_limit`, which takes any folder named like checkpoint-4.bak for its own.
    """

    def __init__(self, folder: TrainingFolder) -> None:
        self.folder = folder

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        total(0.0)
        if state.is_world_process_zero:
            self.folder.keep_checkpoint(state.global_step)


class LogMetrics(TrainerCallback):
    """Writes every logged number to the folder's log.jsonl; stops at a loss that is not finite."""

    def __init__(self, folder: TrainingFolder) -> None:
        self.folder = folder

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero or not logs:
            return
        numbers = {k: float(v) for k, v in logs.items() if isinstance(v, int | float)}
        for name in ("loss", "grad_norm"):
            if not math.isfinite(numbers.get(name, 0.0)):
                raise DivergedError(
                    f"{self.folder.path}: {name} is not finite at step {state.global_step}; lower "
                    "the learning rate; the last checkpoint is kept"
                )
        if "train_runtime" not in numbers:  # the closing summary is no step
            self.folder.log({"step": state.global_step, **numbers})
