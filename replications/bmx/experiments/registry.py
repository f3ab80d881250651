"""The experiments of the BMX replication: data -> run -> record, one module per experiment."""

from __future__ import annotations

from ir_replications.bmx.experiments import (
    e1_algebra,
    e2_retrieval,
    e3_ablation,
    e4_entropy,
    e5_augmentation,
    e6_robustness,
    e7_speed,
    e8_print,
    e9_dense,
    e10_grid,
    e11_preparation,
    e12_alpha,
)
from ir_replications.bmx.experiments.testbeds import COLLECTIONS

EXPERIMENTS = (
    e1_algebra.EXPERIMENT,
    e2_retrieval.EXPERIMENT,
    e3_ablation.EXPERIMENT,
    e4_entropy.EXPERIMENT,
    e5_augmentation.EXPERIMENT,
    e6_robustness.EXPERIMENT,
    e7_speed.EXPERIMENT,
    e8_print.EXPERIMENT,
    e9_dense.EXPERIMENT,
    e10_grid.EXPERIMENT,
    e11_preparation.EXPERIMENT,
    e12_alpha.EXPERIMENT,
)

__all__ = ["COLLECTIONS", "EXPERIMENTS"]
