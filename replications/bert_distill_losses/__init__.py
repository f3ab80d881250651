"""Losses for distilling BERT cross-encoders into smaller ones (arXiv 2302.04112).

method/ has the losses on scores and on layers; ranker/ the cross-encoder that teacher and students
are; training/ the arms, the loop, `distill` and its command; experiments/ and checks/ what the
claims in claims.toml are judged by; plan.md what was planned before the runs.
"""

from __future__ import annotations

from typing import Any

from ir_replications.shared.lazy import public_name

_PLACES = {
    "CrossEncoder": "ranker.cross_encoder",
    "Ranker": "ranker.model",
    "distill": "training.distill",
    "load_ranker": "ranker.files",
    "hinge": "method.ranking_losses",
    "margin_mse": "method.ranking_losses",
    "pair_kl": "method.ranking_losses",
    "ranknet": "method.ranking_losses",
}
__all__ = [
    "CrossEncoder",
    "Ranker",
    "distill",
    "hinge",
    "load_ranker",
    "margin_mse",
    "pair_kl",
    "ranknet",
]


def __getattr__(name: str) -> Any:
    return public_name(__name__, _PLACES, name)
