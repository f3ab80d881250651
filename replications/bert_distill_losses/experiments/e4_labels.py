"""E4: other teachers (C-7), groups without labels, few labels and wrong ones (C-8)."""

from __future__ import annotations

from typing import Any

from ir_replications.bert_distill_losses.experiments.students import (
    SEEDS,
    base_of,
    student_cell,
    student_outcome,
)
from ir_replications.engine.experiment import Experiment, Plan

CHANGES: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    ("ensemble", {"teacher": "ensemble"}, ("A5", "A8", "A6", "A9")),
    ("cross-fitted", {"teacher": "cross-fitted"}, ("A5", "A8", "A6", "A9")),
    ("half of the groups unlabelled", {"unlabelled": 0.5}, ("A5", "A8", "A6", "A9")),
    ("a quarter of the labels", {"labelled": 0.25}, ("A2", "A5", "A8")),
    ("30 % wrong labels", {"swapped": 0.3}, ("A2", "A5", "A8")),
)


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Soft and soft + hard arms under every change, collection by collection, three seeds."""
    if plan.tier != "small":
        return []
    return [
        base_of(plan.tier, name) | {"study": study} | student_cell(arm, seed, plan.tier, **changes)
        for study, changes, arms in CHANGES
        for arm in arms
        for name in plan.collections
        for seed in SEEDS[plan.tier][:3]  # innermost, as in E2
    ]


EXPERIMENT = Experiment(
    id="E4",
    title="labels: other teachers, groups without labels, few labels, wrong labels",
    cells=cells,
    run=student_outcome,
    cost={"small": "7 h on one core; 91 MB of models"},
    needs_model=True,
)
