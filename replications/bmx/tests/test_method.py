"""The equations worked by hand, and the paper's algebra (claims C2 to C13) as properties."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir_replications.bmx import BMX
from ir_replications.bmx.method.entropy import (
    document_entropy,
    mean_entropy,
    normalised_entropies,
    token_entropy,
)
from ir_replications.bmx.method.normalisation import normalised, score_max, upper_bound
from ir_replications.bmx.method.scoring import (
    Entropy,
    Form,
    Statistics,
    default_alpha,
    default_beta,
    inverse_document_frequency,
    query_entropies,
    score,
    similarity,
    tf_part,
)

WORDS = "abcdefgh"
documents = st.lists(st.lists(st.sampled_from(WORDS), max_size=9), min_size=1, max_size=9).filter(
    any
)
queries = st.lists(st.sampled_from(WORDS + "z"), min_size=1, max_size=6)
ANIMALS = [
    ["cat", "cat", "dog"],
    ["dog", "bird"],
    ["cat", "fish", "fish", "fish"],
    ["bird", "bird", "cat", "dog", "fish", "whale"],
    ["whale", "ocean"],
]


def test_every_equation_by_hand() -> None:
    """Published example, "crusty bread", document of 6 tokens with crusti only; N = 5."""
    idf = inverse_document_frequency(5, 2)
    assert idf == pytest.approx(math.log(2.4)) == pytest.approx(0.8754687374)
    assert document_entropy(1) == pytest.approx(0.2290126440)
    entropies = [token_entropy([1, 1]), token_entropy([1])]
    assert entropies == pytest.approx([0.4580252880, 0.2290126440])
    e = normalised_entropies(entropies)
    assert e == pytest.approx([1.0, 0.5]) and mean_entropy(e) == pytest.approx(0.75)
    assert default_alpha(5.8) == 0.5
    assert default_beta(5) == pytest.approx(1 / math.log(6)) == pytest.approx(0.5581106266)
    assert similarity(["crusti", "bread"], ["crusti", "x"]) == 0.5
    tf_term = idf * tf_part(1, 6 / 5.8, 0.5, 0.75)
    assert tf_term == pytest.approx(0.875469 * 1.5 / (1 + 0.5 * 6 / 5.8 + 0.5 * 0.75), abs=1e-6)
    assert tf_term == pytest.approx(0.693993, abs=1e-6)
    assert tf_term + 0.558111 * 1.0 * 0.5 == pytest.approx(0.973049, abs=1e-6)
    assert score_max(2, 5) == pytest.approx(2 * math.log(1 + 4.5 / 1.5))
    assert score_max(2, 5, "plus_one") == pytest.approx(2 * (math.log(4) + 1))


@pytest.mark.parametrize(
    ("query", "form", "expected"),
    [
        ("cat dog", "reference", [2.004723, 0.740666, 0.626685, 1.712112, 0]),
        ("cat dog", "literal", [2.004723, 0.972112, 0.905741, 1.712112, 0]),
        ("cat cat dog", "reference", [3.034195, 0.651425, 1.413200, 2.526897, 0]),
        ("bird whale zebra", "reference", [0, 0.966657, 0, 2.331300, 1.038071]),
        ("bird whale zebra", "literal", [0, 1.153089, 0, 2.080974, 1.153089]),
    ],
)
def test_whole_score_by_hand(query: str, form: Form, expected: list[float]) -> None:
    statistics = Statistics.of(ANIMALS)
    found = [score(query.split(), document, statistics, form=form) for document in ANIMALS]
    assert found == pytest.approx(expected, abs=1e-6)


@given(documents, queries)
@settings(max_examples=60)
def test_c2_without_bonus_bmx_is_bm25_with_implied_k1_and_b(
    corpus: list[list[str]], query: list[str]
) -> None:
    """k1' = alpha (1 + E), b' = 1/(1 + E), scores times (alpha + 1)/(k1' + 1)."""
    statistics = Statistics.of(corpus)
    known = [token for token in query if token in statistics.df]
    if not known:
        return
    alpha = default_alpha(statistics.avgdl)
    e_bar = mean_entropy(query_entropies(known, statistics))
    k1, b = alpha * (1 + e_bar), 1 / (1 + e_bar)
    expected = []
    for document in corpus:
        tf, total = Counter(document), 0.0
        for token in known:
            idf = inverse_document_frequency(len(corpus), statistics.df[token])
            norm = k1 * (1 - b + b * len(document) / statistics.avgdl)
            total += idf * tf[token] * (k1 + 1) / (tf[token] + norm)
        expected.append(total * (alpha + 1) / (k1 + 1))
    scores = BMX(beta=0.0).index(corpus).get_scores(query)
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-13)


def test_c3_single_token_is_bm25_with_twice_alpha_and_half_b() -> None:
    """E = mean E = S = 1: every matching document gets the same bonus beta."""
    with_bonus, without = BMX().index(ANIMALS), BMX(beta=0.0).index(ANIMALS)
    bonus = with_bonus.get_scores(["cat"]) - without.get_scores(["cat"])
    assert bonus == pytest.approx([with_bonus.beta, 0, with_bonus.beta, with_bonus.beta, 0])
    idf, k1, b = inverse_document_frequency(5, 3), 2 * 0.5, 0.5
    bm25 = idf * 2 * (0.5 + 1) / (2 + k1 * (1 - b + b * 3 / 3.4))
    assert without.get_scores(["cat"])[0] == pytest.approx(bm25)


