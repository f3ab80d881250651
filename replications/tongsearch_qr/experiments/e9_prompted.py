"""E9: a larger model that is only prompted, against the small trained one of E5 (B8).

The paper compares its models with prompted reasoners of up to GPT-4's size. Here a model of four
times E5's parameters gets the released prompt and sampling, untrained, on the same test sets: with
as many new tokens as E5's, and with four times as many, since nothing has taught it to be short.
"""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.tongsearch_qr.experiments.e5_training import MAX_WORDS, measure
from ir_replications.tongsearch_qr.training.recipe import load_recipe

QWEN = "embedded:qwen2.5-coder-0.5b-instruct"
LONGER = 4


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Number of new tokens x test set, the shorter ones first."""
    if plan.tier != "small":
        return []
    recipe = load_recipe("small")
    sets: list[dict[str, Any]] = [
        {"collection": name, "max_query_words": MAX_WORDS}
        for name in plan.collections
        if name != recipe.data
    ]
    if not plan.chosen or recipe.data in plan.collections:
        sets.insert(0, {"collection": recipe.data})
    return [
        {"recipe": recipe.name, "model": QWEN, "system": "prompted", "max_new_tokens": tokens} | one
        for tokens in (recipe.max_completion_tokens, LONGER * recipe.max_completion_tokens)
        for one in sets
    ]


def run(config: Config, context: Context) -> Outcome:
    """Rewrite the test queries and score them as E5 does."""
    recipe = load_recipe(config["recipe"], model=config["model"])
    return measure(config, recipe, None, context)


EXPERIMENT = Experiment(
    id="E9",
    title="a prompted model of 0.5B against the trained one of 135M",
    cells=cells,
    run=run,
    cost={"small": "90 min of CPU; 500 MB of models"},
    needs_model=True,
)
