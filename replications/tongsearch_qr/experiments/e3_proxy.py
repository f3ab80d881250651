"""E3: published reasoned queries on a small proxy, whatever first stage and analyzer is used.

The proxy pools the accepted answers of BRIGHT's seven Stack Exchange subsets: each question must
find its own answer. Question and answer share words that BRIGHT's web pages do not, so it can tell
first stages and ways to use a reasoned query apart; it says nothing on the benchmark's level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import Tokens, tokenize, tokenize_queries
from ir_replications.shared.retrieval.search import named_retriever
from ir_replications.tongsearch_qr.experiments.bright import (
    ANALYZER,
    MEASURE,
    STACK_EXCHANGE,
    SYSTEMS,
    TITLE,
    mean_of_subsets,
    ndcg,
    search_tokens,
)
from ir_replications.tongsearch_qr.experiments.e2_bright import ORIGINAL, query_texts
from ir_replications.tongsearch_qr.method.prompts import instructed
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY
from ir_replications.tongsearch_qr.rewriting.released_files import MAPS, queries_sha256
from ir_replications.tongsearch_qr.rewriting.rewriter import combine

INSTRUCTED = "instructions + original"
PROMPT = "training"  # reference code: the reward's baseline embeds the query in this prompt
MEAN = f"{MEASURE}, mean of 7 subsets"
SPLIT_AT_DOTS = "split at dots"
FIRST_STAGES = ("bm25q", "bm25", "bmx")


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Queries x system on the proxy; without it, original and instructed queries of PyDocs."""
    configs: list[dict[str, Any]] = []
    if PROXY in plan.collections:
        reasoned = [{"queries": q, "mode": mode} for mode in ("replace", "append") for q in MAPS]
        sets = [{"queries": ORIGINAL}, *reasoned, {"queries": INSTRUCTED}]
        configs += [_cell(PROXY, ANALYZER, s, queries) for s in FIRST_STAGES for queries in sets]
        # What the analyzer does: bm25s' on the original queries, and one that explains B6.
        configs += [_cell(PROXY, "bm25s", s, {"queries": ORIGINAL}) for s in FIRST_STAGES]
        configs += [
            _cell(PROXY, SPLIT_AT_DOTS, s, queries) for s in FIRST_STAGES[:2] for queries in sets
        ]
    if "pydocs" in plan.collections:
        configs += [
            _cell("pydocs", ANALYZER, s, {"queries": queries})
            for s in FIRST_STAGES
            for queries in (ORIGINAL, INSTRUCTED)
        ]
    return configs


def _cell(collection: str, analyzer: str, system: str, queries: dict[str, str]) -> dict[str, Any]:
    options = SYSTEMS[system]
    return {
        "collection": collection, **queries, "system": system, **options, "analyzer": analyzer
    }  # fmt: skip


def run(config: Config, context: Context) -> Outcome:
    """Search with the config's queries; nDCG@10 over all queries, per subset and their mean."""
    name, analyzer = config["collection"], config["analyzer"]
    collection = context.collection(name)
    split = collection.default_split
    texts = _texts(config, collection.topics(split), context)
    if analyzer == SPLIT_AT_DOTS:
        documents = split_at_dots(collection.contents(TITLE))
        analysed = list(split_at_dots(list(texts.values())))
    else:
        documents = context.tokens(name, analyzer, TITLE)
        analysed = tokenize_queries(list(texts.values()), analyzer)
    options = {key: config[key] for key in SYSTEMS[config["system"]]}
    retriever = named_retriever(config["system"], **options).index(documents)
    topics = dict(zip(texts, analysed, strict=True))
    found = search_tokens(retriever, collection.doc_ids, topics, collection.excluded)
    scores = ndcg(found, collection.qrels[split])
    facts: dict[str, Any] = {
        "split": split,
        "documents": len(collection.doc_ids),
        "queries": len(texts),
        "words_per_query": sum(len(text.split()) for text in texts.values()) / len(texts),
        "queries_sha256": queries_sha256(texts),
    }
    if name == PROXY:
        facts["per_subset"] = per_subset(scores.per_query[MEASURE])
        scores.means[MEAN] = mean_of_subsets(facts["per_subset"], STACK_EXCHANGE)
    return Outcome(scores=scores, facts=facts)


def _texts(config: Config, queries: dict[str, str], context: Context) -> dict[str, str]:
    if config["queries"] == INSTRUCTED:
        return {qid: instructed(text, PROMPT) for qid, text in queries.items()}
    texts = query_texts(config["queries"], config["collection"], queries, context)
    mode = config.get("mode", "replace")
    return {qid: combine(queries[qid], texts[qid], mode) for qid in queries}


def per_subset(values: Mapping[str, float]) -> dict[str, float]:
    """Mean of a per-query measure by subset, which the proxy's query ids begin with."""
    grouped: dict[str, list[float]] = {}
    for qid, value in values.items():
        grouped.setdefault(qid.partition("/")[0], []).append(value)
    return {subset: sum(rows) / len(rows) for subset, rows in grouped.items()}


_INSIDE_A_WORD = str.maketrans(dict.fromkeys(".:,\u2019", " "))


def split_at_dots(texts: Sequence[str]) -> Tokens:
    """Tokens of a simpler analyzer: as Lucene's, but a dot, colon or comma always ends a word.

    Lucene keeps "example.com", "e.g" and "1,000" whole. The approximate analyzer behind the
    reference numbers on the proxy is not recorded; this one agrees with all of them.
    """
    return tokenize([text.translate(_INSIDE_A_WORD) for text in texts], ANALYZER)


EXPERIMENT = Experiment(
    id="E3",
    title="gold-answer proxy: reasoned queries, first stages, analyzers",
    cells=cells,
    run=run,
    cost={"embedded": "10 s", "small": "2 min"},
)
