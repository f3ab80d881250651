"""E1: golden values and properties, G1 to G13."""

from __future__ import annotations

from ir_replications.bert_distill_losses.checks import layers, ranking, training
from ir_replications.engine.checks import checks_experiment

CHECKS = ranking.CHECKS | layers.CHECKS | training.CHECKS

EXPERIMENT = checks_experiment(
    "goldens: losses on scores and on layers, teacher, students, training",
    dict(sorted(CHECKS.items())),
    cost="15 s",
)
