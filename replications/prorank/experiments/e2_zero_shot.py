"""E2: what an untrained model answers (B1, C6): format, accuracy and AUC on balanced pairs.

As measured for the report on the paper (section 7): documents cut after 80 words.
"""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.prorank.experiments.systems import add, answers, needed_pairs, ready
from ir_replications.prorank.training.recipe import load_recipe
from ir_replications.shared.evaluation.metrics import Scores

WORDS = 80
MODEL = "embedded:smollm2-135m-instruct"  # of both recipes, which planning does not read


def cells(plan: Plan) -> list[dict[str, Any]]:
    """The untrained model on each collection that has a development split."""
    if plan.tier == "paper":
        return []
    recipe = "embedded" if plan.tier == "embedded" else "small"
    base = {"recipe": recipe, "model": MODEL, "system": "zero-shot"}
    if plan.tier == "embedded":
        return [base | {"collection": name, "couples": 4} for name in plan.collections]
    return [
        base | {"collection": name, "couples": 60}
        for name in plan.collections
        if plan.chosen or not name.startswith("rerank/")  # pools have no development split
    ]


def run(config: Config, context: Context) -> Outcome:
    """Ask the model about couples of pairs."""
    recipe = load_recipe(config["recipe"], max_length=512)
    pairs = needed_pairs(config["collection"], context, config["couples"], WORDS)
    system = ready(config, recipe, context)
    measures, facts = answers(system.reranker, recipe, pairs)
    scores = Scores(per_query={}, means={})
    for name, values in measures.items():
        add(scores, name, values)
    return Outcome(scores=scores, facts=facts, models=system.models)


EXPERIMENT = Experiment(
    id="E2",
    title="what the untrained model answers",
    cells=cells,
    run=run,
    cost={"embedded": "10 s; 98 MB of models", "small": "1 min; 98 MB of models"},
    needs_model=True,
)
