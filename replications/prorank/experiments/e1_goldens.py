"""E1: golden values and properties, A1 to A15."""

from __future__ import annotations

from typing import Any

from ir_replications.engine.execute import Config, Context, Experiment, Outcome, Plan
from ir_replications.prorank.checks import (
    prompt as goldens_prompt,
)
from ir_replications.prorank.checks import (
    reranking as goldens_reranking,
)
from ir_replications.prorank.checks import (
    score as goldens_score,
)
from ir_replications.prorank.checks import (
    training as goldens_training,
)

CHECKS = (
    goldens_prompt.CHECKS
    | goldens_score.CHECKS
    | goldens_training.CHECKS
    | goldens_reranking.CHECKS
)


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per check, at the embedded tier; a check needs no collection."""
    return [{"check": name} for name in sorted(CHECKS)] if plan.tier == "embedded" else []


def run(config: Config, context: Context) -> Outcome:
    """Run one check."""
    return Outcome(facts=dict(CHECKS[config["check"]]()))


EXPERIMENT = Experiment(
    id="E1",
    title="goldens: prompt, score, rewards, losses, reranking",
    cells=cells,
    run=run,
    cost={"embedded": "15 s"},
)
