"""E5: the paper's scale (C1 to C11): released models on BEIR, comparisons, the re-trained model.

Needs the hub and a GPU. Collections of other languages are run when they are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.engine.first_stages import DEPTH
from ir_replications.prorank.experiments.systems import (
    Ready,
    Task,
    add,
    answers,
    best,
    held_out_pairs,
    measured,
    rerank_outcome,
    reranked,
    scored,
    task_of,
)
from ir_replications.prorank.reranking.released import EXAMPLE, EXAMPLE_SCORES, MODELS, Model
from ir_replications.prorank.training.recipe import Recipe, load_recipe
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.evaluation.metrics import Scores
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.retrieval.reranking import candidates

FORUMS = (
    "android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats", "tex",
    "unix", "webmasters", "wordpress",
)  # fmt: skip
BEIR = (
    "beir/trec-covid", "beir/nfcorpus", "beir/nq", "beir/hotpotqa", "beir/fiqa", "beir/arguana",
    "beir/touche2020", *(f"beir/cqadupstack-{forum}" for forum in FORUMS), "beir/quora",
    "beir/dbpedia", "beir/scidocs", "beir/fever", "beir/climate-fever", "beir/scifact",
)  # fmt: skip
RELEASED = ("mxbai-rerank-base-v2", "mxbai-rerank-large-v2")
CROSS_ENCODERS = ("bge-reranker-v2-m3", "mxbai-rerank-large-v1")
SMALL, GIANT = "Qwen2.5-0.5B-Instruct", "Qwen2.5-32B-Instruct"
PRELIMINARY = ("Qwen2.5-1.5B-Instruct", "Qwen2.5-3B-Instruct")  # C6, beside SMALL
RETRAINED = ("stage 1", "stage 2", "stage 1+2", "sft+stage 2")
RETRAINING = "released-0.5b"
PRECISIONS = ("bfloat16", "float32", "bfloat16, sigmoid")
ANSWERS = "beir/nfcorpus"  # where answers, latency and a depth of 10 are looked at
TIMED_QUERIES, REPETITIONS = 20, (1, 2, 3)
CROSS_ENCODER_LENGTH = 512


def cells(plan: Plan) -> list[dict[str, Any]]:
    """System x model x collection; the author's example where no collection is named."""
    if plan.tier != "paper":
        return []
    found: list[dict[str, Any]] = []
    if not plan.chosen:
        found += [{"system": "released scores", "model": model} for model in RELEASED]
    for name in plan.collections:
        at = {"collection": name, "depth": DEPTH}
        found += [at | {"system": system} for system in ("bm25", "oracle")]
        found += [at | {"system": "prorank", "model": model} for model in RELEASED]
        found += [at | {"system": "cross-encoder", "model": model} for model in CROSS_ENCODERS]
        few = PRELIMINARY if name == ANSWERS else ()
        found += [at | {"system": "zero-shot", "model": m} for m in (SMALL, *few, GIANT)]
        found += [
            at | {"system": system, "model": SMALL, "recipe": RETRAINING, "seed": 42}
            for system in RETRAINED
        ]
        found += [
            {"collection": name, "system": "precision", "model": RELEASED[0], "precision": p}
            for p in PRECISIONS
        ]
        if name == ANSWERS:
            shallow = {"collection": name, "depth": 10}
            found.append(shallow | {"system": "prorank", "model": RELEASED[0]})
            found += [
                {"collection": name, "system": "speed", "model": model, "seed": repetition}
                for model in (*RELEASED, *CROSS_ENCODERS)
                for repetition in REPETITIONS
            ]
    return found


