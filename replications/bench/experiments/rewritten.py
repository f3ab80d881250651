"""Texts of a language model in front of a first stage: reasoned queries, and BMX's paraphrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, cast

import numpy as np

from ir_replications.bench.experiments.first import lexical, make_retriever
from ir_replications.bench.experiments.found import (
    DEPTH,
    TIMED,
    Found,
    mean_ms,
    measured,
    topics_of,
)
from ir_replications.bench.meter import forget_peak, seconds_per_item
from ir_replications.bench.models import place_of
from ir_replications.bmx import BMX
from ir_replications.bmx.experiments.e5_augmentation import SAMPLING, clean, prompt
from ir_replications.bmx.method.augmentation import REFERENCE_WEIGHT
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome
from ir_replications.shared.analysis import tokenize_queries
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.locks import turn_at
from ir_replications.shared.models.generation import CachedGenerator
from ir_replications.shared.models.references import fetch_model, load_causal_lm
from ir_replications.shared.processor import usual_device
from ir_replications.shared.retrieval.search import Retriever, search
from ir_replications.tongsearch_qr.rewriting.rewriter import RELEASED, combine, make_rewriter

BATCH = 16


def run_rewritten(config: Config, context: Context) -> Outcome:
    """Rewrite the queries (cached), search with what comes out, evaluate."""
    forget_peak()
    topics = topics_of(config, context)
    adapter = config.get("adapter")
    with costs_this_cell():
        place = place_of(config["model"], context.folders)
        rewriter = make_rewriter(
            place,
            adapter=place_of(adapter, context.folders) if adapter else None,
            cache=find_cache_dir() / "texts" / "bench-reasoned.jsonl",  # whose texts are all timed
            device=usual_device(),
            download=context.download,
            sampling=replace(RELEASED, max_new_tokens=config["max_new_tokens"]),
            batch_size=BATCH,
        )
        rewriter.rewrite({})  # loads the model, which is no query's time
    started = perf_counter()
    made = rewriter.rewrite(topics)
    what = {"rewriting": rewriter.config(), "batch": BATCH}
    pace = seconds_per_item(what, made.counts["generated"], perf_counter() - started)
    texts = {qid: combine(topics[qid], text, config["mode"]) for qid, text in made.texts.items()}
    found = lexical(config, context, texts)
    facts = {**found.facts, "rewriting": made.counts, "example": _example(topics, texts)}
    models = {config["model"]: rewriter.model_sha256}
    query_ms = found.query_ms + 1000 * (pace or 0.0)
    return measured(Found(found.run, found.index_s, query_ms, facts, models), config, context)


def _example(topics: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, int]:
    """How long queries are before and after, in words on average: no text of a collection."""
    counts = [[len(text.split()) for text in each.values()] for each in (topics, texts)]
    before, after = (round(float(np.mean(each))) for each in counts)
    return {"words_before": before, "words_after": after}


def run_augmented(config: Config, context: Context) -> Outcome:
    """Paraphrase the queries (cached), search with BMX's weighted sum, evaluate."""
    forget_peak()
    collection, analyzer = context.collection(config["collection"]), config["analyzer"]
    topics = topics_of(config, context)
    paraphrases, pace, sha256 = _paraphrases(list(topics.values()), config, context)
    plain = lexical(config, context, topics)  # for what indexing takes
    tokens = context.tokens(config["collection"], analyzer, config["title"])
    retriever = Augmented(cast(BMX, make_retriever(config)).index(tokens), config["weight"])
    analysed = dict(zip(topics, tokenize_queries(list(topics.values()), analyzer), strict=True))
    for query, texts in zip(analysed.values(), paraphrases, strict=True):
        retriever.further[tuple(query)] = tokenize_queries(texts, analyzer)
    run = search(
        cast(Retriever, retriever), collection.doc_ids, analysed, DEPTH,
        excluded=collection.excluded,
    )  # fmt: skip
    seconds = []
    for query in list(analysed.values())[:TIMED]:
        started = perf_counter()
        retriever.retrieve([query], k=DEPTH)
        seconds.append(perf_counter() - started)
    found = Found(run, plain.index_s, mean_ms(seconds) + 1000 * pace, {}, {config["model"]: sha256})
    return measured(found, config, context)


def _paraphrases(
    queries: Sequence[str], config: Config, context: Context
) -> tuple[list[list[str]], float, str]:
    """Paraphrases of each query, the seconds that those of one take, the model's sha256."""
    with costs_this_cell():
        place = place_of(config["model"], context.folders)
        files = fetch_model(place, download=context.download)
    loading = 0.0

    def load() -> tuple[Any, Any]:
        nonlocal loading
        started = perf_counter()
        model, tokenizer = load_causal_lm(place, dtype="float32")
        model = model.to(usual_device())
        loading = perf_counter() - started
        return model, tokenizer

    path = find_cache_dir() / "texts" / f"bench-paraphrases-{files.sha256[:12]}.jsonl"
    with turn_at(path.with_name(f"{path.name}.lock")):
        generator = CachedGenerator(path, load, files.sha256, SAMPLING, batch_size=BATCH)
        started = perf_counter()
        texts = generator.generate([prompt(query) for query in queries], config["paraphrases"])
        took = perf_counter() - started - loading
    what = {"paraphrases": files.sha256, **SAMPLING.identity(), "batch": BATCH}
    pace = seconds_per_item(what, generator.generated, took) or 0.0
    return [[clean(t) for t in each] for each in texts], pace * config["paraphrases"], files.sha256


class Augmented:
    """BMX over a query and its paraphrases, a `search.Retriever` of the query's tokens."""

    def __init__(self, bmx: BMX, weight: float = REFERENCE_WEIGHT) -> None:
        self.bmx, self.weight = bmx, weight
        self.further: dict[tuple[str, ...], list[list[str]]] = {}

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """BMX's `retrieve_augmented` in the paper's formula."""
        further = [self.further[tuple(query)] for query in queries]
        return self.bmx.retrieve_augmented(queries, further, self.weight, k=k, form="paper")


REWRITTEN = Experiment(
    id="rewritten",
    title="queries rewritten by a language model, then BM25",
    cells=lambda plan: [],
    run=run_rewritten,
    cost={},
    needs_model=True,
)
AUGMENTED = Experiment(
    id="augmented",
    title="BMX with paraphrases by a language model",
    cells=lambda plan: [],
    run=run_augmented,
    cost={},
    needs_model=True,
)
