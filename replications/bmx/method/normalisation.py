"""Score normalisation (paper section 3): score / score_max, and the bound that really holds."""

from __future__ import annotations

import math
from typing import Literal, get_args

from ir_replications.bmx.method.scoring import inverse_document_frequency

# "reference": the reference code's score_max; "plus_one": with the + 1.0 of other transcriptions.
Normalisation = Literal["reference", "plus_one"]
NORMALISATIONS: tuple[str, ...] = get_args(Normalisation)


def score_max(n_tokens: float, n_docs: int, normalisation: Normalisation = "reference") -> float:
    """score_max = m ln(1 + (N - 0.5)/1.5), or m (ln(1 + (N - 0.5)/1.5) + 1.0) ("plus_one").

    m = `n_tokens`: the known query tokens in the reference form, all of them in the literal form.
    The sources disagree on the + 1.0, so both are here; neither bounds the score.
    """
    highest_idf = math.log(1.0 + (n_docs - 0.5) / 1.5)
    return n_tokens * (highest_idf + (1.0 if normalisation == "plus_one" else 0.0))


def normalised(
    score: float, n_tokens: float, n_docs: int, normalisation: Normalisation = "reference"
) -> float:
    """score / score_max, and 0 for a query without known tokens (never NaN)."""
    highest = score_max(n_tokens, n_docs, normalisation)
    return score / highest if highest > 0.0 else 0.0


def upper_bound(alpha: float, beta: float, n_docs: int) -> float:
    """(alpha + 1) + beta / IDF_max: what score / score_max ("reference") cannot exceed.

    Each token adds less than IDF_max (alpha + 1) + beta, because tf_part < alpha + 1, E <= 1 and
    S <= 1. The bound is above 1, and so are real scores: the result is no fraction of a maximum.
    """
    return (alpha + 1.0) + beta / inverse_document_frequency(n_docs, 1)
