"""BMX: entropy-weighted similarity for lexical search (Li et al., arXiv 2408.06643)."""

from __future__ import annotations

from replications.bmx.retriever import BMX

__all__ = ["BMX"]
