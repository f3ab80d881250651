"""E7: index time, queries per second and memory of BMX beside bm25s and Baguetter."""

from __future__ import annotations

from typing import Any

from replications.bmx.speed import measure_speed
from replications.bmx.testbeds import reference_analyzer
from replications.execute import Config, Context, Experiment, Outcome, Plan

SPEED_COLLECTIONS = {
    "embedded": ("pydocs",),
    "small": ("beir/scifact", "beir/nfcorpus", "derived/msmarco-mini"),
    "paper": ("beir/quora", "beir/msmarco"),
}


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per collection; all systems run in turn inside it, so that ratios hold."""
    return [
        {
            "collection": name,
            "analyzer": reference_analyzer(name),
            "title": "newline",
            "k": 10,
            "threads": 1,
        }
        for name in (plan.collections if plan.chosen else SPEED_COLLECTIONS[plan.tier])
    ]


def run(config: Config, context: Context) -> Outcome:
    """Alternating repetitions of every system on the same tokens, one thread."""
    name, analyzer = config["collection"], config["analyzer"]
    topics = context.topics(name, context.collection(name).default_split, analyzer)
    tokens = context.tokens(name, analyzer, config["title"])
    return Outcome(facts=measure_speed(tokens, list(topics.values()), k=config["k"]))


EXPERIMENT = Experiment(
    id="E7",
    title="speed and memory beside bm25s and Baguetter",
    cells=cells,
    run=run,
    cost={"embedded": "10 s", "small": "2 min", "paper": "hours"},
)
