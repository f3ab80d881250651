"""E1: golden values and properties, A1 to A10; what needs BRIGHT's queries runs at tier small."""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import MissingDependencyError
from ir_replications.tongsearch_qr.checks import prompts, retrieval, reward

CHECKS = reward.CHECKS | prompts.CHECKS | retrieval.CHECKS
DATA_CHECKS = prompts.DATA_CHECKS


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per check; a check needs no collection of the user's."""
    names = {"embedded": CHECKS, "small": {} if plan.chosen else DATA_CHECKS}
    return [{"check": name} for name in sorted(names.get(plan.tier, ()))]


def run(config: Config, context: Context) -> Outcome:
    """Run one check."""
    name = config["check"]
    if name in CHECKS:
        return Outcome(facts=dict(CHECKS[name]()))
    if find_data_root(context.data_root) is None:
        raise MissingDependencyError(f"{name} needs BRIGHT's queries: set IR_REPLICATIONS_DATA")
    context.files("bright")
    return Outcome(facts=dict(DATA_CHECKS[name](context)))


EXPERIMENT = Experiment(
    id="E1",
    title="goldens: reward, advantages, prompts, data builder, retrieval",
    cells=cells,
    run=run,
    cost={"embedded": "5 s", "small": "10 s"},
)
