"""E3: pair KL's temperature, RankNet beside it and Margin-MSE at its end; weights of the losses on
layers and of the hinge; students of three layers."""

from __future__ import annotations

from typing import Any

from ir_replications.bert_distill_losses.experiments.students import (
    SEEDS,
    base_of,
    student_cell,
    student_outcome,
)
from ir_replications.engine.experiment import Experiment, Plan

TEMPERATURES = (0.5, 1.0, 2.0, 5.0, 10.0)
WEIGHTS = (0.001, 0.01, 0.1, 1.0)
HARD_WEIGHTS = {"A8": 10.0, "A9": 0.1}  # a gradient about as large, a quarter as large
DEEPER = 3  # divides the teacher's six, as two do


def cells(plan: Plan) -> list[dict[str, Any]]:
    """The axes with their ends, collection by collection, for the first three seeds."""
    if plan.tier != "small":
        return []
    points: list[tuple[str, str, dict[str, Any]]] = [("temperature", "A3", {})]
    points += [("temperature", "A6", {"temperature": t}) for t in TEMPERATURES]
    points += [("temperature", "A5", {})]
    points += [("weight", "A8", {})]
    points += [("weight", "A13", {"weight": weight}) for weight in WEIGHTS]
    points += [("hard weight", arm, {"hard_weight": w}) for arm, w in HARD_WEIGHTS.items()]
    points += [("depth", arm, {"layers": DEEPER}) for arm in ("A2", "A5", "A8", "A13")]
    # At the recipe's rate, whatever an arm's own is: along an axis nothing else may change.
    return [
        base_of(plan.tier, name)
        | {"study": study}
        | student_cell(arm, seed, plan.tier, tuned=False, **changes)
        for study, arm, changes in points
        for name in plan.collections
        for seed in SEEDS[plan.tier][:3]  # innermost, as in E2
    ]


EXPERIMENT = Experiment(
    id="E3",
    title="axes: temperature, weights of the layers and of the hinge, depth",
    cells=cells,
    run=student_outcome,
    cost={"small": "6 h on one core; 91 MB of models"},
    needs_model=True,
)
