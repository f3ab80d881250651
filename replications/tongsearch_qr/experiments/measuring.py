"""What reasoned queries are worth: reward on held-out questions, and retrieval on a collection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Outcome
from ir_replications.shared.analysis import tokenize_queries
from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError, costs_this_cell
from ir_replications.shared.evaluation.metrics import Scores, evaluate
from ir_replications.shared.models.embedder import MINILM, WORDLLAMA, Embedder, load_embedder
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.retrieval.dense import dense_search, load_dense
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.retrieval.search import named_retriever, search
from ir_replications.shared.training.runs import Trained
from ir_replications.tongsearch_qr.experiments.bright import ANALYZER, MEASURE, SYSTEMS
from ir_replications.tongsearch_qr.method.prompts import instructed
from ir_replications.tongsearch_qr.method.reward import RelevanceReward
from ir_replications.tongsearch_qr.rewriting.rewriter import (
    MODES,
    RELEASED,
    Rewritten,
    combine,
    make_rewriter,
)
from ir_replications.tongsearch_qr.training.data import Row
from ir_replications.tongsearch_qr.training.recipe import Recipe
from ir_replications.tongsearch_qr.training.run import TrainingRows

RETRIEVERS = ("bm25q", "bm25")  # BRIGHT's query-side BM25 and the bag of words, both k1=.9 b=.4
OTHERS = ("bmx", "dense")  # not at the embedded tier; dense: cosines of MINILM, the usual reward
TITLE = "newline"  # of the collections that have titles; in BRIGHT none has


def fetched(refs: Iterable[str], context: Context) -> dict[str, str]:
    """Model -> sha256; one that is not to be had costs this cell alone."""
    with costs_this_cell():
        return {ref: fetch_model(ref, download=context.download).sha256 for ref in refs}


def stages_of(config: Config) -> tuple[str, ...]:
    """The first stages that `retrieval` measures with: RETRIEVERS alone where it asks for few."""
    return RETRIEVERS if "queries" in config else (*RETRIEVERS, *OTHERS)


def held_out(
    config: Config, recipe: Recipe, rows: TrainingRows, trained: Trained | None
) -> Outcome:
    """Reward per held-out question under the training embedder and under another."""
    questions = rows.held_out
    rewritten = _rewrite(config, recipe, trained, {row.id: row.query for row in questions})
    per_query: dict[str, dict[str, float]] = {}
    for measure, ref in (("reward", recipe.embedder), ("reward, second embedder", WORDLLAMA)):
        per_query[measure] = _rewards(questions, rewritten, recipe, _embedder(ref))
    words = {qid: float(len(text.split())) for qid, text in rewritten.texts.items()}
    per_query["words"] = words
    means = {name: float(np.mean(list(values.values()))) for name, values in per_query.items()}
    failures = len(rewritten.failed) / len(questions)
    return Outcome(
        scores=Scores(per_query=per_query, means=means),
        facts={
            "questions": len(questions),
            "outputs": rewritten.counts,
            "failure_share": failures,
            "reward_length_correlation": _spearman(per_query["reward"], words),
        },
        models={ref: _embedder(ref).sha256 for ref in (recipe.embedder, WORDLLAMA)},
    )


def retrieval(config: Config, recipe: Recipe, trained: Trained | None, context: Context) -> Outcome:
    """nDCG@10 of the reasoned queries, in place of the original ones and after them.

    By each of `stages_of`.
    """
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
    scores = Scores(per_query={}, means={})
    for retriever in stages_of(config):
        find = _dense(collection) if retriever == "dense" else _lexical(retriever, name, context)
        for mode, queries in texts.items():
            measured = evaluate(find(queries), qrels, [MEASURE])
            key = f"{MEASURE}, {retriever}" + (", append" if mode == "append" else "")
            scores.per_query[key] = measured.per_query[MEASURE]
            scores.means[key] = measured.means[MEASURE]
    return Outcome(scores=scores, facts=facts)


Find = Callable[[Mapping[str, str]], Run]


def _lexical(retriever: str, name: str, context: Context) -> Find:
    collection = context.collection(name)
    index = named_retriever(retriever, **SYSTEMS[retriever])
    index = index.index(context.tokens(name, ANALYZER, TITLE))

    def find(queries: Mapping[str, str]) -> Run:
        analysed = tokenize_queries(list(queries.values()), ANALYZER)
        topics = dict(zip(queries, analysed, strict=True))
        return search(index, collection.doc_ids, topics, 10, excluded=collection.excluded)

    return find


def _dense(collection: Collection) -> Find:
    embedder, documents = load_dense(MINILM), list(collection.contents(TITLE))

    def find(queries: Mapping[str, str]) -> Run:
        return dense_search(
            embedder, documents, collection.doc_ids, queries, 10, excluded=collection.excluded
        )

    return find


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
