"""TongSearch QR: a query reasoner trained by reinforcement (Qin et al., arXiv 2506.11603).

method/ has the prompts and the reward; training/ GRPO, the supervised comparison and their
command; rewriting/ what rewrites queries with a model, trained or not; experiments/ and checks/
what the claims in claims.toml are judged by.
"""

from __future__ import annotations

from typing import Any

from ir_replications.shared.lazy import public_name

_PLACES = {
    "RelevanceReward": "method.reward",
    "Rewriter": "rewriting.texts",
    "make_rewriter": "rewriting.rewriter",
}
__all__ = ["RelevanceReward", "Rewriter", "make_rewriter"]


def __getattr__(name: str) -> Any:
    return public_name(__name__, _PLACES, name)
