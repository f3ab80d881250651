"""Entropy of the query tokens (paper section 3; transcription in the reference code).

Written F for the raw term frequency, natural logarithms throughout, as in the reference code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# From tf = 37 on, 1 / (1 + exp(-tf)) is 1.0 in float64, so -p ln p is exactly 0.
TABLE_SIZE = 64


def occurrence_probability(tf: float) -> float:
    """p_ij = 1 / (1 + exp(-F(q_i, D_j))), the sigmoid of the raw term frequency."""
    return float(1.0 / (1.0 + np.exp(-float(tf))))


def document_entropy(tf: float) -> float:
    """-p_ij ln p_ij: what one document that contains the token adds to its entropy."""
    p = occurrence_probability(tf)
    return float(-p * np.log(p))


def token_entropy(tfs: Iterable[float]) -> float:
    """E~(q_i) = -sum over j with q_i in D_j of p_ij ln p_ij.

    `tfs` are the term frequencies in the documents that contain the token; the others are not
    summed (each would add 0.5 ln 2). A token in no document has entropy 0.
    """
    return float(sum(document_entropy(tf) for tf in tfs))


def normalised_entropies(entropies: Sequence[float]) -> list[float]:
    """E(q_i) = E~(q_i) / max(E~(q_1), ..., E~(q_m)), maximum over the tokens of this query.

    When every entropy is 0 (all tf >= 37) the quotient is 0/0; the tokens all equal their maximum,
    so E = 1 (ours; the reference code returns NaN).
    """
    highest = max(entropies, default=0.0)
    if highest == 0.0:
        return [1.0] * len(entropies)
    return [value / highest for value in entropies]


def mean_entropy(normalised: Sequence[float]) -> float:
    """E-bar = (1/m) sum of E(q_i), the mean of the normalised entropies."""
    return sum(normalised) / len(normalised)


def entropy_table() -> np.ndarray:
    """-p ln p for tf = 0 .. TABLE_SIZE - 1, float64; the last entry (0.0) serves all larger tf."""
    return np.array([document_entropy(tf) for tf in range(TABLE_SIZE)])
