"""E7: index time, queries per second and memory of BMX beside bm25s and Baguetter."""

from __future__ import annotations

from typing import Any

from ir_replications.bmx.experiments.speed import measure_pruning, measure_speed
from ir_replications.bmx.experiments.testbeds import reference_analyzer
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan

SPEED_COLLECTIONS = {
    "embedded": ("pydocs",),
    "small": ("beir/scifact", "beir/nfcorpus", "derived/msmarco-mini"),
    "paper": ("beir/quora", "beir/msmarco"),
}
# Synthetic documents for exact pruning: real collections at hand are too small to need it.
ZIPF_DOCUMENTS = {"small": 1_000_000}


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per collection; all systems run in turn inside it, so that ratios hold."""
    real: list[dict[str, Any]] = [
        {
            "collection": name,
            "analyzer": reference_analyzer(name),
            "title": "newline",
            "k": 10,
            "threads": 1,
        }
        for name in (plan.collections if plan.chosen else SPEED_COLLECTIONS[plan.tier])
    ]
    if plan.chosen or plan.tier not in ZIPF_DOCUMENTS:
        return real
    return [*real, {"synthetic": ZIPF_DOCUMENTS[plan.tier], "k": 10, "threads": 1, "seed": 0}]


def run(config: Config, context: Context) -> Outcome:
    """Alternating repetitions of every system on the same tokens, one thread.

    Facts named time_* and speed_* depend on the machine and are never compared between machines.
    """
    if documents := config.get("synthetic"):
        measured = measure_pruning(documents, k=config["k"], seed=config["seed"])
        return Outcome(
            facts={
                "documents": measured["n_docs"],
                "queries": measured["n_queries"],
                "postings": measured["n_postings"],
                "identical": measured["identical"],
                "speed_ratio_bm25s": measured["query_ratio"]["bm25s"],
                "time_milliseconds_per_query": measured["milliseconds"],
                "time_index_seconds": measured["index_seconds"],
                "bytes_per_posting": measured["bytes_per_posting"],
            }
        )
    name, analyzer = config["collection"], config["analyzer"]
    topics = context.topics(name, context.collection(name).default_split, analyzer)
    tokens = context.tokens(name, analyzer, config["title"])
    most = len(context.collection(name).doc_ids)
    measured = measure_speed(tokens, list(topics.values()), k=min(config["k"], most))
    ratio = measured["query_ratio"]
    return Outcome(
        facts={
            "documents": measured["n_docs"],
            "queries": measured["n_queries"],
            "speed_queries_per_second": measured["queries_per_second"],
            "speed_ratio_bm25s": ratio["bm25s"],
            "speed_ratio_authors": ratio.get("authors"),
            "speed_index_ratio": measured["index_ratio"],
            "time_index_seconds": measured["index_seconds"],
            "bytes_per_posting": measured["bytes_per_posting"],
        }
    )


EXPERIMENT = Experiment(
    id="E7",
    title="speed and memory beside bm25s and Baguetter",
    cells=cells,
    run=run,
    cost={"embedded": "10 s", "small": "4 min, 3 GB of memory", "paper": "hours"},
    measures_time=True,
)
