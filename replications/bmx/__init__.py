"""BMX: entropy-weighted similarity for lexical search (Li et al., arXiv 2408.06643).

method/ has the score equation by equation, in plain Python; retrieval/ the same score over an
inverted index, fast and exact, behind `BMX`; experiments/ what the claims in claims.toml are judged
by; tables/ the authors' printed tables.
"""

from __future__ import annotations

from ir_replications.bmx.retrieval.retriever import BMX

__all__ = ["BMX"]
