"""E6: the arms of E3 with five times the training (plan.md): is the regime one where it works?

The gate comes first: stage 2 alone against BM25 on development queries (TREC DL 2021), which
neither training nor any claim about the arms uses.
"""

from __future__ import annotations

from typing import Any

from ir_replications.engine.experiment import Experiment, Plan
from ir_replications.prorank.experiments.e3_stages import run

GATE = "rerank/dl21"
TESTS = ("rerank/dl19", "beir/nfcorpus", "beir/scifact", "classic/cranfield")
DEPTHS = {"rerank/dl19": 100}
DEFAULT_DEPTH = 50
QUERIES = {"beir/nfcorpus": 100, "beir/scifact": 100, "classic/cranfield": 100}  # a fixed choice
SEEDS = (42, 43, 44)
UNTRAINED = ("bm25", "oracle", "zero-shot")
ARMS = ("stage 2", "stage 1+2", "sft+stage 2", "stage 1")


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x system x seed: on the gate's queries stage 2 alone, else every arm."""
    if plan.tier != "small":
        return []
    found = []
    for name in plan.collections if plan.chosen else (GATE, *TESTS):
        base = {"collection": name, "recipe": "longer", "depth": DEPTHS.get(name, DEFAULT_DEPTH)}
        if number := QUERIES.get(name):
            base["queries"] = number
        arms = ARMS[:1] if name == GATE else ARMS
        found += [base | {"system": system} for system in UNTRAINED]
        found += [base | {"system": arm, "seed": seed} for seed in SEEDS for arm in arms]
    return found


EXPERIMENT = Experiment(
    id="E6",
    title="five times the training: the gate, then the arms, three seeds",
    cells=cells,
    run=run,
    cost={"small": "30 h; 98 MB of models"},
    needs_model=True,
)
