"""E1: what can be proved or refuted without relevance judgements (claims C1 to C14).

Each check returns facts: the largest error, or the number of violations, over goldens and random
token collections. The definition in scoring.py is compared with the compiled retriever throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ir_replications.bmx.method.augmentation import augmented_score
from ir_replications.bmx.method.entropy import (
    document_entropy,
    normalised_entropies,
    token_entropy,
)
from ir_replications.bmx.method.normalisation import normalised, upper_bound
from ir_replications.bmx.method.scoring import (
    Statistics,
    default_alpha,
    default_beta,
    inverse_document_frequency,
    query_entropies,
    score,
)
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.checks import checks_experiment

Documents = list[list[str]]
Facts = dict[str, float | int]

# The authors' published example after their preprocessing (claim C1).
BAKERY = [
    ["fresh", "crusti", "bake", "sourdough", "bread", "crispi", "crust"],
    ["flaki", "croissant", "made", "french", "butter"],
    ["chocol", "chip", "cooki", "chunk", "dark", "chocol"],
    ["cinnamon", "roll", "cream", "chees", "frost"],
    ["artisan", "baguett", "soft", "interior", "crusti", "exterior"],
]
PUBLISHED = {0: 2.5519667, 4: 0.97304875}  # float32 as printed


def random_collection(seed: int, n_docs: int = 60, n_terms: int = 25) -> Documents:
    """Documents of 1 to 30 tokens drawn from a Zipf-like vocabulary."""
    rng = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, n_terms + 1)
    weights /= weights.sum()
    return [
        [f"t{t}" for t in rng.choice(n_terms, size=rng.integers(1, 31), p=weights)]
        for _ in range(n_docs)
    ]


def random_queries(seed: int, n_terms: int = 25) -> Documents:
    """Queries of 1 to 6 tokens, with repeats."""
    rng = np.random.default_rng(seed)
    return [[f"t{t}" for t in rng.integers(0, n_terms, rng.integers(1, 7))] for _ in range(20)]


def cases() -> list[tuple[Documents, Statistics, Documents]]:
    """Five random collections with their statistics and queries; queries know every token."""
    found = []
    for seed in range(5):
        documents = random_collection(seed)
        statistics = Statistics.of(documents)
        queries = [
            [token for token in query if token in statistics.df] for query in random_queries(seed)
        ]
        found.append((documents, statistics, [query for query in queries if query]))
    return found


def c1() -> Facts:
    """The published example, by the definition and by the retriever."""
    statistics = Statistics.of(BAKERY)
    query = ["crusti", "bread"]
    fast = BMX().index(BAKERY).get_scores(query)
    expected = [PUBLISHED.get(d, 0.0) for d in range(len(BAKERY))]
    by_hand = [score(query, document, statistics) for document in BAKERY]
    return {
        "max_error": max(
            abs(value - target)
            for values in (by_hand, fast)
            for value, target in zip(values, expected, strict=True)
        )
    }


def c2() -> Facts:
    """beta = 0 is BM25 with k1 = alpha (1 + mean E), b = 1 / (1 + mean E), times a constant."""
    worst = 0.0
    for documents, statistics, queries in cases():
        alpha = default_alpha(statistics.avgdl)
        bmx = BMX(beta=0.0).index(documents)
        for query in queries:
            mean = float(np.mean(query_entropies(query, statistics)))
            k1, b = alpha * (1 + mean), 1 / (1 + mean)
            factor = (alpha + 1) / (k1 + 1)
            expected = [
                factor * (k1 + 1) * bm25(query, document, statistics, k1, b)
                for document in documents
            ]
            worst = max(worst, float(np.abs(bmx.get_scores(query) - expected).max()))
    return {"max_error": worst}


def bm25(
    query: list[str], document: list[str], statistics: Statistics, k1: float, b: float
) -> float:
    """BM25 with Lucene's IDF and no (k1 + 1) factor, from its formula."""
    total = 0.0
    for token in query:
        tf = document.count(token)
        if tf:
            idf = inverse_document_frequency(statistics.n_docs, statistics.df[token])
            total += idf * tf / (tf + k1 * (1 - b + b * len(document) / statistics.avgdl))
    return total


