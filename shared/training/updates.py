"""How a training run changes the weights: the optimiser's settings of every loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ir_replications.shared.training import bounds


@dataclass(frozen=True)
class Updates:
    """How often and how a run changes the weights: AdamW, clipped gradients, checkpoints."""

    steps: bounds.Steps  # batches
    learning_rate: bounds.Rate = 2e-5
    warmup_ratio: bounds.Share = 0.1
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    adam_beta1: bounds.Share = 0.9
    adam_beta2: bounds.Share = 0.999
    weight_decay: Annotated[float, bounds.Bounds(0, 10)] = 0.0
    max_grad_norm: bounds.Scale = 1.0
    save_steps: bounds.Steps = 50
