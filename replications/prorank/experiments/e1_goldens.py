"""E1: golden values and properties, A1 to A15."""

from __future__ import annotations

from ir_replications.engine.checks import checks_experiment
from ir_replications.prorank.checks import prompt, reranking, score, training

CHECKS = prompt.CHECKS | score.CHECKS | training.CHECKS | reranking.CHECKS

EXPERIMENT = checks_experiment(
    "goldens: prompt, score, rewards, losses, reranking",
    dict(sorted(CHECKS.items())),
    cost="15 s",
)
