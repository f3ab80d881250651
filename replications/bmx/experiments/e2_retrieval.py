"""E2: retrieval table. BMX in both forms against the BM25 variants, everything else equal."""

from __future__ import annotations

from typing import Any

from ir_replications.bmx.experiments.testbeds import BEIR, JAPANESE, PRINTED_LANGUAGES, analyzers
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.evaluation.metrics import Qrels, evaluate
from ir_replications.shared.retrieval.bm25 import BM25
from ir_replications.shared.retrieval.runs import Run, with_trec_eval_ties
from ir_replications.shared.retrieval.search import Retriever, search

TIES = "nDCG@10, trec_eval ties"  # the order behind numbers computed with pytrec_eval
DEPTH = 100  # reference code: top_k=100 in every evaluation script

BM25_VARIANTS: tuple[dict[str, Any], ...] = (
    # reference code: k1=1.2, b=.75 are Baguetter's BM25 defaults, the paper's baseline
    {"method": "lucene", "k1": 1.2, "b": 0.75},
    {"method": "robertson", "k1": 1.2, "b": 0.75},
    {"method": "atire", "k1": 1.2, "b": 0.75},
    {"method": "bm25l", "k1": 1.2, "b": 0.75},
    {"method": "bm25+", "k1": 1.2, "b": 0.75},
    # ours: Anserini's and rank-bm25's defaults, the opponents the paper does not name
    {"method": "lucene", "k1": 0.9, "b": 0.4},
    {"method": "lucene", "k1": 1.5, "b": 0.75},
)


def make_retriever(config: Config) -> Retriever:
    """The retriever that a config names: BMX by form, or BM25 by method, k1 and b."""
    if config["system"] == "bmx":
        return BMX(form=config["form"])
    return BM25(method=config["method"], k1=config["k1"], b=config["b"])


def systems() -> list[dict[str, Any]]:
    """Every system of the table as config values."""
    bmx: list[dict[str, Any]] = [
        {"system": "bmx", "form": form} for form in ("reference", "literal")
    ]
    return bmx + [{"system": "bm25", **variant} for variant in BM25_VARIANTS]


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x analyzer and title handling x system.

    Collections of the multilingual table have the paper's comparison alone; the small tier has
    one of them.
    """
    further = (JAPANESE,) if plan.tier == "small" and not plan.chosen else ()
    return [
        {"collection": collection, "analyzer": analyzer, "title": title, **system}
        for collection in (*plan.collections, *further)
        for analyzer, title in analyzers(collection)
        for system in systems()
        if collection not in PRINTED_LANGUAGES or is_comparison(system)
    ]


def is_comparison(config: Config) -> bool:
    """Whether a system is one of the two that the paper compares: BMX, BM25 (1.2, .75)."""
    lucene = (config.get("method"), config.get("k1")) == ("lucene", 1.2)
    return config.get("form") == "reference" or lucene


def run(config: Config, context: Context) -> Outcome:
    """Index the collection, search every topic, evaluate."""
    retriever = make_retriever(config)
    outcome = search_and_evaluate(retriever, config, context)
    if isinstance(retriever, BMX):
        outcome.facts |= {"alpha": retriever.alpha, "beta": retriever.beta}
    if not keeps_run(config):
        outcome.run = None
    return outcome


def search_topics(
    retriever: Retriever, config: Config, context: Context, split: str | None = None
) -> tuple[Run, Qrels]:
    """Index the config's collection in `retriever` and search the topics of a split."""
    name, analyzer = config["collection"], config["analyzer"]
    collection = context.collection(name)
    split = split or collection.default_split
    retriever.index(context.tokens(name, analyzer, config["title"]))
    topics = context.topics(name, split, analyzer)
    found = search(retriever, collection.doc_ids, topics, DEPTH, excluded=collection.excluded)
    return found, collection.qrels[split]


def search_and_evaluate(retriever: Retriever, config: Config, context: Context) -> Outcome:
    """Search the collection's topics and evaluate with every measure, in both orders of ties."""
    found, qrels = search_topics(retriever, config, context)
    collection = context.collection(config["collection"])
    facts = {
        "split": collection.default_split,
        "documents": len(collection.doc_ids),
        "queries": len(qrels),
        "notes": list(collection.notes),
    }
    scores = evaluate(found, qrels)
    other = evaluate(with_trec_eval_ties(found), qrels, ["nDCG@10"])
    scores.per_query[TIES] = other.per_query["nDCG@10"]
    scores.means[TIES] = other.means["nDCG@10"]
    return Outcome(scores=scores, facts=facts, run=found)


def keeps_run(config: Config) -> bool:
    """Whether a cell keeps its results: the paper's comparison, and what BEIR's table prints.

    All runs of all cells would be tens of megabytes.
    """
    analyzer, title = config["analyzer"], config["title"]
    if (analyzer, title) == ("baguetter", "newline") and is_comparison(config):
        return True
    printed = analyzer, title, config.get("k1")
    return config["collection"] in BEIR and printed in (
        ("baguetter", "newline", 1.2),
        ("bm25s", "space", 1.2),
    )


EXPERIMENT = Experiment(
    id="E2",
    title="retrieval table: BMX and BM25 variants",
    cells=cells,
    run=run,
    cost={
        "embedded": "30 s",
        "small": "2 min",
        "paper": "hours; 6 GB of downloads",
    },
)
