"""Weighted query augmentation: the paper's formula and the three forms found in code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ir_replications.bmx import BMX
from ir_replications.bmx.method.augmentation import Augmentation, augmented_score, pooled_score
from ir_replications.bmx.method.scoring import Statistics
from ir_replications.shared.errors import InputError

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="ascii"))["corpora"]
ANIMALS = GOLDEN["tokens"]["tokens"]
QUERY, AUGMENTED = ["cat", "dog"], [["fish", "whale"], ["bird"]]


def scores_of(
    form: Augmentation, weights: float | list[float], augmented: list[list[str]]
) -> list[float]:
    docs, scores = BMX().index(ANIMALS).retrieve_augmented([QUERY], [augmented], weights, 5, form)
    return [dict(zip(docs[0], scores[0], strict=True)).get(doc, 0.0) for doc in range(5)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("paper", [2.004723, 1.127684, 0.973326, 2.725749, 0.316227]),
        ("pooled", [1.444050, 0.992635, 0.932366, 2.609840, 0.263515]),
        ("fusion", [0.333333, 0.219815, 0.160726, 0.484680, 0.051566]),
    ],
)
def test_golden_values_of_each_form(form: Augmentation, expected: list[float]) -> None:
    """Paper's formula by hand; the other two printed by the authors' code (baguetter 0.1.1)."""
    assert scores_of(form, 0.3, AUGMENTED) == pytest.approx(expected, abs=2e-6)


def test_bakery_example_of_the_authors_library() -> None:
    """search_weighted(crusty bread 1, sourdough loaf .3, baked baguette .3) and the formula."""
    retriever = BMX().index(GOLDEN["bakery"]["tokens"])
    pool = [["crusti", "bread"]], [[["sourdough", "loaf"], ["bake", "baguett"]]]
    docs, scores = retriever.retrieve_augmented(*pool, 0.3, 2, "pooled")
    assert docs.tolist() == [[0, 4]]
    assert scores[0] == pytest.approx([3.241523, 1.322652], abs=2e-6)
    docs, scores = retriever.retrieve_augmented(*pool, 0.3, 2, "paper")
    assert scores[0] == pytest.approx([3.396269, 1.366016], abs=2e-6)


def test_c13_formula_without_augmentation_is_the_plain_score() -> None:
    retriever = BMX().index(ANIMALS)
    plain = retriever.retrieve([QUERY], k=5)
    for weights, augmented in ((0.3, []), (0.0, AUGMENTED)):
        found = retriever.retrieve_augmented([QUERY], [augmented], weights, 5, "paper")
        np.testing.assert_array_equal(found[0], plain[0])
        np.testing.assert_array_equal(found[1], plain[1])


def test_c13_formula_is_linear_in_the_weight() -> None:
    low, middle, high = (np.array(scores_of("paper", w, AUGMENTED)) for w in (0.0, 0.4, 0.8))
    np.testing.assert_allclose(high - middle, middle - low, atol=1e-12)
    assert augmented_score(2.0, [1.0, 4.0], [0.5, 0.25]) == 3.5


def test_c13_pooled_form_changes_ranks_with_a_query_of_weight_zero() -> None:
    """Authors' code: [cat dog] 1, [fish ocean] 0 gives d0 d3 d2 d1, plain search d0 d3 d1 d2."""
    scores = scores_of("pooled", 0.0, [["fish", "ocean"]])
    assert scores[:4] == pytest.approx([1.554980, 0.640285, 0.655038, 1.499819], abs=2e-6)
    plain = BMX().index(ANIMALS).get_scores(QUERY)
    assert scores[2] > scores[1] and plain[1] > plain[2]


@pytest.mark.parametrize("fractional", [False, True])
def test_pooled_search_equals_the_definition(fractional: bool) -> None:
    statistics, pool, weights = Statistics.of(ANIMALS), [QUERY, *AUGMENTED, ["zebra"]], [0.5, 0.2]
    form: Augmentation = "fractional" if fractional else "pooled"
    scores = scores_of(form, [*weights, 0.9], pool[1:])
    expected = [
        pooled_score(pool, [1.0, *weights, 0.9], document, statistics, fractional=fractional)
        for document in ANIMALS
    ]
    assert scores == pytest.approx(expected, abs=1e-12)
    assert any(expected)


def test_fractional_form_with_weight_one_is_one_long_query_of_the_plain_score() -> None:
    """Integer multiplicities are ordinary repeated tokens."""
    scores = scores_of("fractional", 1.0, AUGMENTED)
    plain = BMX().index(ANIMALS).get_scores(QUERY + AUGMENTED[0] + AUGMENTED[1])
    assert scores == pytest.approx(plain.tolist(), abs=1e-12)


def test_fusion_of_one_list_is_min_max_over_the_list_and_zero() -> None:
    """Fewer than 100 documents match "cat": the authors' code pads with zeros, so min = 0."""
    docs, scores = BMX().index(ANIMALS).retrieve_augmented([["cat"]], [[]], 0.3, 5, "fusion")
    plain = BMX().index(ANIMALS).get_scores(["cat"])
    expected = [1.0, plain[2] / plain[0], plain[3] / plain[0]]
    assert docs.tolist() == [[0, 2, 3, -1, -1]]
    assert scores[0] == pytest.approx([*expected, 0, 0], abs=1e-12)


def test_bad_input_is_refused() -> None:
    retriever = BMX().index(ANIMALS)
    with pytest.raises(InputError, match="1 weights for up to 2"):
        retriever.retrieve_augmented([QUERY], [AUGMENTED], [0.3])
    with pytest.raises(InputError, match=">= 0"):
        retriever.retrieve_augmented([QUERY], [AUGMENTED], -1.0)
    with pytest.raises(InputError, match="form="):
        retriever.retrieve_augmented([QUERY], [AUGMENTED], 0.3, form="sum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 augmentations for 1"):
        retriever.retrieve_augmented([QUERY], [], 0.3)
