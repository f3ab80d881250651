"""E6: does subtracting the original query's similarity change what is learned? (B3)

Two runs from one seed differ in nothing but the subtraction. Advantages are scaled by the group's
standard deviation, so in exact arithmetic the parameters never differ while no output fails.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.tongsearch_qr.experiments.e5_training import training_source
from ir_replications.tongsearch_qr.experiments.measuring import fetched
from ir_replications.tongsearch_qr.training.recipe import Recipe, load_recipe
from ir_replications.tongsearch_qr.training.run import TrainingRows, train

STEPS = {"embedded": 2, "small": 10}


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell: both runs, compared step by step, on the recipe's own questions."""
    if plan.tier not in STEPS:
        return []
    recipe = load_recipe("embedded" if plan.tier == "embedded" else "small")
    if plan.chosen and recipe.data not in plan.collections:
        return []
    return [
        {
            "recipe": recipe.name,
            "model": recipe.model,
            "steps": STEPS[plan.tier],
            "seed": recipe.seed,
            "collection": recipe.data,
        }
    ]


def run(config: Config, context: Context) -> Outcome:
    """Train twice and compare the trained parameters after every step."""
    recipe = load_recipe(config["recipe"], seed=config["seed"], max_steps=config["steps"])
    # float32: rounding must be far below the differences looked for. One group a step is enough.
    recipe = replace(
        recipe,
        precision="float32",
        per_device_batch=recipe.group_size,
        save_steps=config["steps"] + 1,
    )
    models = fetched((recipe.model,), context)
    fetched((recipe.embedder,), context)  # of the reward, which a training names itself
    rows = training_source(recipe, context)
    with_baseline, log_with, counts = trajectory(recipe, rows)
    without, log_without, _ = trajectory(replace(recipe, subtract_baseline=False), rows)
    steps = []
    for step, (a, b) in enumerate(zip(with_baseline[1:], without[1:], strict=True), start=1):
        moved = float(np.linalg.norm(a - with_baseline[0]))
        apart = float(np.linalg.norm(a - b))
        one, other = log_with[step - 1], log_without[step - 1]
        steps.append(
            {
                "step": step,
                "distance": apart / moved if moved else 0.0,
                "moved": moved,
                "reward_with": one["reward"],
                "reward_without": other["reward"],
                "spread_with": one["reward_std"],
                "spread_without": other["reward_std"],
            }
        )
    return Outcome(
        facts={
            "trajectory": steps,
            "final_distance": steps[-1]["distance"],
            "final_moved": steps[-1]["moved"],
            "largest_spread_gap": max(abs(s["spread_with"] - s["spread_without"]) for s in steps),
            "smallest_reward_gap": min(s["reward_without"] - s["reward_with"] for s in steps),
            "parameters": int(with_baseline[0].size),
            "failed_outputs": sum(n for kind, n in counts.items() if kind in FAILURES),
            "outputs": counts,
        },
        models=models,
    )


FAILURES = ("empty", "tags missing")


def trajectory(
    recipe: Recipe, rows: TrainingRows
) -> tuple[list[np.ndarray], list[dict[str, Any]], dict[str, int]]:
    """Train in a folder that is thrown away; trainable parameters (P,) before and after each step.

    Also the logged metrics of each step and the counts of outputs by kind.
    """
    from transformers import TrainerCallback

    class Keep(TrainerCallback):
        def __init__(self) -> None:
            self.points: list[np.ndarray] = []

        def on_train_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
        ) -> None:
            self.points.append(_parameters(model))

        def on_step_end(
            self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
        ) -> None:
            self.points.append(_parameters(model))

    keep = Keep()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(recipe, rows=rows, output=Path(folder) / "run", callbacks=[keep])
    steps = [entry for entry in trained.log if "reward" in entry]
    return keep.points, steps, trained.result["outputs"]


def _parameters(model: Any) -> np.ndarray:
    """Every trainable parameter in one float32 vector (P,)."""
    return np.concatenate(
        [p.detach().float().cpu().numpy().ravel() for p in model.parameters() if p.requires_grad]
    )


EXPERIMENT = Experiment(
    id="E6",
    title="the subtracted baseline: same seed with and without",
    cells=cells,
    run=run,
    cost={"embedded": "40 s", "small": "10 min"},
    needs_model=True,
)
