"""ProRank: small language models as rerankers after a prompt warmup (arXiv 2506.03487).

method/ has the prompt, the score from the logits of "0" and "1", the rewards, GRPO on the answer
token and the losses; training/ the two stages and their command; reranking/ what reranks with a
model, trained or not; experiments/ and checks/ what the claims in claims.toml are judged by.
"""

from __future__ import annotations

from typing import Any

from ir_replications.shared.lazy import public_name

_PLACES = {
    "PairScorer": "method.score",
    "Reranker": "reranking.documents",
    "any_reranker": "reranking.reranker",
    "score_candidates": "reranking.reranker",
}
__all__ = ["PairScorer", "Reranker", "any_reranker", "score_candidates"]


def __getattr__(name: str) -> Any:
    return public_name(__name__, _PLACES, name)
