"""First stages: BM25, Lucene, BMX over analysed text, and dense retrieval by an embedder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, cast

import numpy as np

from ir_replications.bench.experiments.found import (
    DEPTH,
    TIMED,
    Found,
    mean_ms,
    measured,
    topics_of,
)
from ir_replications.bench.meter import forget_peak, seconds_per_item
from ir_replications.bench.models import STATIC, place_of
from ir_replications.bench.postings import PostingsBM25
from ir_replications.bmx import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome
from ir_replications.shared.analysis import Tokens, tokenize, tokenize_queries, tokens_path
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.models.embedder import Embedder, StaticEmbedder, load_embedder
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.processor import usual_device
from ir_replications.shared.retrieval.bm25 import BM25
from ir_replications.shared.retrieval.dense import embed
from ir_replications.shared.retrieval.lucene import LuceneBM25, search_without
from ir_replications.shared.retrieval.runs import Run, canonical
from ir_replications.shared.retrieval.search import Retriever, result_width, search

SAMPLE = 2000  # documents analysed again where nobody timed it when they were,
EMBEDDED_SAMPLE = 64  # and embedded


def run_lexical(config: Config, context: Context) -> Outcome:
    """Index, search, evaluate."""
    forget_peak()
    return measured(first_stage(config, context), config, context)


def run_dense(config: Config, context: Context) -> Outcome:
    """Embed, search, evaluate."""
    forget_peak()
    return measured(first_stage(config, context), config, context)


def first_stage(config: Config, context: Context) -> Found:
    """What the first stage of a config finds; the last one is remembered in this process."""
    own = {key: config[key] for key in sorted(config)}
    key = json.dumps([own, context.collection(config["collection"]).sha256])
    if key not in _last:
        topics = topics_of(config, context)
        make = dense if "model" in config else lucene if config["method"] == "Lucene" else lexical
        found = make(config, context, topics)
        _last.clear()
        _last[key] = found
    return _last[key]


_last: dict[str, Found] = {}


def make_retriever(config: Config) -> BMX | BM25:
    """BMX, or BM25 by method, k1 and b."""
    if config["method"] == "bmx":
        return BMX()
    if config["method"] == "lucene":
        return PostingsBM25(config["k1"], config["b"])
    return BM25(method=config["method"], k1=config["k1"], b=config["b"])


def lexical(config: Config, context: Context, topics: Mapping[str, str]) -> Found:
    """Search query texts with the retriever of a config, one index over all documents."""
    collection, analyzer = context.collection(config["collection"]), config["analyzer"]
    tokens, analysis_s = _analysed(config, context)
    retriever = make_retriever(config)
    started = perf_counter()
    retriever.index(tokens)
    index_s = analysis_s + perf_counter() - started
    analysed = dict(zip(topics, tokenize_queries(list(topics.values()), analyzer), strict=True))
    run = search(retriever, collection.doc_ids, analysed, DEPTH, excluded=collection.excluded)
    seconds = []
    for text in list(topics.values())[:TIMED]:
        started = perf_counter()
        retriever.retrieve(tokenize_queries([text], analyzer), k=DEPTH)
        seconds.append(perf_counter() - started)
    return Found(run, index_s, mean_ms(seconds), {"analysis_s": round(analysis_s, 3)})


def _analysed(config: Config, context: Context) -> tuple[Tokens, float]:
    """The documents as tokens, and the seconds that it takes to make them."""
    name, analyzer, title = config["collection"], config["analyzer"], config["title"]
    collection = context.collection(name)
    path = tokens_path(collection, analyzer, title)
    made, started = not path.is_file(), perf_counter()
    tokens = context.tokens(name, analyzer, title)
    what = {"analysis": path.stem}
    pace = seconds_per_item(what, len(tokens) * made, perf_counter() - started)
    if pace is None:
        some = collection.contents(title)[:SAMPLE]
        started = perf_counter()
        tokenize(some, analyzer)
        pace = seconds_per_item(what, len(some), perf_counter() - started)
    return tokens, (pace or 0.0) * len(tokens)


def lucene(config: Config, context: Context, topics: Mapping[str, str]) -> Found:
    """Search with Lucene itself, where pyserini and a Java runtime are installed."""
    collection = context.collection(config["collection"])
    with costs_this_cell():
        engine = LuceneBM25(k1=config["k1"], b=config["b"])
        started = perf_counter()
        engine.index(collection, config["title"])
    index_s = perf_counter() - started
    run: Run = {}
    seconds = []
    try:
        for qid, text in topics.items():
            hidden = {qid, *collection.excluded.get(qid, ())}
            started = perf_counter()
            run[qid] = search_without(engine, qid, text, DEPTH, hidden)
            seconds.append(perf_counter() - started)
    finally:
        engine.close()
    return Found(canonical(run), index_s, mean_ms(seconds))


def dense(config: Config, context: Context, topics: Mapping[str, str]) -> Found:
    """Rank all documents by the cosine of their embedding with the query's, exactly."""
    collection = context.collection(config["collection"])
    embedder = ready_embedder(config["model"], context)
    documents = collection.contents("space")
    timed = Timed(embedder)
    if config["kind"] == STATIC:
        vectors = static_vectors(timed, documents)
    else:
        vectors = embed(cast(Any, timed), documents)
    what = {"embedding": embedder.sha256, "of": collection.sha256}
    pace = seconds_per_item(what, timed.texts, timed.seconds)
    if pace is None:  # all vectors were in the cache, and nobody timed them
        started = perf_counter()
        embedder.encode(documents[:EMBEDDED_SAMPLE])
        count = len(documents[:EMBEDDED_SAMPLE])
        pace = seconds_per_item(what, count, perf_counter() - started)
    retriever = Vectors(embedder, vectors)
    texts = {qid: [text] for qid, text in topics.items()}
    run = search(
        cast(Retriever, retriever), collection.doc_ids, texts, DEPTH, excluded=collection.excluded
    )
    seconds = []
    for text in list(topics.values())[:TIMED]:
        started = perf_counter()
        retriever.retrieve([[text]], k=DEPTH)
        seconds.append(perf_counter() - started)
    models = {config["model"]: embedder.sha256}
    return Found(run, (pace or 0.0) * len(documents), mean_ms(seconds), {}, models)


