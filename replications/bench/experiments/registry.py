"""The stages of `replicate bench`, one experiment each."""

from __future__ import annotations

from ir_replications.bench.experiments.first import DENSE, LEXICAL
from ir_replications.bench.experiments.reranked import RERANKED
from ir_replications.bench.experiments.rewritten import AUGMENTED, REWRITTEN

EXPERIMENTS = (LEXICAL, DENSE, REWRITTEN, AUGMENTED, RERANKED)

__all__ = ["EXPERIMENTS"]
