"""E4: rewards (B4), output (B6), losses of stage 2 (B10), depth of reranking (B12)."""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.prorank.experiments.e3_stages import DEFAULT_DEPTH, DEPTHS, QUERIES
from ir_replications.prorank.experiments.systems import (
    FIRST,
    add,
    answers,
    best,
    measured,
    needed_pairs,
    ready,
    recipe_of,
    reranked,
    scored,
    task_of,
)
from ir_replications.shared.evaluation.metrics import Scores

REWARDS = ("both", "format", "relevance")
LOSSES = ("bce", "softmax", "ranknet")
STUDY_DEPTHS = (10, 20, 50)
SEED = 42


def cells(plan: Plan) -> list[dict[str, Any]]:
    """The four studies on each collection, rewards where there are held-out pairs."""
    if plan.tier != "small":
        return []
    found = []
    for name in plan.collections:
        base: dict[str, Any] = {"collection": name, "recipe": "small"}
        if number := QUERIES.get(name):
            base["queries"] = number
        depth = DEPTHS.get(name, DEFAULT_DEPTH)
        trained = base | {"seed": SEED}
        if plan.chosen or not name.startswith("rerank/"):  # pools have no development split
            found += [
                {"study": "rewards", "system": "stage 1", "reward": reward} | trained
                for reward in REWARDS
            ]
            found += [
                {"study": "depth", "system": system, "depth": k}
                | (trained if system == "stage 1+2" else base)
                for system in ("oracle", "zero-shot", "stage 1+2")
                for k in STUDY_DEPTHS
            ]
        found += [
            {"study": "output", "system": "stage 1", "output": output, "depth": depth} | trained
            for output in ("score", "answer")
        ]
        found += [
            {"study": "losses", "system": "stage 1+2", "loss": loss, "depth": FIRST} | trained
            for loss in LOSSES
        ]
    return found


def run(config: Config, context: Context) -> Outcome:
    """One cell of one study; scores that another cell made are read, not made again."""
    if config["study"] == "rewards":
        return _rewards(config, context)
    task, depth = task_of(config, context), config["depth"]
    facts: dict[str, Any] = {"queries": len(task.run), "split": task.split}
    if config["system"] == "oracle":
        ranked = best(task, depth)
        return Outcome(scores=measured(task, ranked), facts=facts, run=ranked)
    system = ready(config, recipe_of(config), context)
    # Never fewer than FIRST: the numbers that E3 takes of their states are made with the scores.
    scores, _, _ = scored(config, system, task, max(depth, FIRST), context)
    if config.get("output") == "answer":  # the coarse judgement: which answer is the likelier
        scores = {q: {d: float(s > 0) for d, s in found.items()} for q, found in scores.items()}
    ranked, found = reranked(task, scores, depth)
    return Outcome(scores=found, facts=facts | system.facts, run=ranked, models=system.models)


def _rewards(config: Config, context: Context) -> Outcome:
    recipe, pairs = recipe_of(config), needed_pairs(config["collection"], context)
    system = ready(config, recipe, context)
    measures, facts = answers(system.reranker, recipe, pairs)
    scores = Scores(per_query={}, means={})
    for name, values in measures.items():
        add(scores, name, values)
    return Outcome(scores=scores, facts=facts | system.facts, models=system.models)


EXPERIMENT = Experiment(
    id="E4",
    title="ablations: rewards, output, losses, depth",
    cells=cells,
    run=run,
    cost={"small": "2 h; 98 MB of models"},
    needs_model=True,
)