@given(documents, queries)
@settings(max_examples=60)
def test_c4_and_c12_sign_and_bounds(corpus: list[list[str]], query: list[str]) -> None:
    """Zero exactly without a match, positive with one, normalised score below the true bound."""
    retriever = BMX().index(corpus)
    scores = retriever.get_scores(query)
    matches = np.array([bool(set(query) & set(document)) for document in corpus])
    assert np.array_equal(scores > 0, matches) and np.all(scores[~matches] == 0)
    known = sum(any(token in document for document in corpus) for token in query)
    limit = upper_bound(retriever.alpha, retriever.beta, len(corpus))
    assert all(normalised(s, known, len(corpus)) <= limit for s in scores)


@given(st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=20), min_size=1, max_size=8))
def test_c5_normalised_entropies_lie_in_the_unit_interval(tfs: list[list[int]]) -> None:
    e = normalised_entropies([token_entropy(values) for values in tfs])
    assert max(e) == 1.0 and min(e) >= 0.0
    assert 1 / len(e) - 1e-12 <= mean_entropy(e) <= 1.0


def test_c6_alpha_and_beta() -> None:
    assert [default_alpha(x) for x in (10, 50, 100, 150, 900)] == [0.5, 0.5, 1.0, 1.5, 1.5]
    assert default_beta(1) == pytest.approx(1.4427, abs=1e-4)
    assert default_beta(10**6) == pytest.approx(0.0724, abs=1e-4)


def test_c7_entropy_grows_with_document_frequency_and_idf_falls() -> None:
    """Not what the paper's prose says of informative tokens, but what its formula does."""
    entropies = [token_entropy([1] * df) for df in range(1, 50)]
    assert np.diff(entropies) == pytest.approx([0.229013] * 48, abs=1e-6)
    idfs = [inverse_document_frequency(60, df) for df in range(1, 50)]
    assert np.all(np.diff(entropies) > 0) and np.all(np.diff(idfs) < 0)


def test_c8_entropy_of_a_document_falls_with_tf_and_vanishes_at_37() -> None:
    assert [document_entropy(tf) for tf in (1, 2, 3, 5, 10)] == pytest.approx(
        [0.229013, 0.111798, 0.046283, 0.006670, 0.000045], abs=1e-6
    )
    values = [document_entropy(tf) for tf in range(1, 38)]
    assert np.all(np.diff(values) < 0) and values[-2] > 0.0 and values[-1] == 0.0


@given(documents, queries, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_c9_order_of_tokens_and_documents_does_not_matter(
    corpus: list[list[str]], query: list[str], random: Random
) -> None:
    scores = BMX().index(corpus).get_scores(query)
    shuffled = random.sample(query, len(query))
    assert np.array_equal(BMX().index(corpus).get_scores(shuffled), scores)
    order = random.sample(range(len(corpus)), len(corpus))
    moved = BMX().index([corpus[i] for i in order]).get_scores(query)
    np.testing.assert_allclose(moved, scores[order], rtol=1e-12, atol=0)


def test_c9_repeated_query_tokens_count() -> None:
    retriever = BMX().index(ANIMALS)
    once, twice = (retriever.get_scores(q.split()) for q in ("cat dog", "cat cat dog"))
    assert twice[0] == pytest.approx(3.034195, abs=1e-6) and once[0] != twice[0]


def test_c10_unknown_tokens_matter_only_in_the_literal_form() -> None:
    cases: list[tuple[Form, bool]] = [("reference", True), ("literal", False)]
    for form, equal in cases:
        retriever = BMX(form=form).index(ANIMALS)
        plain, more = (retriever.get_scores(q.split()) for q in ("bird whale", "bird whale zebra"))
        assert np.array_equal(plain, more) is equal


@given(documents, st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_c11_literal_form_adds_the_bonus_of_missing_tokens(
    corpus: list[list[str]], query: list[str]
) -> None:
    """literal - reference = beta S (sum of E over tokens not in D), 0 for a full match."""
    statistics = Statistics.of(corpus)
    if not all(token in statistics.df for token in query):
        return
    e = query_entropies(query, statistics)
    expected = [
        default_beta(len(corpus))
        * similarity(query, document)
        * sum(e_i for token, e_i in zip(query, e, strict=True) if token not in document)
        for document in corpus
    ]
    literal, reference = BMX(form="literal").index(corpus), BMX().index(corpus)
    difference = literal.get_scores(query) - reference.get_scores(query)
    np.testing.assert_allclose(difference, expected, rtol=0, atol=1e-12)


def test_c12_normalised_scores_exceed_one() -> None:
    """Counter-examples to "score / score_max <= 1", worked out from the equation."""
    short = [["x"] * 30] + [["y"]] * 99
    long = [["x"] * 30 + ["z"] * 170] + [["y"] * 200] * 999
    cases: list[Any] = [
        (short, "reference", 1.119648),
        (short, "plus_one", 0.904730),
        (long, "reference", 2.294984),
        (long, "plus_one", 1.989121),
    ]
    for corpus, normalisation, expected in cases:
        retriever = BMX(normalisation=normalisation).index(corpus)
        assert retriever.get_scores(["x"])[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["reference", "literal"])
@pytest.mark.parametrize("mean", [None, 0.3])
@pytest.mark.parametrize("entropy", ["sigmoid", "uniform"])
def test_c14_index_equals_the_definition(form: Form, entropy: Entropy, mean: float | None) -> None:
    rng = np.random.default_rng(5)
    corpus = [list(rng.choice(list(WORDS), rng.integers(0, 40))) for _ in range(120)]
    statistics = Statistics.of(corpus)
    retriever = BMX(form=form, entropy=entropy, mean_entropy=mean).index(corpus)
    for _ in range(10):
        query = list(rng.choice([*WORDS, "y", "z"], rng.integers(1, 7)))
        expected = [
            score(query, d, statistics, form=form, entropy=entropy, mean=mean) for d in corpus
        ]
        np.testing.assert_allclose(retriever.get_scores(query), expected, rtol=1e-12, atol=1e-13)
