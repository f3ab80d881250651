"""E5: real training. What GRPO changes, against the untrained model and fine-tuning (B1 to B7).

A cell is a system (original queries, untrained, grpo, sft) on a test set: held-out questions,
scored by the reward and by a second embedder, or a collection, scored by retrieval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.models.embedder import MINILM, WORDLLAMA
from ir_replications.shared.training.runs import Trained
from ir_replications.tongsearch_qr.experiments.kl_study import kl_by_weight
from ir_replications.tongsearch_qr.experiments.measuring import (
    fetched,
    held_out,
    retrieval,
    stages_of,
)
from ir_replications.tongsearch_qr.training.recipe import Recipe, load_recipe
from ir_replications.tongsearch_qr.training.run import TrainingRows, train, training_rows

SYSTEMS = ("original", "untrained", "grpo", "sft")
TRAINED = ("grpo", "sft")
SEEDS = (42, 43, 44)  # of the trained systems, small tier; the others do not depend on it
MAX_WORDS = 100  # small tier: longer questions take a CPU hours, and none was trained on
FEW = 20  # embedded tier: enough to show that every part works
CURVE = ("reward", "reward_std", "kl", "entropy", "grad_norm", "frac_reward_zero_std")


def cells(plan: Plan) -> list[dict[str, Any]]:
    """System x test set; the think mode of the untrained model on held-out questions."""
    if plan.tier == "paper":
        return []
    recipe = load_recipe("embedded" if plan.tier == "embedded" else "small")
    base: dict[str, Any] = {
        "recipe": recipe.name,
        "model": recipe.model,
        "max_new_tokens": recipe.max_completion_tokens,
        "seed": recipe.seed,
    }
    if plan.tier == "embedded":
        return [
            base | {"collection": name, "system": system, "queries": FEW}
            for name in plan.collections
            for system in ("untrained", "grpo")
        ]
    found = [
        cell | {"collection": name, "max_query_words": MAX_WORDS}
        for name in plan.collections
        if name != recipe.data
        for cell in _systems(base, SYSTEMS)
    ]
    if plan.chosen and recipe.data not in plan.collections:
        return found
    questions = [
        cell | {"collection": recipe.data, "think": cell["system"] == "think"}
        for cell in _systems(base, ("untrained", *TRAINED, "think"))
    ]
    study = base | {"collection": recipe.data, "system": "kl study"}
    return [*questions, study, *found]


def _systems(base: dict[str, Any], systems: Sequence[str]) -> list[dict[str, Any]]:
    """Every system, those that are trained once per seed."""
    return [
        base | {"system": system, "seed": seed}
        for system in systems
        for seed in (SEEDS if system in TRAINED else (base["seed"],))
    ]


def run(config: Config, context: Context) -> Outcome:
    """Train where the system asks for it (resumable), rewrite the test queries, score them."""
    recipe, system = load_recipe(config["recipe"], seed=config["seed"]), config["system"]
    if system == "kl study":
        models = fetched((recipe.model,), context)
        fetched((recipe.embedder,), context)  # of the reward, which a training names itself
        facts = kl_by_weight(recipe, training_source(recipe, context))
        return Outcome(facts=facts, models=models)
    return measure(config, recipe, system if system in TRAINED else None, context)


def measure(config: Config, recipe: Recipe, method: str | None, context: Context) -> Outcome:
    """The model of `recipe`, trained by `method` (None: as it is), on the test set of `config`."""
    name = config["collection"]
    on_questions = name == recipe.data and name != "pydocs"
    refs = {recipe.model}
    if on_questions:
        refs |= {recipe.embedder, WORDLLAMA}
    elif "dense" in stages_of(config):
        refs.add(MINILM)
    models = fetched(sorted(refs), context)  # before hours of training
    if method == "grpo":
        fetched((recipe.embedder,), context)  # of the reward, which a training names itself
    rows, trained = None, None
    if method or name == recipe.data:
        rows = training_source(recipe, context)
    if method:
        trained = train(recipe, method, rows=rows)
    outcome = (
        held_out(config, recipe, rows, trained)
        if rows is not None and on_questions
        else retrieval(config, recipe, trained, context)
    )
    outcome.facts |= _training_facts(trained)
    outcome.models |= models
    return outcome


def training_source(recipe: Recipe, context: Context) -> TrainingRows:
    """The training rows, with what they were read from noted in the record."""
    if recipe.data == "pydocs":
        context.collection(recipe.data)
    else:
        context.files(recipe.data)
    return training_rows(recipe, context.data_root, context.download)


def _training_facts(trained: Trained | None) -> dict[str, Any]:
    """The curve of a training run, what it took and where it was made."""
    if trained is None:
        return {}
    steps = [entry for entry in trained.log if "step_time" in entry or "loss" in entry]
    curve = [
        {"step": entry["step"]}
        | {key: entry[key] for key in CURVE if key in entry}
        | {
            new: entry[old]
            for new, old in (
                ("length", "completions/mean_length"),
                ("clipped", "completions/clipped_ratio"),
            )
            if old in entry
        }
        for entry in steps
    ]
    return {"curve": curve, "training": trained.result, "steps": len(steps)}


EXPERIMENT = Experiment(
    id="E5",
    title="training with GRPO against the untrained model and fine-tuning",
    cells=cells,
    run=run,
    cost={"embedded": "50 s; 180 MB of models", "small": "6 h; 200 MB of models"},
    needs_model=True,
)
