"""E5: real training. What GRPO changes, against the untrained model and fine-tuning (B1 to B7).

A cell is a system (original queries, untrained, grpo, sft) on a test set: held-out questions,
scored by the reward and by a second embedder, or a collection, scored by retrieval.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import tokenize_queries
from ir_replications.shared.errors import InputError, costs_this_cell
from ir_replications.shared.evaluation.metrics import Scores, evaluate
from ir_replications.shared.models.embedder import WORDLLAMA, Embedder, load_embedder
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.retrieval.search import named_retriever, search
from ir_replications.shared.training.runs import Trained
from ir_replications.tongsearch_qr.experiments.kl_study import kl_by_weight
from ir_replications.tongsearch_qr.method.prompts import instructed
from ir_replications.tongsearch_qr.method.reward import RelevanceReward
from ir_replications.tongsearch_qr.rewriting.rewriter import (
    RELEASED,
    Rewritten,
    combine,
    make_rewriter,
)
from ir_replications.tongsearch_qr.training.data import Row
from ir_replications.tongsearch_qr.training.recipe import Recipe, load_recipe
from ir_replications.tongsearch_qr.training.run import TrainingRows, train, training_rows

SYSTEMS = ("original", "untrained", "grpo", "sft")
RETRIEVERS = ("bm25q", "bm25")  # BRIGHT's query-side BM25 and the bag of words, both k1=.9 b=.4
MODES = ("replace", "append")
MAX_WORDS = 100  # small tier: longer questions take a CPU hours, and none was trained on
FEW = 100  # embedded tier: enough to show that every part works
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
        base | {"collection": name, "system": system, "max_query_words": MAX_WORDS}
        for name in plan.collections
        if name != recipe.data
        for system in SYSTEMS
    ]
    if plan.chosen and recipe.data not in plan.collections:
        return found
    held_out = [
        base | {"collection": recipe.data, "system": system, "think": system == "think"}
        for system in ("untrained", "grpo", "sft", "think")
    ]
    study = base | {"collection": recipe.data, "system": "kl study"}
    return [*held_out, study, *found]


def run(config: Config, context: Context) -> Outcome:
    """Train where the system asks for it (resumable), rewrite the test queries, score them."""
    recipe = load_recipe(config["recipe"], seed=config["seed"])
    system, name = config["system"], config["collection"]
    with costs_this_cell():
        models = {recipe.model: fetch_model(recipe.model, download=context.download).sha256}
    if system == "kl study":
        return Outcome(facts=kl_by_weight(recipe, training_source(recipe, context)), models=models)
    rows, trained = None, None
    if system in ("grpo", "sft") or name == recipe.data:
        rows = training_source(recipe, context)
    if system in ("grpo", "sft"):
        trained = train(recipe, system, rows=rows)
    outcome = (
        _held_out(config, recipe, rows, trained)
        if rows is not None and name == recipe.data and name != "pydocs"
        else _retrieval(config, recipe, trained, context)
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


def _rewrite(
    config: Config, recipe: Recipe, trained: Trained | None, queries: Mapping[str, str]
) -> Rewritten:
    """Reasoned queries by the released prompt and sampling, as long as those trained on."""
    return make_rewriter(
        recipe.model,
        adapter=trained.weights if trained else None,
        dtype=recipe.precision,
        prompt="training" if config.get("think") else "inference",
        think=bool(config.get("think")),
        sampling=replace(RELEASED, max_new_tokens=config["max_new_tokens"]),
        batch_size=32,
    ).rewrite(queries)


def _held_out(
    config: Config, recipe: Recipe, rows: TrainingRows, trained: Trained | None
) -> Outcome:
    """Reward per held-out question under the training embedder and under another."""
    held_out = rows.held_out
    rewritten = _rewrite(config, recipe, trained, {row.id: row.query for row in held_out})
    per_query: dict[str, dict[str, float]] = {}
    for measure, ref in (("reward", recipe.embedder), ("reward, second embedder", WORDLLAMA)):
        rewards = _rewards(held_out, rewritten, recipe, _embedder(ref))
        per_query[measure] = rewards
    words = {qid: float(len(text.split())) for qid, text in rewritten.texts.items()}
    per_query["words"] = words
    means = {name: float(np.mean(list(values.values()))) for name, values in per_query.items()}
    failures = len(rewritten.failed) / len(held_out)
    return Outcome(
        scores=Scores(per_query=per_query, means=means),
        facts={
            "questions": len(held_out),
            "outputs": rewritten.counts,
            "failure_share": failures,
            "reward_length_correlation": _spearman(per_query["reward"], words),
        },
        models={ref: _embedder(ref).sha256 for ref in (recipe.embedder, WORDLLAMA)},
    )


def _rewards(
    rows: list[Row], rewritten: Rewritten, recipe: Recipe, embedder: Embedder
) -> dict[str, float]:
    """Reward by question; an output without a reasoned query gets the failure value."""
    reward = RelevanceReward(embedder, scale=recipe.reward_scale, failure=recipe.failure_reward)
    outputs = ["" if row.id in rewritten.failed else rewritten.texts[row.id] for row in rows]
    values = reward.score(
        [instructed(row.query, recipe.prompt) for row in rows],
        outputs,
        [row.positives for row in rows],
    )
    return {row.id: value for row, value in zip(rows, values, strict=True)}


def _spearman(a: Mapping[str, float], b: Mapping[str, float]) -> float | None:
    """Rank correlation of two values per question; None where one of them is constant."""
    from scipy.stats import spearmanr

    x, y = list(a.values()), [b[key] for key in a]
    if len(set(x)) < 2 or len(set(y)) < 2:
        return None
    return float(spearmanr(x, y).statistic)


@lru_cache(maxsize=2)
def _embedder(ref: str) -> Embedder:
    return load_embedder(ref)


def _retrieval(
    config: Config, recipe: Recipe, trained: Trained | None, context: Context
) -> Outcome:
    """nDCG@10 of the reasoned queries, in place of the original ones and after them."""
    name = config["collection"]
    collection = context.collection(name)
    split = collection.default_split
    everything = collection.topics(split)
    topics = _some(everything, config.get("queries"), config.get("max_query_words"))
    qrels = {qid: collection.qrels[split][qid] for qid in topics}
    # The original query followed by nothing is the control of both modes.
    texts: dict[str, dict[str, str]] = dict.fromkeys(MODES, topics)
    if not topics:
        raise InputError(
            f"{name}: no query of split {split} has at most {config['max_query_words']} words"
        )
    facts: dict[str, Any] = {
        "queries": len(topics),
        "left_out": len(everything) - len(topics),
        "split": split,
    }
    if config["system"] != "original":
        rewritten = _rewrite(config, recipe, trained, topics)
        facts |= {"outputs": rewritten.counts, "texts_sha256": _digest(rewritten.texts)}
        texts = {
            mode: {qid: combine(topics[qid], rewritten.texts[qid], mode) for qid in topics}
            for mode in MODES
        }
    tokens = context.tokens(name, "lucene", "newline")
    scores = Scores(per_query={}, means={})
    for retriever in RETRIEVERS:
        index = named_retriever(retriever, k1=0.9, b=0.4).index(tokens)
        for mode, queries in texts.items():
            analysed = dict(
                zip(queries, tokenize_queries(list(queries.values()), "lucene"), strict=True)
            )
            found = search(index, collection.doc_ids, analysed, 10, excluded=collection.excluded)
            measured = evaluate(found, qrels, ["nDCG@10"])
            key = f"nDCG@10, {retriever}" + (", append" if mode == "append" else "")
            scores.per_query[key] = measured.per_query["nDCG@10"]
            scores.means[key] = measured.means["nDCG@10"]
    return Outcome(scores=scores, facts=facts)


def _some(
    topics: dict[str, str], number: int | None, max_words: int | None = None
) -> dict[str, str]:
    """Topics of at most `max_words` words; of those a fixed choice by hash of the id."""
    if max_words is not None:
        short = {qid: text for qid, text in topics.items() if len(text.split()) <= max_words}
        topics = short
    chosen = sorted(topics, key=lambda qid: hashlib.sha256(qid.encode()).digest())[:number]
    return {qid: text for qid, text in topics.items() if qid in set(chosen)}


def _digest(texts: Mapping[str, str]) -> str:
    lines = "".join(f"{qid}\t{text!r}\n" for qid, text in sorted(texts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


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
    cost={"embedded": "90 s; 180 MB of models", "small": "2 h; 200 MB of models"},
    needs_model=True,
)
