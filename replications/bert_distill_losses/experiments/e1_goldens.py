"""E1: golden values and properties, G1 to G13."""

from __future__ import annotations

from typing import Any

from ir_replications.bert_distill_losses.checks import (
    layers as goldens_layers,
)
from ir_replications.bert_distill_losses.checks import (
    ranking as goldens_ranking,
)
from ir_replications.bert_distill_losses.checks import (
    training as goldens_training,
)
from ir_replications.engine.execute import Config, Context, Experiment, Outcome, Plan

CHECKS = goldens_ranking.CHECKS | goldens_layers.CHECKS | goldens_training.CHECKS


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per check, at the embedded tier; a check needs no collection."""
    return [{"check": name} for name in sorted(CHECKS)] if plan.tier == "embedded" else []


def run(config: Config, context: Context) -> Outcome:
    """Run one check."""
    return Outcome(facts=dict(CHECKS[config["check"]]()))


EXPERIMENT = Experiment(
    id="E1",
    title="goldens: losses on scores and on layers, teacher, students, training",
    cells=cells,
    run=run,
    cost={"embedded": "15 s"},
)
