"""Reproducibility measures against values worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.run_similarity import (
    delta_ri,
    effect_ratio,
    kendall_tau_union,
    rank_biased_overlap,
    rbo,
)
from ir_replications.shared.retrieval.runs import Run


def run_of(*rankings: str) -> Run:
    return {
        f"q{i}": [(docid, float(-rank)) for rank, docid in enumerate(ranking)]
        for i, ranking in enumerate(rankings)
    }


def tau(ours: str, theirs: str) -> float:
    return kendall_tau_union(run_of(ours), run_of(theirs))["q0"]


@pytest.mark.parametrize(
    ("ours", "theirs", "value"),
    [
        ("abc", "abc", 1.0),
        ("cba", "abc", -1.0),
        ("bac", "abc", 1 / 3),
        ("cab", "abc", -1 / 3),
        ("abd", "abc", 1.0),  # numbers 1 2 4 against 1 2 3
        ("dab", "abc", -1 / 3),  # 4 1 2 against 1 2 3
        ("ab", "abcd", 1.0),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("a", "a", 1.0),
        ("b", "a", 0.0),
    ],
)
def test_kendall_tau_union_by_hand(ours: str, theirs: str, value: float) -> None:
    assert tau(ours, theirs) == pytest.approx(value)


def test_kendall_tau_union_does_not_depend_on_how_ids_are_spelled() -> None:
    assert tau("zyx", "yzx") == tau("abc", "bac") == pytest.approx(1 / 3)


def test_kendall_tau_union_of_equal_sets_is_the_ordinary_tau() -> None:
    rng = np.random.default_rng(0)
    documents = [f"d{i}" for i in range(200)]
    ours = rng.permutation(documents)
    run: Run = {"q": [(str(d), float(-i)) for i, d in enumerate(ours)]}
    reference: Run = {"q": [(d, float(-i)) for i, d in enumerate(documents)]}
    position = {d: i for i, d in enumerate(ours)}
    expected = stats.kendalltau(range(200), [position[d] for d in documents]).statistic
    assert kendall_tau_union(run, reference)["q"] == pytest.approx(expected, abs=1e-12)


def test_the_depth_cuts_both_runs() -> None:
    runs = run_of("abcd"), run_of("abdc")
    assert kendall_tau_union(*runs, depth=2) == {"q0": 1.0}
    assert rank_biased_overlap(*runs, depth=2)["q0"] == pytest.approx(1.0)
    assert rank_biased_overlap(*runs, depth=3)["q0"] < 1.0


def test_rbo_by_hand() -> None:
    # Overlaps 0, 2, 2 of depths 1 2 3: agreements 0, 1, 2/3.
    p = 0.9
    expected = (0 + p * 1 + p**2 * 2 / 3) / (1 + p + p**2)
    assert rbo("abc", "bad", p=p) == pytest.approx(expected)
    # Extrapolated: (1-p) * the sum above, and agreement 2/3 from rank 3 on.
    extended = (1 - p) * (0 + p * 1 + p**2 * 2 / 3) + 2 / 3 * p**3
    assert rbo("abc", "bad", p=p, extrapolate=True) == pytest.approx(extended)


def test_rbo_of_lists_of_different_length_by_hand() -> None:
    # S = a b, L = a c b, p = .5: overlaps 1, 1, 2; X_s = 1 at s = 2, X_l = 2 at l = 3.
    p = 0.5
    assert rbo("ab", "acb", p=p) == pytest.approx((1 + p / 2 + p**2 * 2 / 3) / (1 + p + p**2))
    first = (1 - p) / p * (1 * p + 1 / 2 * p**2 + 2 / 3 * p**3 + 1 * (3 - 2) / (2 * 3) * p**3)
    extended = first + ((2 - 1) / 3 + 1 / 2) * p**3
    assert rbo("ab", "acb", p=p, extrapolate=True) == pytest.approx(extended)
    assert rbo("acb", "ab", p=p, extrapolate=True) == pytest.approx(extended), "symmetric"


def rbo_quadratic(a: list[str], b: list[str], p: float) -> float:
    """The definition, depth by depth."""
    terms = [
        (p ** (d - 1), len(set(a[:d]) & set(b[:d])) / d) for d in range(1, max(len(a), len(b)) + 1)
    ]
    return sum(w * x for w, x in terms) / sum(w for w, _ in terms)


@pytest.mark.parametrize("seed", range(5))
def test_rbo_equals_its_definition_on_random_rankings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    documents = [f"d{i}" for i in range(80)]
    a = rng.permutation(documents)[: rng.integers(1, 60)].tolist()
    b = rng.permutation(documents)[: rng.integers(1, 60)].tolist()
    assert rbo(a, b, p=0.95) == pytest.approx(rbo_quadratic(a, b, 0.95), abs=1e-12)


@pytest.mark.parametrize("extrapolate", [False, True])
def test_rbo_at_its_ends(extrapolate: bool) -> None:
    assert rbo("abcd", "abcd", extrapolate=extrapolate) == pytest.approx(1.0)
    assert rbo("abcd", "wxyz", extrapolate=extrapolate) == pytest.approx(0.0)
    assert rbo("", "", extrapolate=extrapolate) == 1.0
    assert rbo("", "a", extrapolate=extrapolate) == 0.0


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5])
def test_rbo_refuses_a_persistence_outside_0_to_1(p: float) -> None:
    with pytest.raises(InputError, match="expected 0 < p < 1"):
        rbo("ab", "ab", p=p)


def test_queries_that_only_one_run_has_are_named() -> None:
    with pytest.raises(InputError, match="'q1'"):
        kendall_tau_union(run_of("ab", "ab"), run_of("ab"))


def test_effect_ratio_and_delta_ri_by_hand() -> None:
    means = {"baseline": 0.5, "advanced": 0.55, "paper_baseline": 0.4, "paper_advanced": 0.5}
    assert effect_ratio(**means).value == pytest.approx(0.5)
    assert delta_ri(**means).value == pytest.approx(0.25 - 0.1)


def test_a_reversed_effect_has_a_negative_ratio() -> None:
    ratio = effect_ratio(baseline=0.5, advanced=0.4, paper_baseline=0.4, paper_advanced=0.5)
    assert ratio.value == pytest.approx(-1.0)


def test_undefined_effects_give_a_reason() -> None:
    none = effect_ratio(baseline=0.5, advanced=0.6, paper_baseline=0.4, paper_advanced=0.4)
    assert none.value is None and "no effect" in none.reason
    ours = delta_ri(baseline=0.0, advanced=0.6, paper_baseline=0.4, paper_advanced=0.5)
    assert ours.value is None and ours.reason.startswith("our baseline is 0")
    theirs = delta_ri(baseline=0.5, advanced=0.6, paper_baseline=0.0, paper_advanced=0.4)
    assert theirs.value is None and "paper's baseline is 0" in theirs.reason
    with pytest.raises(InputError, match="finite"):
        effect_ratio(baseline=float("nan"), advanced=0.6, paper_baseline=0.4, paper_advanced=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, {}), "run: NoneType, expected"),
        (({}, 3), "run: int, expected"),
        (({"q": None}, {"q": []}), "run: query 'q': expected"),
        (({"q": "ab"}, {"q": []}), "run: query 'q': expected"),
        (({"q": {"d": 1.0}}, {"q": []}), "run: query 'q': expected"),
        (({"q": []}, {"q": []}, 0.5), "depth 0.5: expected a positive number of ranks"),
        (({"q": []}, {"q": []}, "2"), "depth 2: expected a positive number of ranks"),
        (({"q": []}, {"q": []}, float("inf")), "depth inf: expected a positive number of ranks"),
    ],
)
def test_runs_that_are_none(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kendall_tau_union(*arguments)
    for p in ("0.9", 1.0, 0.0, None, float("nan")):
        with pytest.raises(InputError, match="expected 0 < p < 1"):
            rbo(["a"], ["a"], p=p)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected a list of document ids"):
        rbo(3, ["a"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="finite numbers"):
        effect_ratio(baseline="1", advanced=1, paper_baseline=1, paper_advanced=2)  # type: ignore[arg-type]
