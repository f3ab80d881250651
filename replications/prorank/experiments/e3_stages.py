"""E3: what each stage adds (B2, B3, B5, B7 to B9, B11), at equal numbers of pairs and updates.

A cell is a system on a collection: BM25 as it is, the best reranking there could be, and the
model untrained, supervised, and after stage 1, stage 2 alone, both stages.
"""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.engine.first_stages import DEPTH
from ir_replications.prorank.experiments.systems import (
    FIRST,
    add,
    best,
    measured,
    rerank_outcome,
    task_of,
)

TRAINED = ("sft", "stage 1", "stage 2", "stage 1+2")
SEEDS = (42,)  # more where a GPU is at hand: a seed takes two CPU cores an hour
DEPTHS = {"rerank/dl19": 100}
QUERIES = {"beir/nfcorpus": 40, "rerank/dl19": 20}  # a fixed choice, for CPU time
DEFAULT_DEPTH = 50


def cells(plan: Plan) -> list[dict[str, Any]]:
    """System x collection x seed; the first stage on all queries to depth 100 besides."""
    if plan.tier == "paper":
        return []
    if plan.tier == "embedded":
        few = {"recipe": "embedded", "depth": 4, "queries": 4, "couples": 4}
        return [
            few | {"collection": name, "system": system} | _seed(system, 42)
            for name in plan.collections
            for system in ("bm25", "oracle", "zero-shot", "sft", "stage 1", "stage 1+2")
        ]
    found = []
    for name in plan.collections:
        base = {"collection": name, "recipe": "small", "depth": DEPTHS.get(name, DEFAULT_DEPTH)}
        if number := QUERIES.get(name):
            base["queries"] = number
        found += [base | {"system": system} for system in ("bm25", "oracle", "zero-shot")]
        found += [base | {"system": s} | _seed(s, seed) for seed in SEEDS for s in TRAINED]
        found += [
            {"collection": name, "system": f"{system}, all queries", "depth": DEPTH}
            for system in ("bm25", "oracle")
        ]
    return found


def _seed(system: str, seed: int) -> dict[str, int]:
    return {"seed": seed} if system in TRAINED else {}


def run(config: Config, context: Context) -> Outcome:
    """Rerank with one system and measure it."""
    system = config["system"].removesuffix(", all queries")
    if system not in ("bm25", "oracle"):
        return rerank_outcome(config, context)
    task = task_of(config, context)
    ranked = best(task, config["depth"]) if system == "oracle" else task.run
    scores = measured(task, ranked)
    if config["depth"] > FIRST and system == "oracle":
        shallow = measured(task, best(task, FIRST), ("nDCG@10",))
        add(scores, f"nDCG@10, first {FIRST}", shallow.per_query["nDCG@10"])
    elif config["depth"] > FIRST:
        add(scores, f"nDCG@10, first {FIRST}", scores.per_query["nDCG@10"])
    facts = {"queries": len(task.run), "split": task.split}
    return Outcome(scores=scores, facts=facts, run=ranked)


EXPERIMENT = Experiment(
    id="E3",
    title="what each stage adds: untrained, supervised, stage 1, stage 2, both",
    cells=cells,
    run=run,
    cost={"embedded": "60 s; 98 MB of models", "small": "2 h; 98 MB of models"},
    needs_model=True,
)
