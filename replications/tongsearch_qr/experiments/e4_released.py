"""E4: what the released reasoned queries are, and which of their features go with a gain.

The texts: all 1,308 unique ones. The gain: nDCG@10 of a reasoned minus that of the original query
on the gold-answer proxy, where the answer that must be found is known, and with it its words.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from statistics import fmean, median
from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import Tokens, tokenize_queries
from ir_replications.shared.data import load_bright_queries
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.evaluation.metrics import Scores
from ir_replications.shared.evaluation.significance import paired_bootstrap
from ir_replications.shared.retrieval.search import named_retriever
from ir_replications.tongsearch_qr.experiments.bright import (
    ANALYZER,
    MEASURE,
    SUBSETS,
    SYSTEMS,
    TITLE,
    ndcg,
    search_tokens,
)
from ir_replications.tongsearch_qr.experiments.released_text import (
    GROUPS,
    correlations,
    form,
    kept,
    regression,
    repeated,
    varying,
    wording,
)
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY
from ir_replications.tongsearch_qr.rewriting.released_files import (
    MAPS,
    published_queries,
    queries_sha256,
)
from ir_replications.tongsearch_qr.rewriting.rewriter import repeats_prompt

ORIGINAL_MEASURE = f"{MEASURE} original"
FIRST_STAGES = ("bm25q", "bm25")
PROMPT = "earlier-inference"  # the prompt that the released queries were written with


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Released queries x first stage."""
    if plan.tier != "small" or PROXY not in plan.collections:
        return []
    return [
        {"collection": PROXY, "queries": queries, "system": system, **SYSTEMS[system]}
        for queries in MAPS
        for system in FIRST_STAGES
    ]


def run(config: Config, context: Context) -> Outcome:
    """Describe the released texts; search the proxy with and without them; relate the two."""
    name = config["collection"]
    collection = context.collection(name)
    split = collection.default_split
    topics = collection.topics(split)
    released = _published(config["queries"], name, topics, context)
    tokens = context.tokens(name, ANALYZER, TITLE)
    options = {key: config[key] for key in SYSTEMS[config["system"]]}
    retriever = named_retriever(config["system"], **options).index(tokens)
    values: dict[str, dict[str, float]] = {}
    analysed: dict[str, dict[str, list[str]]] = {}
    for measure, texts in {ORIGINAL_MEASURE: topics, MEASURE: released}.items():
        tokenised = tokenize_queries(list(texts.values()), ANALYZER)
        analysed[measure] = dict(zip(texts, tokenised, strict=True))
        found = search_tokens(retriever, collection.doc_ids, analysed[measure], {})
        values[measure] = ndcg(found, collection.qrels[split]).per_query[MEASURE]
    numbers = {docid: number for number, docid in enumerate(collection.doc_ids)}
    weights = idf(tokens)
    rows = []
    for qid, text in released.items():
        (answer,) = collection.qrels[split][qid]
        rows.append(
            form(text)
            | wording(
                analysed[ORIGINAL_MEASURE][qid],
                analysed[MEASURE][qid],
                tokens[numbers[answer]],
                weights,
            )
            | {"query_words": len(topics[qid].split())}
        )
    gain = [values[MEASURE][qid] - values[ORIGINAL_MEASURE][qid] for qid in released]
    means = {measure: math.fsum(v.values()) / len(v) for measure, v in values.items()}
    return Outcome(
        scores=Scores(values, means),
        facts={
            "split": split,
            "queries": len(released),
            "queries_sha256": queries_sha256(released),
            "text": describe(config["queries"], context),
            "gain": _gain(values),
            **explain(rows, gain),
        },
    )


def describe(name: str, context: Context) -> dict[str, Any]:
    """Counts over the unique released texts of all subsets."""
    by_query: dict[str, str] = {}
    root = find_data_root(context.data_root)
    for subset in SUBSETS:
        with costs_this_cell():
            queries = load_bright_queries(subset, context.data_root).queries
        collection = f"bright/{subset}"
        if root and (root / collection / "reasoned").is_dir():
            context.files(f"{collection}/reasoned")  # else they are downloaded by checksum
        reasoned = _published(name, collection, queries, context)
        by_query |= {queries[qid]: text for qid, text in reasoned.items()}
    forms = [form(text) for text in by_query.values()]
    queries_tokens = tokenize_queries(list(by_query), ANALYZER)
    text_tokens = tokenize_queries(list(by_query.values()), ANALYZER)
    words = [each["words"] for each in forms]
    marks = ("truncated", "unfinished", "starts_with_heading", "chinese", "think_tags", "empty")
    parts = ("headings", "list_items", "code_blocks")
    return {
        "unique": len(by_query),
        "sha256": hashlib.sha256(json.dumps(sorted(by_query.items())).encode()).hexdigest(),
        "words_median": float(median(words)),
        "words_mean": fmean(words),
        "words_max": max(words),
        **{mark: sum(each[mark] for each in forms) for mark in marks},
        **{f"with_{part}": sum(each[part] > 0 for each in forms) for part in parts},
        **{f"{part}_mean": fmean(each[part] for each in forms) for part in parts},
        "repeats_prompt": sum(repeats_prompt(text, q, PROMPT) for q, text in by_query.items()),
        "query_kept_mean": fmean(map(kept, queries_tokens, text_tokens)),
        "repeated_mean": fmean(map(repeated, text_tokens)),
        "truncated_share": fmean(each["truncated"] for each in forms),
    }


def explain(rows: list[dict[str, float]], gain: list[float]) -> dict[str, Any]:
    """Means of the features, their correlations with the gain, and the joint regression."""
    names = [name for members in GROUPS.values() for name in members]
    features = {name: [float(row[name]) for row in rows] for name in names}
    used = varying(features)
    joint = regression(used, gain)
    return {
        "feature_means": {name: fmean(values) for name, values in features.items()},
        "constant_features": [name for name in names if name not in used],
        "spearman": {name: asdict(each) for name, each in correlations(used, gain).items()},
        "effects": {name: asdict(each) for name, each in joint.effects.items()},
        "r2": joint.r2,
        "r2_lost": joint.r2_lost,
    }


def idf(tokens: Tokens) -> dict[str, float]:
    """ln((N + 1) / (df + 0.5)) of every token of the documents."""
    df: dict[str, int] = {}
    for number in range(len(tokens)):
        for token in set(tokens[number]):
            df[token] = df.get(token, 0) + 1
    return {token: math.log((len(tokens) + 1) / (n + 0.5)) for token, n in df.items()}


def _published(
    name: str, collection: str, queries: Mapping[str, str], context: Context
) -> dict[str, str]:
    return published_queries(
        name, collection, queries, data_root=context.data_root, download=context.download
    )


def _gain(values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    effect = paired_bootstrap(values[MEASURE], values[ORIGINAL_MEASURE])
    pairs = [(values[MEASURE][q], values[ORIGINAL_MEASURE][q]) for q in values[MEASURE]]
    return {
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "p": effect.p,
        "better": sum(a > b for a, b in pairs),
        "worse": sum(a < b for a, b in pairs),
    }


EXPERIMENT = Experiment(
    id="E4",
    title="what the released reasoned queries are, and what goes with a gain",
    cells=cells,
    run=run,
    cost={"small": "1 min"},
)
