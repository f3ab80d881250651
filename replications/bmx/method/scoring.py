"""The BMX score, equation by equation (paper section 3), in plain Python.

These functions are the definition; `BMX` in retriever.py computes the same numbers fast.
A query and a document are sequences of tokens; a query is a multiset (repeated tokens count).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ir_replications.bmx.method.entropy import mean_entropy, normalised_entropies, token_entropy

# "reference": the authors' code: OOV tokens are dropped and the bonus sums matched tokens only.
# "literal": the equation as printed: OOV tokens count in m and the bonus sums all m tokens.
Form = Literal["reference", "literal"]
FORMS: tuple[str, ...] = get_args(Form)
# "sigmoid" is the paper's entropy; "uniform" sets E = 1 for every token (ablation).
Entropy = Literal["sigmoid", "uniform"]
ENTROPIES: tuple[str, ...] = get_args(Entropy)


def inverse_document_frequency(n_docs: int, df: int) -> float:
    """IDF(q_i) = ln(1 + (N - l_i + 0.5) / (l_i + 0.5)), l_i = documents with the token."""
    return math.log(1.0 + (n_docs - df + 0.5) / (df + 0.5))


def default_alpha(avgdl: float) -> float:
    """alpha = max(min(1.5, avgdl / 100), 0.5)."""
    return max(min(1.5, avgdl / 100.0), 0.5)


def default_beta(n_docs: int) -> float:
    """beta = 1 / ln(1 + N)."""
    return 1.0 / math.log(1.0 + n_docs)


def similarity(query: Sequence[str], document: Sequence[str]) -> float:
    """S(Q, D) = |Q and D| / m: share of the query tokens (repeats counted) found in D."""
    present = set(document)
    return sum(token in present for token in query) / len(query)


def tf_part(tf: Any, length_ratio: Any, alpha: float, mean: float) -> Any:
    """F (alpha + 1) / (F + alpha |D|/avgdl + alpha E-bar), the factor that IDF multiplies.

    `tf` and `length_ratio` (|D|/avgdl) are numbers, or arrays of one shape.
    """
    return tf * (alpha + 1.0) / (tf + alpha * length_ratio + alpha * mean)


@dataclass(frozen=True)
class Statistics:
    """What the score needs to know of a collection of token lists."""

    n_docs: int
    avgdl: float
    df: dict[str, int]
    entropy: dict[str, float]

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]]) -> Statistics:
        """Count N, avgdl, document frequencies and token entropies."""
        tfs: dict[str, list[int]] = {}
        for document in documents:
            for token, tf in Counter(document).items():
                tfs.setdefault(token, []).append(tf)
        return cls(
            n_docs=len(documents),
            avgdl=sum(map(len, documents)) / len(documents),
            df={token: len(values) for token, values in tfs.items()},
            entropy={token: token_entropy(values) for token, values in tfs.items()},
        )


def query_entropies(
    query: Sequence[str], statistics: Statistics, entropy: Entropy = "sigmoid"
) -> list[float]:
    """E(q_i) of every query token; 0 for a token in no document (1 with entropy="uniform")."""
    if entropy == "uniform":
        return [1.0] * len(query)
    raw = [statistics.entropy.get(token, 0.0) for token in query]
    known = [token in statistics.df for token in query]
    return [e if k else 0.0 for e, k in zip(normalised_entropies(raw), known, strict=True)]


def score(
    query: Sequence[str],
    document: Sequence[str],
    statistics: Statistics,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    form: Form = "reference",
    entropy: Entropy = "sigmoid",
    mean: float | None = None,
) -> float:
    """score(D, Q) = sum_i [ IDF(q_i) tf_part(q_i, D) + beta E(q_i) S(Q, D) ].

    form="reference" drops query tokens that no document contains and adds the bonus only for the
    tokens in D (the reference code); form="literal" keeps m = |Q| and adds it for all m tokens
    of a document that matches. `alpha`, `beta` override the defaults, `mean` fixes E-bar.
    A document without a query token scores 0 in both forms, since S = 0.
    """
    if form == "reference":
        query = [token for token in query if token in statistics.df]
    if not query:
        return 0.0
    alpha = default_alpha(statistics.avgdl) if alpha is None else alpha
    beta = default_beta(statistics.n_docs) if beta is None else beta
    e = query_entropies(query, statistics, entropy)
    e_bar = mean_entropy(e) if mean is None else mean
    tf = Counter(document)
    s = similarity(query, document)
    total = 0.0
    for token, e_i in zip(query, e, strict=True):
        if tf[token]:
            idf = inverse_document_frequency(statistics.n_docs, statistics.df[token])
            length_ratio = len(document) / statistics.avgdl
            total += idf * tf_part(tf[token], length_ratio, alpha, e_bar)
        if tf[token] or form == "literal":
            total += beta * e_i * s
    return total
