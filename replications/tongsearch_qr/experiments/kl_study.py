"""How far training leaves the reference for several weights of the KL term (B4)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from ir_replications.tongsearch_qr.training.recipe import Recipe
from ir_replications.tongsearch_qr.training.run import TrainingRows, train

BETAS = (0.0, 0.008, 0.1)  # none, the paper's, and one that should be felt
STEPS = 16
_UNFELT = 1e-9  # TRL computes no KL at all for a weight of 0
_LAST = 4  # steps whose mean is compared


def kl_by_weight(recipe: Recipe, rows: TrainingRows) -> dict[str, Any]:
    """Short runs from one seed that differ in the KL weight alone; KL and length per step."""
    curves: dict[str, list[dict[str, float]]] = {}
    final: dict[str, float] = {}
    for beta in BETAS:
        short = replace(
            recipe,
            kl_beta=beta or _UNFELT,
            max_steps=STEPS,
            per_device_batch=recipe.group_size,
            save_steps=STEPS + 1,
        )
        with tempfile.TemporaryDirectory() as folder:
            log = train(short, rows=rows, output=Path(folder) / "run").log
        curves[f"{beta:g}"] = [
            {"step": e["step"], "kl": e["kl"], "length": e["completions/mean_length"]} for e in log
        ]
        final[f"{beta:g}"] = sum(e["kl"] for e in log[-_LAST:]) / _LAST
    ordered = [final[f"{beta:g}"] for beta in BETAS]
    return {
        "kl_curves": curves,
        "final_kl": final,
        "kl_out_of_order": sum(a < b for a, b in pairwise(ordered)),
    }