def c3() -> Facts:
    """A single token: E = mean E = S = 1, so BM25 with k1 = 2 alpha, b = 1/2, plus beta."""
    worst = 0.0
    for documents, statistics, _ in cases():
        bmx = BMX().index(documents)
        alpha, beta = default_alpha(statistics.avgdl), default_beta(statistics.n_docs)
        for token in list(statistics.df)[:10]:
            expected = [
                (alpha + 1) * bm25([token], d, statistics, 2 * alpha, 0.5) + beta * (token in d)
                for d in documents
            ]
            worst = max(worst, float(np.abs(bmx.get_scores([token]) - expected).max()))
    return {"max_error": worst}


def c4() -> Facts:
    """Bonus = beta S sum of matched E <= beta m; scores are >= 0, and > 0 only with a match."""
    violations = 0
    for documents, statistics, queries in cases():
        with_bonus, without = BMX().index(documents), BMX(beta=0.0).index(documents)
        beta = default_beta(statistics.n_docs)
        for query in queries:
            scores = with_bonus.get_scores(query)
            bonus = scores - without.get_scores(query)
            entropies = query_entropies(query, statistics)
            for document, value, extra in zip(documents, scores, bonus, strict=True):
                present = [token in document for token in query]
                matched = sum(e for e, p in zip(entropies, present, strict=True) if p)
                expected = beta * matched * sum(present) / len(query)
                violations += abs(extra - expected) > 1e-9 or extra > beta * len(query) + 1e-9
                violations += value < 0 or (value > 0) != any(present)
    return {"violations": violations}


def c5() -> Facts:
    """E lies in (0, 1] with maximum 1; it does not depend on the base; mean E in (1/m, 1]."""
    violations, base_error = 0, 0.0
    for _, statistics, queries in cases():
        for query in queries:
            raw = [statistics.entropy[token] for token in query]
            e = normalised_entropies(raw)
            other = normalised_entropies([value / math.log(2) for value in raw])
            base_error = max(base_error, *(abs(x - y) for x, y in zip(e, other, strict=True)))
            mean = sum(e) / len(e)
            violations += not (all(0 < value <= 1 for value in e) and max(e) == 1)
            violations += not (1 / len(e) - 1e-12 < mean <= 1)
    return {"violations": violations, "base_error": base_error}


def c6() -> Facts:
    """alpha in [.5, 1.5], non-decreasing in avgdl; beta decreasing in N, 1.4427 at N = 1."""
    alphas = [default_alpha(avgdl) for avgdl in np.linspace(0.5, 400, 800)]
    betas = [default_beta(n) for n in (1, 2, 10, 1_000, 10**6, 10**9)]
    violations = sum(not 0.5 <= value <= 1.5 for value in alphas)
    violations += sum(later < earlier for earlier, later in pairwise(alphas))
    violations += sum(later >= earlier for earlier, later in pairwise(betas))
    violations += abs(betas[0] - 1.4427) > 5e-5 or abs(betas[4] - 0.0724) > 5e-5
    return {"violations": violations}


def c7() -> Facts:
    """With equal term frequencies, entropy orders terms by df and so against IDF."""
    from scipy.stats import spearmanr

    dfs = list(range(1, 200))
    entropies = [token_entropy([1] * df) for df in dfs]
    idfs = [inverse_document_frequency(1000, df) for df in dfs]
    return {
        "spearman_entropy_df": float(spearmanr(entropies, dfs).statistic),
        "spearman_entropy_idf": float(spearmanr(entropies, idfs).statistic),
        "per_posting": document_entropy(1),
    }


def c8() -> Facts:
    """What a document adds to a term's entropy falls strictly with tf; 0 in float64 from 37 on."""
    values = [document_entropy(tf) for tf in range(1, 60)]
    falls = sum(b >= a for a, b in pairwise(values[:36]))
    return {"violations": falls + sum(value != 0 for value in values[36:])}


def c9() -> Facts:
    """Query order and document order do not matter; repeating a token does."""
    worst, unchanged = 0.0, 0
    rng = np.random.default_rng(0)
    for documents, _, queries in cases():
        bmx = BMX().index(documents)
        order = rng.permutation(len(documents))
        shuffled = BMX().index([documents[i] for i in order])
        for query in queries:
            scores = bmx.get_scores(query)
            worst = max(worst, float(np.abs(scores - bmx.get_scores(query[::-1])).max()))
            worst = max(worst, float(np.abs(scores[order] - shuffled.get_scores(query)).max()))
            if len(set(query)) > 1:
                unchanged += bool(np.allclose(scores, bmx.get_scores([*query, query[0]])))
    return {"max_error": worst, "unchanged_by_repetition": unchanged}


