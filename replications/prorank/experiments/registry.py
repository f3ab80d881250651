"""The experiments of the ProRank replication, one module per experiment."""

from __future__ import annotations

from ir_replications.prorank.experiments import (
    e1_goldens,
    e2_zero_shot,
    e3_stages,
    e4_ablations,
    e5_paper,
    e6_longer,
    e8_untrained,
)

COLLECTIONS = {
    "embedded": ("pydocs",),
    "small": ("beir/nfcorpus", "rerank/dl19"),
    "paper": e5_paper.BEIR,
}

EXPERIMENTS = (
    e1_goldens.EXPERIMENT,
    e2_zero_shot.EXPERIMENT,
    e3_stages.EXPERIMENT,
    e4_ablations.EXPERIMENT,
    e5_paper.EXPERIMENT,
    e6_longer.EXPERIMENT,
    e8_untrained.EXPERIMENT,
)

__all__ = ["COLLECTIONS", "EXPERIMENTS"]
