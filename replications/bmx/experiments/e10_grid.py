"""E10: the benchmark grid: collections x short and long queries x k x systems, one thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ir_replications.bmx.experiments.grid import (
    measure_grid,
    measure_growth,
    measure_text,
    pooled_queries,
    summary,
)
from ir_replications.bmx.experiments.testbeds import reference_analyzer
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import tokenize
from ir_replications.shared.data.lines import json_lines

GRID = {
    "embedded": ("pydocs",),
    "small": ("beir/scifact", "beir/nfcorpus", "derived/msmarco-mini"),
    "paper": ("beir/quora", "beir/msmarco"),
}
SYNTHETIC = {"small": (30_000, 300_000)}
GROWTH = {"small": (30_000, 100_000, 300_000, 1_000_000)}
REPETITIONS = {"pydocs": 3}
# Long queries of real collections: the reasoned queries that TongSearch QR's authors released.
REASONED = tuple(
    f"bright/{subset}/reasoned"
    for subset in ("biology", "earth_science", "economics", "psychology", "robotics")
)
REASONED_FILE = "tongsearch-qr-7b.jsonl"
MOST_QUERIES = {"short": 1000, "long": 100}


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per collection and length of queries, all systems and depths in turn inside it."""
    names = plan.collections if plan.chosen else GRID[plan.tier]
    reasoned = GRID["small"] if plan.tier == "small" else ()
    grid: list[dict[str, Any]] = [
        {
            "collection": name,
            "analyzer": reference_analyzer(name),
            "title": "newline",
            "queries": queries,
            "threads": 1,
        }
        for name in names
        for queries in ("short", "reasoned" if name in reasoned else "pooled")
    ]
    text = [{"collection": n, "analyzer": "bm25s", "from": "text"} for n in names]
    if plan.chosen:
        return [*grid, *text]
    grid += [
        {"synthetic": size, "queries": queries, "threads": 1, "seed": 0}
        for size in SYNTHETIC.get(plan.tier, ())
        for queries in ("short", "pooled")
    ]
    if plan.tier in GROWTH:
        sizes = [str(size) for size in GROWTH[plan.tier]]
        grid.append({"growth": " ".join(sizes), "threads": 1, "seed": 0})
    return [*grid, *text]


def run(config: Config, context: Context) -> Outcome:
    """Facts named time_* and speed_* depend on the machine and are never compared."""
    if growth := config.get("growth"):
        sizes = [int(size) for size in growth.split()]
        measured = measure_growth(sizes, n_queries=50, seed=config["seed"])
        return Outcome(
            facts={
                "time_microseconds": measured["microseconds"],
                "speed_exponents": measured["exponents"],
            }
        )
    if config.get("from") == "text":
        return _from_text(config["collection"], config["analyzer"], context)
    if documents := config.get("synthetic"):
        tokens = zipf_collection(documents, seed=config["seed"])
        queries = (
            queries_from(tokens, 200, seed=config["seed"] + 1)
            if config["queries"] == "short"
            else pooled_queries(tokens, 20, seed=config["seed"] + 2)
        )
    else:
        name = config["collection"]
        tokens = context.tokens(name, config["analyzer"], config["title"])
        queries = list(_queries(config, context))
    repetitions = REPETITIONS.get(config.get("collection", ""), 7)
    measured = measure_grid(tokens, queries, repetitions=repetitions)
    return Outcome(
        facts={
            "documents": measured["n_docs"],
            "queries": measured["n_queries"],
            "speed_clock": "CPU time of one thread, systems in turn; other work on the machine",
            "speed_mean_tokens": measured["mean_tokens"],
            "speed_mean_terms": measured["mean_terms"],
            "time_microseconds": measured["microseconds"],
            "time_median_microseconds": measured["median_microseconds"],
            "speed_ratio": measured["ratio"],
            "speed_median_ratio": measured["median_ratio"],
            "speed_choice": measured["choice"],
            "speed_summary": summary(measured),
            "speed_absent": measured["absent"],
        }
    )


def _queries(config: Config, context: Context) -> Iterator[list[str]]:
    name, kind, analyzer = config["collection"], config["queries"], config["analyzer"]
    if kind == "short":
        topics = context.topics(name, context.collection(name).default_split, analyzer)
        yield from list(topics.values())[: MOST_QUERIES["short"]]
    elif kind == "pooled":
        tokens = context.tokens(name, analyzer, config["title"])
        yield from pooled_queries(tokens, MOST_QUERIES["long"])
    else:
        files = [context.files(folder) / REASONED_FILE for folder in REASONED]
        yield from tokenize(list(_texts(files))[: MOST_QUERIES["long"]], analyzer)


def _texts(files: list[Path]) -> Iterator[str]:
    """The texts of the files in turn: the first of each, then the second ones, ..."""
    by_file = [[record["text"] for _, record in json_lines(file)] for file in files]
    for i in range(max(map(len, by_file))):
        yield from (texts[i] for texts in by_file if i < len(texts))


def _from_text(name: str, analyzer: str, context: Context) -> Outcome:
    collection = context.collection(name)
    query = next(iter(collection.topics(collection.default_split).values()))
    measured = measure_text(list(collection.contents("newline")), query, analyzer)
    return Outcome(
        facts={
            "documents": len(collection.doc_ids),
            "time_seconds": measured["seconds"],
            "time_load_seconds": measured["load_seconds"],
            "speed_saved_bytes": measured["saved_bytes"],
            "speed_resident_kib": measured["resident"],
        }
    )


EXPERIMENT = Experiment(
    id="E10",
    title="the benchmark grid: short and long queries, every depth, every system",
    cells=cells,
    run=run,
    cost={"embedded": "30 s", "small": "8 min, 3 GB of memory", "paper": "hours"},
    measures_time=True,
)
