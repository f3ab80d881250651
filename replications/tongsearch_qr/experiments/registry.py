"""The experiments of the TongSearch QR replication, one module per experiment."""

from __future__ import annotations

from ir_replications.tongsearch_qr.experiments import (
    e1_goldens,
    e2_bright,
    e3_proxy,
    e4_released,
    e5_training,
    e6_baseline,
    e7_published_runs,
    e8_dense,
    e9_prompted,
    e10_reward_model,
)
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY

COLLECTIONS = {
    "embedded": ("pydocs",),
    "small": (PROXY, "beir/nfcorpus", "beir/scifact"),
    "paper": e2_bright.COLLECTIONS,
}

EXPERIMENTS = (
    e1_goldens.EXPERIMENT,
    e2_bright.EXPERIMENT,
    e3_proxy.EXPERIMENT,
    e4_released.EXPERIMENT,
    e5_training.EXPERIMENT,
    e6_baseline.EXPERIMENT,
    e7_published_runs.EXPERIMENT,
    e8_dense.EXPERIMENT,
    e9_prompted.EXPERIMENT,
    e10_reward_model.EXPERIMENT,
)

__all__ = ["COLLECTIONS", "EXPERIMENTS"]
