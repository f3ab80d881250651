"""Rerankers behind a first stage: causal models, cross-encoders, distilled rankers, embedders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ir_replications.bench.experiments.first import (
    first_stage,
    ready_embedder,
    static_vectors,
)
from ir_replications.bench.experiments.found import mean_ms, measured, topics_of
from ir_replications.bench.meter import forget_peak
from ir_replications.bench.models import CAUSAL, CROSS, DISTILLED, STATIC, place_of
from ir_replications.engine.context import Context, files_sha256
from ir_replications.engine.experiment import Config, Experiment, Outcome
from ir_replications.prorank.reranking.score_file import ScoreFile
from ir_replications.shared.errors import InputError, costs_this_cell
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.own_code import code_of
from ir_replications.shared.processor import usual_device
from ir_replications.shared.retrieval.reranking import candidates, rerank
from ir_replications.shared.training import digest_of

Score = Callable[[str, Sequence[str]], np.ndarray]
"""(query, documents) -> a score of each document, float32 (n,)."""

FIRST = "first_"
"""Before the keys of a config that are its first stage's."""


def first_of(config: Config) -> dict[str, Any]:
    """The config of the first stage behind which a config reranks."""
    own = {key.removeprefix(FIRST): config[key] for key in config if key.startswith(FIRST)}
    return own | {key: config[key] for key in ("collection", "queries", "split") if key in config}


def run_reranked(config: Config, context: Context) -> Outcome:
    """Score the first documents of each query (kept as they are made), reorder, evaluate."""
    forget_peak()
    collection, topics = context.collection(config["collection"]), topics_of(config, context)
    first = first_stage(first_of(config), context)
    asked = candidates(first.run, config["candidates"])
    sha256 = _sha256(config, context)
    request = {
        "collection": collection.id,
        "data_sha256": collection.sha256,
        "code_sha256": code_of(__name__),
        "model_sha256": sha256,
        "first": first_of(config),
        **{k: config.get(k) for k in ("kind", "weights_sha256", "max_length", "candidates")},
    }
    path = find_cache_dir() / "scores" / f"bench-{digest_of(request)[:16]}.jsonl"
    file = ScoreFile(path, request)
    wanted = {docid for docids in asked.values() for docid in docids}
    pairs = zip(collection.doc_ids, collection.each_content("space"), strict=True)
    texts = {docid: text for docid, text in pairs if docid in wanted}
    loaded: list[Score] = []

    def produce(qid: str, docids: Sequence[str]) -> tuple[list[float], dict[str, float]]:
        if not loaded:
            with costs_this_cell():
                loaded.append(scorer(config, context))
        started = perf_counter()
        scores = loaded[0](topics[qid], [texts[docid] for docid in docids])
        return scores.tolist(), {"seconds": perf_counter() - started}

    path.parent.mkdir(parents=True, exist_ok=True)
    file.fill(asked, produce)
    ms = mean_ms([file.numbers[qid]["seconds"] for qid in asked if qid in file.numbers])
    found = replace(
        first,
        run=rerank(first.run, file.scores, config["candidates"]),
        query_ms=first.query_ms + ms,
        facts={"rerank_ms": round(ms, 3)},
        models={**first.models, config["model"]: sha256},
    )
    return measured(found, config, context)


def _sha256(config: Config, context: Context) -> str:
    if config["kind"] == DISTILLED:
        return files_sha256(context.folders[config["model"]])
    with costs_this_cell():
        place = place_of(config["model"], context.folders)
        return fetch_model(place, download=context.download).sha256


def scorer(config: Config, context: Context) -> Score:
    """What scores the documents of a query, by the kind of the config's model, loaded now."""
    place, length = place_of(config["model"], context.folders), config["max_length"]
    if config["kind"] == CAUSAL:
        return _causal(place, config, context)
    if config["kind"] == CROSS:
        return _cross_encoder(place, length)
    if config["kind"] == DISTILLED:
        return _distilled(Path(place), length)
    embedder: Any = ready_embedder(config["model"], context)

    def cosines(query: str, documents: Sequence[str]) -> np.ndarray:
        texts = [query, *documents]
        static = config["kind"] == STATIC
        vectors = static_vectors(embedder, texts) if static else embedder.encode(texts)
        return np.asarray(vectors[1:] @ vectors[0])

    return cosines


def _causal(place: str, config: Config, context: Context) -> Score:
    from ir_replications.prorank.reranking.reranker import causal_reranker

    weights = config.get("weights")
    reranker = causal_reranker(
        place,
        Path(place_of(weights, context.folders)) if weights else None,
        max_length=config["max_length"],
        download=context.download,
    )
    model = reranker.scorer
    return lambda query, documents: model.score([(query, each) for each in documents])


def _cross_encoder(place: str, length: int) -> Score:
    from ir_replications.prorank.reranking.cross_encoder import (
        CrossEncoderScorer,
        load_cross_encoder,
    )

    model, tokenizer = load_cross_encoder(place)
    scorer = CrossEncoderScorer(model.to(usual_device()), tokenizer, max_length=length)
    return lambda query, documents: scorer.score([(query, each) for each in documents])


def _distilled(folder: Path, length: int) -> Score:
    from ir_replications.bert_distill_losses.ranker.files import load_ranker
    from ir_replications.bert_distill_losses.ranker.scoring import score_pairs
    from ir_replications.bert_distill_losses.ranker.tokens import QUERY_LENGTH, PairTokens

    ranker = load_ranker(folder).to(usual_device())
    length = min(length, ranker.encoder.config.max_position_embeddings)
    if length < QUERY_LENGTH + 4:
        raise InputError(f"{folder}: {length} tokens leave a document no room")

    def score(query: str, documents: Sequence[str]) -> np.ndarray:
        tokens = PairTokens(ranker.tokenizer, [query], list(documents), max_length=length)
        places = np.arange(len(documents))
        return score_pairs(ranker, tokens, np.zeros_like(places), places)

    return score


RERANKED = Experiment(
    id="reranked",
    title="rerankers behind a first stage",
    cells=lambda plan: [],
    run=run_reranked,
    cost={},
    needs_model=True,
)
