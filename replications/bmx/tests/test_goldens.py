"""Golden values: the authors' code, run; and both forms of the equation, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ir_replications.bmx import BMX
from ir_replications.bmx.method.entropy import token_entropy
from ir_replications.bmx.method.normalisation import score_max
from ir_replications.bmx.method.scoring import Form, Statistics, inverse_document_frequency, score

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="ascii"))["corpora"]
CASES = [(c, q) for c in GOLDEN for q in GOLDEN[c]["queries"]]
FORMS: dict[Form, str] = {"reference": "bmx_code_f64", "literal": "bmx_literal_f64"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("corpus", "query"), CASES)
def test_scores_equal_the_golden_values(corpus: str, query: str, form: Form) -> None:
    tokens, golden = GOLDEN[corpus]["tokens"], GOLDEN[corpus]["queries"][query]
    retriever = BMX(form=form).index(tokens)
    np.testing.assert_allclose(
        retriever.get_scores(golden["tokens"]), golden[FORMS[form]], rtol=0, atol=1e-8
    )
    statistics = Statistics.of(tokens)
    plain = [score(golden["tokens"], document, statistics, form=form) for document in tokens]
    np.testing.assert_allclose(plain, golden[FORMS[form]], rtol=0, atol=1e-8)


@pytest.mark.parametrize(("corpus", "query"), CASES)
def test_reference_form_equals_the_authors_code(corpus: str, query: str) -> None:
    golden = GOLDEN[corpus]["queries"][query]
    scores = BMX().index(GOLDEN[corpus]["tokens"]).get_scores(golden["tokens"])
    np.testing.assert_allclose(scores, golden["bmx_baguetter_f32"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("corpus", "query"), CASES)
def test_score_max_equals_the_golden_values(corpus: str, query: str) -> None:
    data, golden = GOLDEN[corpus], GOLDEN[corpus]["queries"][query]
    known = sum(token in data["terms"] for token in golden["tokens"])
    n_docs = len(data["tokens"])
    assert score_max(known, n_docs) == pytest.approx(golden["norm_denominator_code"], abs=1e-8)
    assert score_max(known, n_docs, "plus_one") == pytest.approx(
        golden["norm_denominator_plus1"], abs=1e-8
    )
    if "bmx_normalised_baguetter_f32" in golden:
        retriever = BMX(normalisation="reference").index(data["tokens"])
        np.testing.assert_allclose(
            retriever.get_scores(golden["tokens"]),
            golden["bmx_normalised_baguetter_f32"],
            rtol=0,
            atol=1e-6,
        )


@pytest.mark.parametrize("corpus", GOLDEN)
def test_term_statistics_equal_the_golden_values(corpus: str) -> None:
    data = GOLDEN[corpus]
    n_docs = len(data["tokens"])
    for token, expected in data["terms"].items():
        tfs = [document.count(token) for document in data["tokens"] if token in document]
        assert len(tfs) == expected["df"]
        assert token_entropy(tfs) == pytest.approx(expected["Etilde"], abs=1e-9)
        assert inverse_document_frequency(n_docs, len(tfs)) == pytest.approx(
            expected["idf"], abs=1e-9
        )
    retriever = BMX().index(data["tokens"])
    assert retriever.avgdl == pytest.approx(data["avgdl"], abs=1e-12)
    assert (retriever.alpha, retriever.beta) == pytest.approx((data["alpha"], data["beta"]))
    assert retriever.vocabulary_size == len(data["terms"])


def test_published_example_output() -> None:
    """C1: the authors' printed result, keys [0, 4], scores 2.5519667 and 0.97304875."""
    docs, scores = BMX().index(GOLDEN["bakery"]["tokens"]).retrieve([["crusti", "bread"]], k=5)
    assert docs.tolist() == [[0, 4, -1, -1, -1]]
    np.testing.assert_allclose(scores[0], [2.5519667, 0.97304875, 0, 0, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("alpha", "beta", "expected"),
    [
        (1.0, 0.0, [1.005189, 0.462341, 1.436877, 1.113696, 0]),
        (1.5, 0.5, [1.608845, 0.616220, 1.874061, 2.140570, 0]),
        (0.5, 1.0, [2.240428, 0.818683, 2.227447, 3.530067, 0]),
    ],
)
def test_overrides(alpha: float, beta: float, expected: list[float]) -> None:
    """Authors' code, query "cat dog fish", with alpha and beta given."""
    retriever = BMX(alpha=alpha, beta=beta).index(GOLDEN["tokens"]["tokens"])
    np.testing.assert_allclose(retriever.get_scores(["cat", "dog", "fish"]), expected, atol=1e-6)
