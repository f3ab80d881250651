"""One system on one collection: trained, its candidates scored, reranked and measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Outcome
from ir_replications.engine.first_stages import DEPTH, candidate_run, chosen_queries, judgements
from ir_replications.prorank.training.data import recipe_data
from ir_replications.prorank.training.recipe import Recipe, load_recipe
from ir_replications.shared.data import check_available
from ir_replications.shared.data.collection import Grades
from ir_replications.shared.errors import MissingDependencyError, costs_this_cell
from ir_replications.shared.evaluation.metrics import Scores, evaluate
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.retrieval.reranking import (
    RerankerScores,
    candidates,
    oracle,
    rerank,
    tied_shares,
)
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.training.pairs import Pair, Source, balanced, labelled_pairs

MEASURES = ("nDCG@10", "AP@100", "R@100")
FIRST = 20  # a second, shallower depth of the same scores
COUPLES = 120  # held-out pairs of each label for the probe, one couple a query
CURVE = (
    "loss", "reward", "rewards/format_reward/mean", "rewards/relevance_reward/mean", "kl", "p0",
    "p1", "accuracy", "entropy", "frac_reward_zero_std", "ordered", "margin", "grad_norm",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What is reranked: the chosen queries' first stage and their judgements."""

    collection: str
    split: str
    run: Run
    qrels: Grades


def task_of(config: Config, context: Context) -> Task:
    """The test queries of a cell, a fixed choice of `config["queries"]` of them if given."""
    name = config["collection"]
    split = context.collection(name).default_split
    qrels = judgements(name, split, context)
    chosen = chosen_queries(qrels, config.get("queries"))
    run = candidate_run(name, split, context, DEPTH)
    return Task(name, split, {q: run[q] for q in chosen}, {q: qrels[q] for q in chosen})


def recipe_of(config: Config) -> Recipe:
    """The cell's recipe with the reward, loss and seed that the cell names."""
    recipe = load_recipe(config["recipe"], seed=config.get("seed"))
    if reward := config.get("reward"):
        recipe = replace(recipe, warmup=replace(recipe.warmup, rewards=reward))
    if loss := config.get("loss"):
        recipe = replace(recipe, fine_grained=replace(recipe.fine_grained, loss=loss))
    return recipe


@dataclass(frozen=True)
class Ready:
    """A system's reranker, and what training it took."""

    reranker: Any
    facts: dict[str, Any]
    models: dict[str, str]


def ready(config: Config, recipe: Recipe, context: Context) -> Ready:
    """Train the cell's system (resumable, or found finished) and make its reranker.

    A model, extra or training collection that is missing costs this cell alone:
    MissingDependencyError.
    """
    from ir_replications.prorank.reranking.reranker import causal_reranker
    from ir_replications.prorank.training.run import train

    trained = config["system"] != "zero-shot"
    with costs_this_cell():
        models = {recipe.model: fetch_model(recipe.model, download=context.download).sha256}
        for name in (*recipe.data, *recipe.held_out) if trained else ():
            if name not in context.folders:
                check_available(name, data_root=context.data_root, download=context.download)
    weights: Path | None = None
    facts: dict[str, Any] = {}
    if trained:
        data = recipe_data(recipe, context)
        stages = train(recipe, config["system"], data, download=context.download)
        weights = stages[-1].weights
        facts = {"training": [s.result for s in stages], "data": list(data.notes)}
        facts["curves"] = {s.stage: _curve(s.log) for s in stages}
        facts["collapsed_to"] = stages[-1].result.get("collapsed_to")
    reranker = causal_reranker(
        recipe.model,
        weights,
        max_length=recipe.max_length,
        bf16=recipe.precision == "bfloat16",
        batch_size=config.get("batch_size", 25),
        download=context.download,
    )
    return Ready(reranker, facts, models)


def scored(
    config: Config, system: Ready, task: Task, depth: int, context: Context
) -> tuple[RerankerScores, dict[str, dict[str, float]], dict[str, Any]]:
    """(scores of the first `depth` candidates, numbers of each query, what it took)."""
    from ir_replications.prorank.reranking.reranker import score_candidates

    wanted = candidates(task.run, depth)
    file = score_candidates(system.reranker, context.collection(task.collection), wanted)
    total = sum(map(len, file.scores.values()))
    speed = {
        "pairs_per_second": total / file.seconds if file.seconds else None,
        "seconds_per_query": file.seconds / max(1, len(file.scores)),
    }
    scores = {qid: {d: file.scores[qid][d] for d in wanted[qid]} for qid in wanted}
    return scores, {qid: file.numbers.get(qid, {}) for qid in wanted}, speed


def measured(task: Task, run: Run, measures: tuple[str, ...] = MEASURES) -> Scores:
    """The run's scores on the task's queries."""
    return evaluate(run, task.qrels, list(measures))


def reranked(task: Task, scores: RerankerScores, depth: int) -> tuple[Run, Scores]:
    """The first stage in the order of the scores, and its measures with the share of ties."""
    run = rerank(task.run, scores, depth)
    found = measured(task, run)
    add(found, "tied pairs", tied_shares(task.run, scores, depth))
    return run, found


