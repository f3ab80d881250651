"""BMX: entropy-weighted similarity for lexical search (Li et al., arXiv 2408.06643)."""

from __future__ import annotations

from ir_replications.bmx.retrieval.retriever import BMX

__all__ = ["BMX"]
