"""A student of an arm on a collection: the config of its cell, and what the cell measures."""

from __future__ import annotations

from typing import Any

from ir_replications.bert_distill_losses.experiments.closeness import closeness
from ir_replications.bert_distill_losses.experiments.systems import needed_data, saved, test_task
from ir_replications.bert_distill_losses.training.arms import arm_of
from ir_replications.bert_distill_losses.training.data import training_data
from ir_replications.bert_distill_losses.training.recipe import Recipe, load_recipe
from ir_replications.bert_distill_losses.training.run import train_student
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Outcome
from ir_replications.shared.training.runs import Trained

SEEDS = {"embedded": (1,), "small": (1, 2, 3, 4, 5), "paper": (1, 2, 3)}
DEPTHS = {"rerank/dl19": 100, "beir/msmarco": 100}
QUERIES = {"beir/nfcorpus": 100, "beir/scifact": 100, "classic/cranfield": 100}  # a fixed choice
DEPTH = 50
RATES = {"A1": 4e-4, "A6": 4e-4}  # other than the recipe's, chosen as plan.md says
CURVE = (
    "loss", "hard", "soft", "embedding", "hidden", "attention", "minilm", "ordered", "margin",
    "grad_norm", "grad_norm/ranking", "grad_norm/layers", "grad_cosine",
)  # fmt: skip


def base_of(recipe: str, collection: str) -> dict[str, Any]:
    """What every cell of a recipe on a collection has in its config."""
    if recipe == "embedded":
        return {"collection": collection, "recipe": recipe, "depth": 10, "queries": 20}
    base = {"collection": collection, "recipe": recipe, "depth": DEPTHS.get(collection, DEPTH)}
    queries = QUERIES.get(collection)
    return base | ({"queries": queries} if queries else {})


def student_cell(
    arm: str,
    seed: int,
    tier: str,
    *,
    init: str = "pre-trained",
    tuned: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    """A student's part of a config; `changes` are those of arms.arm_of, `layers`, and
    `unlabelled`, which is the recipe's setting.

    `tuned`: at the arm's own learning rate where it has one, else at the recipe's.
    """
    cell = {"system": "student", "arm": arm, "init": init, "seed": seed, **changes}
    own = tuned and tier == "small" and arm in RATES
    return cell | ({"rate": RATES[arm]} if own else {})


def student_of_cell(config: Config, recipe: Recipe, context: Context) -> Trained:
    """The trained student of a cell; trained now, gone on with, or found finished."""
    data = training_data(recipe, "student", config["seed"], context)
    return train_student(
        recipe,
        arm_of(config),
        config["seed"],
        data,
        init=config["init"],
        layers=config.get("layers"),
        learning_rate=config.get("rate"),
        download=context.download,
    )


def student_outcome(config: Config, context: Context) -> Outcome:
    """Rerank with the cell's student; nDCG@10 and MRR@10, and what its training was."""
    changes = {"unlabelled": config["unlabelled"]} if "unlabelled" in config else {}
    recipe = load_recipe(config["recipe"], **changes)
    models = needed_data(recipe, context)
    trained = student_of_cell(config, recipe, context)
    task = test_task(config["collection"], config["depth"], config.get("queries"), context)
    scorer = saved(trained.weights, recipe)
    facts = {
        "queries": len(task.run),
        "pairs": len(task.couples),
        "title": arm_of(config).title,
        "training": trained.result,
        "curve": _curve(trained.log),
        **closeness(scorer.ranker, recipe, context),
    }
    return Outcome(scores=task.reranked(scorer.score(task.couples)), facts=facts, models=models)


def _curve(log: list[dict[str, Any]], points: int = 40) -> list[dict[str, Any]]:
    """The steps that were probed, or every so many, with what the pages draw."""
    every = max(1, len(log) // points)
    return [
        {"step": entry["step"]} | {key: entry[key] for key in CURVE if key in entry}
        for place, entry in enumerate(log)
        if "grad_cosine" in entry or place % every == 0
    ]
