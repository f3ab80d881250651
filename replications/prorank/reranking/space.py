"""How wide the space of the last hidden states is (third version of the paper: it is narrow)."""

from __future__ import annotations

import numpy as np


def spread(states: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Measures of a query's candidates: last hidden states (n, d) and scores (n,).

    effective rank: exp of the entropy of the normalised squared singular values of the centred
    states, 1 to n - 1 (Roy and Vetterli 2007, with squares, so that shares are of variance); mean
    cosine: over all pairs of states; score deviation: standard deviation of s. Empty for fewer
    than two candidates.
    """
    n = len(states)
    if n < 2:
        return {}
    x = states.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.maximum(lengths, np.finfo(np.float64).tiny)
    cosines = unit @ unit.T
    return {
        "effective rank": effective_rank(x - x.mean(axis=0)),
        "mean cosine": float((cosines.sum() - np.trace(cosines)) / (n * (n - 1))),
        "score deviation": float(scores.astype(np.float64).std()),
    }


def effective_rank(centred: np.ndarray) -> float:
    """exp(H(p)) with p the shares of variance along the principal axes; 1 without variance."""
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    if not variances.sum() > 0:
        return 1.0
    shares = variances / variances.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