def add(scores: Scores, measure: str, values: Mapping[str, float]) -> None:
    """Add a measure with its value for each query, and its mean."""
    scores.per_query[measure] = dict(values)
    scores.means[measure] = float(np.mean(list(values.values()))) if values else 0.0


def best(task: Task, depth: int) -> Run:
    """The best reranking of the first `depth` candidates that there could be."""
    return oracle(task.run, task.qrels, depth)


def held_out_pairs(
    name: str, context: Context, couples: int = COUPLES, max_words: int | None = None
) -> list[Pair]:
    """Couples of a relevant and an irrelevant candidate of development queries, one a query.

    Documents are cut after `max_words` words if given. Empty for a collection without a
    development split.
    """
    collection = context.collection(name)
    if "dev" not in collection.qrels:
        return []
    run = candidate_run(name, "dev", context)
    labelled = labelled_pairs(collection, run, Source(split="dev"))
    possible = len({pair.qid for pair in labelled if pair.label})
    pairs = balanced(labelled, seed=42, per_query=1)
    pairs = pairs[: 2 * min(couples, possible)]
    if max_words is None:
        return pairs
    return [replace(p, document=" ".join(p.document.split()[:max_words])) for p in pairs]


def needed_pairs(
    name: str, context: Context, couples: int = COUPLES, max_words: int | None = None
) -> list[Pair]:
    """`held_out_pairs` of a cell that asks about nothing else.

    A collection without a development split costs this cell alone: MissingDependencyError.
    """
    pairs = held_out_pairs(name, context, couples, max_words)
    if not pairs:
        raise MissingDependencyError(
            f"{name}: no development split to ask about; add qrels/dev.tsv"
        )
    return pairs


def answers(
    reranker: Any, recipe: Recipe, pairs: list[Pair]
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """({measure: {query: value}}, facts) of what the model answers to couples of pairs."""
    from ir_replications.prorank.experiments.probe import probe

    scorer = reranker.scorer
    found = probe(scorer.model, scorer.tokenizer, pairs, recipe)
    couples = range(0, len(pairs), 2)

    def by_query(values: np.ndarray) -> dict[str, float]:
        return {pairs[i].qid: float(values[i : i + 2].mean()) for i in couples}

    gaps = {pairs[i].qid: found.scores[i] - found.scores[i + 1] for i in couples}
    measures = {
        "format success": by_query(found.well_formed),
        "pair accuracy": by_query(found.decided),
        "says one": by_query(found.says_one),
        "pair order": {q: 0.5 + 0.5 * float(np.sign(gap)) for q, gap in gaps.items()},
    }
    facts: dict[str, Any] = {
        name: float(np.mean(list(values.values()))) for name, values in measures.items()
    }
    labels, ones = found.labels == 1, found.says_one
    facts |= {
        "pairs": len(pairs),
        "AUC": area(found.scores[labels], found.scores[~labels]),
        "answer probability": float((found.p0 + found.p1).mean()),
        "confusion": {
            "relevant, 1": int((labels & ones).sum()),
            "relevant, 0": int((labels & ~ones).sum()),
            "irrelevant, 1": int((~labels & ones).sum()),
            "irrelevant, 0": int((~labels & ~ones).sum()),
        },
    }
    return measures, facts


def area(relevant: np.ndarray, irrelevant: np.ndarray) -> float:
    """Area under the ROC curve: how often a relevant pair scores above an irrelevant one."""
    from scipy.stats import mannwhitneyu

    wins = mannwhitneyu(relevant, irrelevant).statistic
    return float(wins / (len(relevant) * len(irrelevant)))


def rerank_outcome(config: Config, context: Context) -> Outcome:
    """Rerank with the cell's system; measures at its depth, at FIRST, of the states, of answers."""
    recipe, task, depth = recipe_of(config), task_of(config, context), config["depth"]
    system = ready(config, recipe, context)
    scores, numbers, speed = scored(config, system, task, depth, context)
    run, found = reranked(task, scores, depth)
    if depth > FIRST:
        shallow = measured(task, rerank(task.run, scores, FIRST), ("nDCG@10",))
        add(found, f"nDCG@10, first {FIRST}", shallow.per_query["nDCG@10"])
    for name in ("effective rank", "mean cosine", "score deviation"):
        values = {qid: line[name] for qid, line in numbers.items() if name in line}
        if values:
            add(found, name, values)
    facts = {"queries": len(task.run), "split": task.split, **speed, **system.facts}
    if pairs := held_out_pairs(task.collection, context, config.get("couples", COUPLES)):
        measures, of_answers = answers(system.reranker, recipe, pairs)
        for name, values in measures.items():
            add(found, name, values)
        facts |= of_answers
    return Outcome(scores=found, facts=facts, run=run, models=system.models)


def _curve(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The metrics of each step that the pages draw."""
    return [
        {"step": entry["step"]} | {key: entry[key] for key in CURVE if key in entry}
        for entry in log
        if "loss" in entry
    ]
