"""A ranker on a collection: its candidates scored, reranked and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.experiments.evaluation_set import (
    EvaluationSet,
    evaluation_set,
)
from ir_replications.bert_distill_losses.ranker.embedder import cosines
from ir_replications.bert_distill_losses.training.data import development, training_data
from ir_replications.bert_distill_losses.training.recipe import Recipe, load_recipe
from ir_replications.bert_distill_losses.training.run import ENSEMBLE, SINGLE, Teachers
from ir_replications.engine.context import Context
from ir_replications.engine.first_stages import DEPTH, candidate_run, chosen_queries, judgements
from ir_replications.shared.data import check_available
from ir_replications.shared.data.collection import Grades
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.evaluation.metrics import Scores, evaluate
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.processor import usual_device
from ir_replications.shared.retrieval.reranking import oracle, rerank
from ir_replications.shared.retrieval.runs import Run

MEASURES = ("nDCG@10", "RR@10")


@dataclass(frozen=True)
class Task:
    """What is reranked: the chosen queries' first stage, their judgements, the couples to score."""

    collection: str
    run: Run
    qrels: Grades
    depth: int
    couples: EvaluationSet

    def measured(self, run: Run) -> Scores:
        """The measures of a run on the task's queries."""
        return evaluate(run, self.qrels, list(MEASURES))

    def reranked(self, scores: np.ndarray) -> Scores:
        """The measures of the candidates in the order of flat scores (n,), ties as they were."""
        return self.measured(rerank(self.run, self.couples.by_id(scores), self.depth))

    def oracle(self) -> Scores:
        """The measures of the best reranking that there could be."""
        return self.measured(oracle(self.run, self.qrels, self.depth))


def test_task(name: str, depth: int, queries: int | None, context: Context) -> Task:
    """The test queries of a collection, a fixed choice of `queries` of them if given."""
    split = context.collection(name).default_split
    chosen = chosen_queries(context.collection(name).topics(split), queries)
    return _task(name, split, chosen, depth, context)


def development_task(name: str, depth: int, context: Context) -> Task:
    """The queries of a training collection that choices are made on."""
    return _task(name, *development(name, context), depth, context)


def _task(name: str, split: str, qids: list[str], depth: int, context: Context) -> Task:
    collection = context.collection(name)
    run = candidate_run(name, split, context, DEPTH)
    qrels = judgements(name, split, context)
    couples = evaluation_set(collection, split, run, depth=depth, queries=qids)
    return Task(name, {q: run[q] for q in qids}, {q: qrels[q] for q in qids}, depth, couples)


class Scorer:
    """A ranker that is made, or loaded, when first asked for."""

    def __init__(self, make: Callable[[], Any], recipe: Recipe) -> None:
        self._make, self.recipe = make, recipe

    @cached_property
    def ranker(self) -> Any:
        """The ranker, in eval mode, on the GPU if there is one."""
        return self._make().to(usual_device())

    def score(self, couples: EvaluationSet) -> np.ndarray:
        """Flat scores (n,) of the couples."""
        return score_couples(self.ranker, self.recipe, couples)


def saved(weights: Path, recipe: Recipe) -> Scorer:
    """The scorer of a ranker in a folder."""

    def load() -> Any:
        from ir_replications.bert_distill_losses.ranker.files import load_ranker

        return load_ranker(weights)

    return Scorer(load, recipe)


def score_couples(ranker: Any, recipe: Recipe, couples: EvaluationSet) -> np.ndarray:
    """Flat float32 scores (n,) of a ranker, at the lengths and precision of the recipe."""
    from ir_replications.bert_distill_losses.ranker.scoring import score_pairs
    from ir_replications.bert_distill_losses.ranker.tokens import PairTokens

    tokens = PairTokens(
        ranker.tokenizer,
        couples.queries,
        couples.documents,
        query_length=recipe.query_length,
        max_length=recipe.max_length,
        types=recipe.token_types,
    )
    half = recipe.precision == "bfloat16"
    return score_pairs(ranker, tokens, couples.query, couples.document, bf16=half)


def needed_data(recipe: Recipe, context: Context) -> dict[str, str]:
    """The recipe's models, ref to sha256, once everything that training needs is there.

    A model or collection that is missing costs the cell at hand alone: MissingDependencyError.
    """
    names = [name for name in (*recipe.data, *recipe.held_out) if name not in context.folders]
    refs = dict.fromkeys(filter(None, (recipe.teacher_model, recipe.student_model)))
    with costs_this_cell():
        for name in names:
            check_available(name, data_root=context.data_root, download=context.download)
        return {ref: fetch_model(ref, download=context.download).sha256 for ref in refs}


def teacher_scorers(
    config: Mapping[str, Any], context: Context
) -> tuple[list[Scorer], dict[str, str], dict[str, Any]]:
    """(scorers whose mean is the system's score, models, facts) of a cell of teachers.

    The cross-fitted pair gives test queries, which neither was trained on, the mean of both.
    """
    recipe = load_recipe(config["recipe"])
    models = needed_data(recipe, context)
    data = training_data(recipe, "teacher", SINGLE[0], context)
    teachers = Teachers(recipe, data, context.download)
    if config["system"] == "ensemble":
        trained = [teachers.of(seed) for seed in ENSEMBLE]
    elif config["system"] == "cross-fitted":
        trained = [teachers.of(SINGLE[0], half) for half in (0, 1)]
    else:
        trained = [teachers.of(config["seed"])]
    facts = {"training": [one.result for one in trained], "data": list(data.groups.notes)}
    return [saved(one.weights, recipe) for one in trained], models, facts


def untrained_scorer(config: Mapping[str, Any], context: Context) -> tuple[Scorer, dict[str, str]]:
    """The teacher before any training, with the recipe's head; its models."""
    recipe = load_recipe(config["recipe"])
    models = needed_data(recipe, context)

    def make() -> Any:
        from ir_replications.bert_distill_losses.ranker.model import pretrained_ranker

        return pretrained_ranker(recipe.teacher_model, recipe.head)

    return Scorer(make, recipe), models


def bi_encoder_scores(
    config: Mapping[str, Any], task: Task, context: Context
) -> tuple[np.ndarray, dict[str, str]]:
    """(the embedder's cosine of every couple, the models): what the weights are as they come."""
    recipe = load_recipe(config["recipe"])
    models = needed_data(recipe, context)
    couples = task.couples
    scores = cosines(
        recipe.teacher_model, couples.queries, couples.documents, couples.query, couples.document,
        max_length=recipe.max_length,
    )  # fmt: skip
    return scores, models