def c10() -> Facts:
    """Unknown tokens change nothing in the reference form; they do in the literal one."""
    worst, literal_changes = 0.0, 0.0
    for documents, _, queries in cases():
        reference, literal = BMX().index(documents), BMX(form="literal").index(documents)
        for query in queries:
            extended = [*query, "oov"]
            gap = np.abs(reference.get_scores(query) - reference.get_scores(extended)).max()
            worst = max(worst, float(gap))
            gap = np.abs(literal.get_scores(query) - literal.get_scores(extended)).max()
            literal_changes = max(literal_changes, float(gap))
    return {"max_error": worst, "largest_literal_change": literal_changes}


def c11() -> Facts:
    """Literal - reference = beta S (sum of unmatched E): 0 for full matches, never negative."""
    worst = 0.0
    for documents, statistics, queries in cases():
        reference, literal = BMX().index(documents), BMX(form="literal").index(documents)
        beta = default_beta(statistics.n_docs)
        for query in queries:
            e = query_entropies(query, statistics)
            gaps = literal.get_scores(query) - reference.get_scores(query)
            for document, gap in zip(documents, gaps, strict=True):
                present = [token in document for token in query]
                unmatched = sum(x for x, p in zip(e, present, strict=True) if not p)
                worst = max(worst, abs(gap - beta * sum(present) / len(query) * unmatched))
    return {"max_error": worst}


def c12() -> Facts:
    """The normalised score exceeds 1 in both forms; the bound (alpha+1) + beta/IDF_max holds."""
    documents = [["x"] * 30 + ["z"] * 170, *([["y"] * 200] * 999)]
    value = float(BMX().index(documents).get_scores(["x"])[0])
    violations = 0
    for documents, statistics, queries in cases():
        bmx = BMX().index(documents)
        n = statistics.n_docs
        bound = upper_bound(default_alpha(statistics.avgdl), default_beta(n), n)
        for query in queries:
            highest = bmx.get_scores(query).max()
            violations += normalised(highest, len(query), n) > bound + 1e-12
    return {
        "normalised": normalised(value, 1, 1000),
        "normalised_plus_one": normalised(value, 1, 1000, "plus_one"),
        "bound_violations": violations,
    }


def c13() -> Facts:
    """The paper's augmentation: weights 0 change nothing, and the score is linear in w."""
    worst = 0.0
    for documents, _, queries in cases():
        bmx = BMX().index(documents)
        query, augmented = queries[0], queries[1:4]
        plain = bmx.get_scores(query)
        parts = [bmx.get_scores(other) for other in augmented]
        for document in range(len(documents)):
            values = [float(part[document]) for part in parts]
            own = float(plain[document])
            zero = augmented_score(own, values, [0.0] * len(values))
            once = augmented_score(own, values, [0.3] * len(values)) - own
            twice = augmented_score(own, values, [0.6] * len(values)) - own
            worst = max(worst, abs(zero - own), abs(twice - 2 * once))
    documents, _, queries = cases()[0]
    return {"max_error": worst, "pooled_zero_weight_change": _pooled_change(documents, queries)}


def _pooled_change(documents: Documents, queries: Documents) -> float:
    """How far a query of weight 0 moves the scores of the pooled variant (reference library)."""
    from ir_replications.bmx.method.augmentation import pooled_score

    statistics = Statistics.of(documents)
    pooled = [pooled_score(queries[:2], [1.0, 0.0], d, statistics) for d in documents]
    plain = [score(queries[0], d, statistics) for d in documents]
    return max(abs(a - b) for a, b in zip(pooled, plain, strict=True))


def c14() -> Facts:
    """The compiled retriever gives the definition's scores, both forms."""
    worst = 0.0
    for documents, statistics, queries in cases():
        for form in ("reference", "literal"):
            bmx = BMX(form=form).index(documents)
            for query in [*queries, ["oov"], [*queries[0], "oov"]]:
                expected = [score(query, d, statistics, form=form) for d in documents]
                worst = max(worst, float(np.abs(bmx.get_scores(query) - expected).max()))
    return {"max_error": worst}


CHECKS: dict[str, Callable[[], Facts]] = {
    check.__name__.upper(): check
    for check in (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14)
}

EXPERIMENT = checks_experiment("algebra and golden values", CHECKS, cost="1 s", key="claim")
