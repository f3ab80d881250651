"""The experiments of the BERT distillation replication, one module per experiment."""

from __future__ import annotations

from ir_replications.bert_distill_losses.experiments import (
    e1_goldens,
    e2_arms,
    e3_axes,
    e4_labels,
    e5_deeper_teacher,
)

COLLECTIONS = {
    "embedded": ("pydocs",),
    "small": (
        "beir/nfcorpus",
        "beir/scifact",
        "classic/cranfield",
        "classic/cacm",
        "classic/npl-vaswani",
        "rerank/dl19",
    ),
    "paper": ("beir/msmarco",),
}

EXPERIMENTS = (
    e1_goldens.EXPERIMENT,
    e2_arms.EXPERIMENT,
    e3_axes.EXPERIMENT,
    e4_labels.EXPERIMENT,
    e5_deeper_teacher.EXPERIMENT,
)

__all__ = ["COLLECTIONS", "EXPERIMENTS"]