def ready_embedder(ref: str, context: Context) -> Embedder:
    """The embedder of a config, on the GPU if there is one."""
    with costs_this_cell():
        place = place_of(ref, context.folders)
        fetch_model(place, download=context.download)
        return load_embedder(place, device=usual_device())


class Timed:
    """An embedder that counts the texts that it embeds, and the seconds."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self.texts, self.seconds = embedder, 0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The embedder's vectors of the texts."""
        started = perf_counter()
        found = self._embedder.encode(texts)
        self.texts, self.seconds = self.texts + len(texts), self.seconds + perf_counter() - started
        return found


def static_vectors(embedder: Any, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors (n, d) of static token vectors; zeros for a text without a token."""
    encoded = embedder.tokenizer.encode_batch(list(texts), add_special_tokens=False)
    known = [place for place, each in enumerate(encoded) if each.ids]
    found = np.zeros((len(texts), embedder.vectors.shape[1]), dtype=np.float32)
    if known:
        found[known] = embedder.encode([texts[place] for place in known])
    return found


class Vectors:
    """Exact search of texts by cosine over vectors that are there, as `search` asks for it."""

    def __init__(self, embedder: Embedder, vectors: np.ndarray) -> None:
        self.embedder, self.vectors = embedder, vectors

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """Document numbers (Q, k) and cosines (Q, k), best first, ties by document number."""
        width = min(result_width(k, len(self.vectors)), len(self.vectors))
        texts = [" ".join(query) for query in queries]
        encode = (
            static_vectors(self.embedder, texts)
            if isinstance(self.embedder, StaticEmbedder)
            else self.embedder.encode(texts)
        )
        found = np.empty((len(texts), width), dtype=np.int64)
        scores = np.empty((len(texts), width), dtype=np.float64)
        for row, vector in enumerate(encode):
            cosines = self.vectors @ vector
            kth = np.partition(cosines, len(cosines) - width)[len(cosines) - width]
            near = np.flatnonzero(cosines >= kth)
            best = near[np.argsort(-cosines[near], kind="stable")][:width]
            found[row], scores[row] = best, cosines[best]
        return found, scores


LEXICAL = Experiment(
    id="lexical",
    title="first stages over analysed text: BM25, Lucene, BMX",
    cells=lambda plan: [],  # systems.py plans them
    run=run_lexical,
    cost={},
)
DENSE = Experiment(
    id="dense",
    title="dense retrieval by an embedder",
    cells=lambda plan: [],
    run=run_dense,
    cost={},
    needs_model=True,
)
