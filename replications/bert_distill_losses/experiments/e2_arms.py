"""E2: the arms (C-0 to C-5) and their controls, each a student of several seeds, and baselines.

A cell is a system on a collection: the first stage, the best reranking there could be, the model
before any training, the teachers, and a student of one arm and seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.experiments.students import (
    SEEDS,
    base_of,
    student_cell,
    student_outcome,
)
from ir_replications.bert_distill_losses.experiments.systems import (
    bi_encoder_scores,
    teacher_scorers,
    test_task,
    untrained_scorer,
)
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan

FIRST = ("A2", "A5")  # their spread over seeds says how many the others need
PUBLISHED = ("A1", "A4", "A6", "A8", "A9", "A13", "A14", "C1", "C2")
REST = ("A3", "A7", "A10", "A11", "A12", "A15", "A16", "A17", "C3")
TEACHER_INIT = ("A2", "A8", "A13", "A15")  # H2 and its base where students begin as teacher layers
BASELINES = ("bm25", "oracle", "bi-encoder", "untrained")
TEACHERS = (11, 12, 13)
PAPER_RECIPES = (
    "msmarco-tinybert-4l", "msmarco-tinybert-6l", "msmarco-minilm-12l", "msmarco-distilbert",
)  # fmt: skip


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Baselines and teachers, then the arms in the order of the plan, collection by collection."""
    if plan.tier == "paper":
        return _paper_cells(plan)
    arms, seeds = [*FIRST, *PUBLISHED, *REST], SEEDS[plan.tier]
    if plan.tier == "embedded":
        arms = ["A2", "A5", "A13"]
    bases = [base_of(plan.tier, name) for name in plan.collections]
    found: list[dict[str, Any]] = [base | {"system": s} for base in bases for s in BASELINES]
    teachers = TEACHERS[:1] if plan.tier == "embedded" else TEACHERS
    found += [base | {"system": "teacher", "seed": s} for base in bases for s in teachers]
    if plan.tier == "small":
        found += [base | {"system": s} for base in bases for s in ("ensemble", "cross-fitted")]
    ordered = [(arm, "pre-trained") for arm in arms]
    if plan.tier == "small":
        ordered += [(arm, "teacher") for arm in TEACHER_INIT]
    found += [
        base | student_cell(arm, seed, plan.tier, init=init)
        for arm, init in ordered
        for base in bases
        for seed in seeds  # innermost: cells that run side by side then train different students
    ]
    return found


def _paper_cells(plan: Plan) -> list[dict[str, Any]]:
    """Every student model at MS MARCO's scale: the arms of both claims, one initialisation."""
    found: list[dict[str, Any]] = []
    for recipe in PAPER_RECIPES:
        bases = [base_of(recipe, name) for name in plan.collections]
        found += [base | {"system": "teacher", "seed": s} for base in bases for s in TEACHERS]
        found += [
            base | student_cell(arm, seed, plan.tier)
            for arm in (*FIRST, *PUBLISHED, "A7", "A15")
            for base in bases
            for seed in SEEDS[plan.tier]
        ]
    return found


def run(config: Config, context: Context) -> Outcome:
    """Rerank with one system and measure it."""
    if config["system"] == "student":
        return student_outcome(config, context)
    task = test_task(config["collection"], config["depth"], config.get("queries"), context)
    facts: dict[str, Any] = {"queries": len(task.run), "pairs": len(task.couples)}
    if config["system"] == "bm25":
        return Outcome(scores=task.measured(task.run), facts=facts, run=task.run)
    if config["system"] == "oracle":
        return Outcome(scores=task.oracle(), facts=facts)
    if config["system"] == "bi-encoder":
        scores, models = bi_encoder_scores(config, task, context)
    elif config["system"] == "untrained":
        scorer, models = untrained_scorer(config, context)
        scores = scorer.score(task.couples)
    else:
        scorers, models, trained = teacher_scorers(config, context)
        scores = np.mean([scorer.score(task.couples) for scorer in scorers], axis=0)
        facts |= trained
    return Outcome(scores=task.reranked(scores), facts=facts, models=models)


EXPERIMENT = Experiment(
    id="E2",
    title="arms: hard, soft and intermediate losses, and their controls",
    cells=cells,
    run=run,
    cost={
        "embedded": "40 s; 91 MB of models",
        "small": "20 h on one core; 91 MB of models",
        "paper": "about 80 GPU hours (an estimate); MS MARCO and 1 GB of models",
    },
    needs_model=True,
)
