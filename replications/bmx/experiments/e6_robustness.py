"""E6: the sign and size of BMX - BM25 over analyzer, title handling, k1, b and collection."""

from __future__ import annotations

from itertools import product
from statistics import fmean
from typing import Any

from ir_replications.bmx.experiments.e2_retrieval import search_topics
from ir_replications.bmx.experiments.testbeds import is_english, reference_analyzer
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import ANALYZERS
from ir_replications.shared.evaluation.metrics import Scores, evaluate
from ir_replications.shared.retrieval.bm25 import BM25

# ours: the two published defaults, rank-bm25's, and a high k1 as BMX implies on long documents
PARAMETERS = ((0.9, 0.4), (1.2, 0.4), (1.2, 0.75), (1.5, 0.75), (2.0, 0.5), (2.0, 0.75))
TITLES = ("newline", "omit")
MEASURE = "nDCG@10"


def opponent(k1: float, b: float) -> str:
    """Name of the column that holds the scores of BM25 with these parameters."""
    return f"{MEASURE} BM25 k1={k1} b={b}"


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x analyzer x title handling; the (k1, b) opponents share one index of each."""
    return [
        {"collection": name, "analyzer": analyzer, "title": title}
        for name in plan.collections
        for analyzer, title in product(_analyzers(name), TITLES)
    ]


def _analyzers(name: str) -> tuple[str, ...]:
    return ANALYZERS if is_english(name) else (reference_analyzer(name),)


def run(config: Config, context: Context) -> Outcome:
    """Per-query nDCG@10 of BMX and of BM25 (lucene) at every (k1, b)."""
    systems = {f"{MEASURE} BMX": BMX()} | {
        opponent(k1, b): BM25(k1=k1, b=b) for k1, b in PARAMETERS
    }
    per_query: dict[str, dict[str, float]] = {}
    for column, system in systems.items():
        found, qrels = search_topics(system, config, context)
        per_query[column] = evaluate(found, qrels, [MEASURE]).per_query[MEASURE]
    means = {column: fmean(values.values()) for column, values in per_query.items()}
    return Outcome(scores=Scores(per_query=per_query, means=means))


EXPERIMENT = Experiment(
    id="E6",
    title="robustness map of BMX - BM25",
    cells=cells,
    run=run,
    cost={"embedded": "15 s", "small": "1 min", "paper": "a day"},
)
