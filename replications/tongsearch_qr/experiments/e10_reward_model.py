"""E10: E5's training with another reward model: does a better embedder teach better queries (B9)?

The paper's reward is of bge-base-en-v1.5 (109M parameters), E5's of all-MiniLM-L6-v2 (23M).
all-mpnet-base-v2 has the size of the paper's. Nothing else differs from E5.
"""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.models.embedder import MPNET
from ir_replications.tongsearch_qr.experiments import e5_training
from ir_replications.tongsearch_qr.training.recipe import load_recipe


def cells(plan: Plan) -> list[dict[str, Any]]:
    """E5's cells of the model that GRPO trains, with the other embedder."""
    if plan.tier != "small":
        return []
    found = e5_training.cells(plan)
    return [cell | {"embedder": MPNET} for cell in found if cell["system"] == "grpo"]


def run(config: Config, context: Context) -> Outcome:
    """Train with the config's embedder as reward (resumable), rewrite, score as E5 does."""
    recipe = load_recipe(config["recipe"], seed=config["seed"], embedder=config["embedder"])
    return e5_training.measure(config, recipe, "grpo", context)


EXPERIMENT = Experiment(
    id="E10",
    title="training with GRPO, the reward from a larger embedder",
    cells=cells,
    run=run,
    cost={"small": "3 h of CPU; 650 MB of models"},
    needs_model=True,
)