def run(config: Config, context: Context) -> Outcome:
    """One cell; a model that cannot be had costs this cell alone."""
    system = config["system"]
    if system in RETRAINED:
        return rerank_outcome(config, context)
    if system == "released scores":
        return _example(config["model"], _model(config, context))
    task = task_of(config, context)
    if system in ("bm25", "oracle"):
        ranked = best(task, config["depth"]) if system == "oracle" else task.run
        return Outcome(scores=measured(task, ranked), facts=_about(task), run=ranked)
    model = _model(config, context)
    if system == "speed":
        return _speed(task, model, context)
    depth = config.get("depth", DEPTH)
    scores, _, speed = scored(config, model, task, depth, context)
    if "sigmoid" in config.get("precision", ""):
        scores = {q: _sigmoid_in_bfloat16(found) for q, found in scores.items()}
    ranked, found = reranked(task, scores, depth)
    facts = _about(task) | speed
    if system == "zero-shot" and (pairs := held_out_pairs(task.collection, context)):
        measures, of_answers = answers(model.reranker, _asking(config["model"]), pairs)
        for name, values in measures.items():
            add(found, name, values)
        facts |= of_answers
    return Outcome(scores=found, facts=facts, run=ranked, models=model.models)


def _model(config: Config, context: Context) -> Ready:
    """The cell's model, as released: whole documents, states in bfloat16 unless asked otherwise."""
    from ir_replications.prorank.reranking.reranker import causal_reranker, cross_encoder_reranker

    model: Model = MODELS[config["model"]]
    half = config.get("precision") != "float32"
    with costs_this_cell():
        models = {model.ref: fetch_model(model.ref, download=context.download).sha256}
    if model.kind == "cross-encoder":
        reranker = cross_encoder_reranker(model.ref, max_length=CROSS_ENCODER_LENGTH, bf16=half)
    else:
        reranker = causal_reranker(model.ref, bf16=half)
    return Ready(reranker, {}, models)


def _asking(model: str) -> Recipe:
    """How an untrained model is asked about pairs: as the re-trained one is."""
    return load_recipe(RETRAINING, model=MODELS[model].ref)


def _about(task: Task) -> dict[str, Any]:
    return {"queries": len(task.run), "split": task.split}


def _example(name: str, model: Ready) -> Outcome:
    """The author's example: the largest error, and whether the order is the published one."""
    query, documents = EXAMPLE
    scores = model.reranker.scorer.score([(query, document) for document in documents])
    published = np.array(EXAMPLE_SCORES[name])
    facts = {
        "scores": [float(s) for s in scores],
        "largest_error": float(np.abs(scores - published).max()),
        "order_violations": int((np.argsort(-scores) != np.argsort(-published)).sum()),
    }
    return Outcome(facts=facts, models=model.models)


def _speed(task: Task, model: Ready, context: Context) -> Outcome:
    """Seconds per query and pairs per second of the first queries' candidates, after a warm-up."""
    from time import perf_counter

    collection = context.collection(task.collection)
    texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
    found = candidates(task.run, DEPTH)
    batches = [
        [(collection.queries[qid], texts[docid]) for docid in found[qid]]
        for qid in list(found)[:TIMED_QUERIES]
    ]
    model.reranker.scorer.score(batches[0])
    started = perf_counter()
    for pairs in batches:
        model.reranker.scorer.score(pairs)
    seconds = perf_counter() - started
    means = {
        "seconds_per_query": seconds / len(batches),
        "pairs_per_second": sum(map(len, batches)) / seconds,
    }
    facts = {"queries": len(batches), "depth": DEPTH}
    return Outcome(scores=Scores(per_query={}, means=means), facts=facts, models=model.models)


def _sigmoid_in_bfloat16(scores: Mapping[str, float]) -> dict[str, float]:
    """What an activation in bfloat16 leaves of the scores: ties from 6.25 on."""
    import torch

    values = torch.tensor(list(scores.values())).bfloat16().sigmoid().tolist()
    return dict(zip(scores, values, strict=True))


EXPERIMENT = Experiment(
    id="E5",
    title="the paper's scale: released models, comparisons, re-training",
    cells=cells,
    run=run,
    cost={"paper": "not run; days of one GPU, hundreds of GB of models and collections"},
    needs_model=True,
)
