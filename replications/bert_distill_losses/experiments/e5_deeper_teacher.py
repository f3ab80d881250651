"""E5: a teacher of twelve layers of another model (plan.md).

Do hard labels matter where the teacher is strong and the student weak?
"""

from __future__ import annotations

from typing import Any

from ir_replications.bert_distill_losses.experiments.e2_arms import run
from ir_replications.bert_distill_losses.experiments.students import (
    SEEDS,
    base_of,
    student_cell,
)
from ir_replications.engine.experiment import Experiment, Plan

BASELINES = ("bm25", "oracle")
TEACHER = 11
ARMS = ("A5", "A8", "A11", "A2", "A6", "A9", "A4", "A7", "A1", "A10")  # in the plan's order
LAYERS = (6, 3, 2)


def cells(plan: Plan) -> list[dict[str, Any]]:
    """First stage, best reranking and teacher, then every arm at each depth of the student."""
    if plan.tier != "small":
        return []
    bases = [base_of("mpnet", name) for name in plan.collections]
    found: list[dict[str, Any]] = [base | {"system": s} for base in bases for s in BASELINES]
    found += [base | {"system": "teacher", "seed": TEACHER} for base in bases]
    found += [
        base | student_cell(arm, seed, plan.tier, tuned=False, layers=layers)
        for layers in LAYERS
        for arm in ARMS
        for base in bases
        for seed in SEEDS[plan.tier]  # innermost, as in E2
    ]
    return found


EXPERIMENT = Experiment(
    id="E5",
    title="a teacher of twelve layers: hard and soft losses, students of six, three and two",
    cells=cells,
    run=run,
    cost={"small": "40 h on one core; 490 MB of models"},
    needs_model=True,
)
