"""E1 of a paper: named checks that need no collection, each a cell whose facts it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan

Check = Callable[[], Mapping[str, Any]]


def checks_experiment(
    title: str, checks: Mapping[str, Check], cost: str, *, key: str = "check"
) -> Experiment:
    """An experiment with one cell per check, at the embedded tier, in the order of `checks`.

    `key` is what a cell's config calls the check's name; `cost` is the time of all of them.
    """

    def cells(plan: Plan) -> list[dict[str, Any]]:
        return [{key: name} for name in checks] if plan.tier == "embedded" else []

    def run(config: Config, context: Context) -> Outcome:
        return Outcome(facts=dict(checks[config[key]]()))

    return Experiment(id="E1", title=title, cells=cells, run=run, cost={"embedded": cost})
