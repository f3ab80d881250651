"""How a training run changes the weights: the optimiser's settings of every loop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shared.errors import InputError


@dataclass(frozen=True)
class Updates:
    """How often and how a run changes the weights: AdamW, clipped gradients, checkpoints."""

    steps: int  # batches
    learning_rate: float = 2e-5
    warmup_ratio: float = 0.1
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    save_steps: int = 50

    def check(self, name: str) -> None:
        """Raise InputError for values that cannot be."""
        if self.steps < 1 or not 0 < self.learning_rate < math.inf:
            raise InputError(f"{name}: expected steps and learning_rate above 0")
        if not 0 <= self.warmup_ratio < 1 or self.max_grad_norm <= 0 or self.save_steps < 1:
            raise InputError(
                f"{name}: expected warmup_ratio in [0, 1), max_grad_norm and save_steps above 0"
            )
