"""Reranking: the new order by hand, and what holds for any run, scores and k."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.reranking import candidates, oracle, rerank, tied_shares
from ir_replications.shared.retrieval.runs import Run, canonical, read_run, write_run

RUN: Run = {"q": [("b", 9.0), ("a", 8.0), ("c", 7.0), ("e", 6.5), ("d", 6.0)], "none": []}


def ids(run: Run, qid: str = "q") -> list[str]:
    return [docid for docid, _ in run[qid]]


# ---- The new order


def test_best_score_first_and_ties_in_first_stage_order() -> None:
    scores = {"q": {"a": 1.0, "b": 1.0, "c": 3.5, "e": -2.0}}
    reranked = rerank(RUN, scores, 4)
    assert ids(reranked) == ["c", "b", "a", "e", "d"]
    assert reranked["none"] == []
    # Own scores; the tied one is a step lower, and what is below counts down from the last.
    below_one = math.nextafter(1.0, -math.inf)
    assert [score for _, score in reranked["q"]] == [3.5, 1.0, below_one, -2.0, -3.0]


def test_documents_below_k_stay_below_whatever_their_score() -> None:
    scores = {"q": dict(zip("baced", [1.0, 2.0, 99.0, 99.0, 99.0], strict=True)), "other": {}}
    assert ids(rerank(RUN, scores, 2)) == ["a", "b", "c", "e", "d"]
    assert ids(rerank(RUN, scores, 99)) == ["c", "e", "d", "a", "b"]


def test_zero_and_minus_zero_tie() -> None:
    scores = {"q": {"b": -0.0, "a": 0.0, "c": -0.0, "e": 0.0, "d": 0.0}}
    assert ids(rerank(RUN, scores, 5)) == list("baced")


def test_first_stage_order_is_canonical_order() -> None:
    shuffled = {"q": [("d", 1.0), ("a", 1.0), ("c", 2.0)]}
    assert candidates(shuffled, 2) == {"q": ["c", "a"]}
    assert ids(rerank(shuffled, {"q": dict.fromkeys("acd", 0.0)}, 3)) == ["c", "a", "d"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    scores = {"q": {"b": 1.0, "a": bad}}
    with pytest.raises(InputError, match=r"query 'q', document 'a': the reranker's score is"):
        rerank(RUN, scores, 2)
    assert ids(rerank(RUN, scores, 1)) == list("baced"), "only the candidates' scores are read"


def test_a_candidate_without_a_score_is_refused() -> None:
    with pytest.raises(InputError, match="'q': candidate 'a' has no score; score every candidate"):
        rerank(RUN, {"q": {"b": 1.0}}, 2)
    with pytest.raises(InputError, match="candidate 'b' has no score"):
        rerank(RUN, {}, 1)


@pytest.mark.parametrize("k", [0, -1, True, 2.0])
def test_depth_is_a_positive_whole_number(k: Any) -> None:
    for function in (lambda: candidates(RUN, k), lambda: rerank(RUN, {}, k)):
        with pytest.raises(InputError, match="expected a whole number of at least 1"):
            function()


def test_oracle_by_hand() -> None:
    qrels = {"q": {"d": 3, "e": 1, "c": -1, "x": 2}}
    assert ids(oracle(RUN, qrels, 5)) == ["d", "e", "b", "a", "c"]
    assert ids(oracle(RUN, qrels, 4)) == ["e", "b", "a", "c", "d"]
    assert ids(oracle(RUN, {}, 5)) == ids(RUN)


def test_tied_shares_by_hand() -> None:
    scores = {"q": {"b": 1.0, "a": 0.0, "c": 1.0, "e": 1.0, "d": 0.0}}
    assert tied_shares(RUN, scores, 5) == {"q": (3 + 1) / 10, "none": 0.0}
    assert tied_shares(RUN, scores, 1) == {"q": 0.0, "none": 0.0}


# ---- For any run, scores and k

DOCIDS = [f"d{i}" for i in range(12)]
runs = st.dictionaries(
    st.sampled_from(DOCIDS), st.integers(0, 3).map(float) | st.floats(-1e30, 1e30), max_size=12
).map(lambda results: canonical({"q": results}))
grades = st.dictionaries(st.sampled_from([*DOCIDS, "never found"]), st.integers(0, 3), min_size=1)
numbers = st.integers(-1, 1).map(float) | st.floats(-1e30, 1e30)
every_score = st.fixed_dictionaries(dict.fromkeys(DOCIDS, numbers))


@given(runs, every_score, st.integers(1, 14))
def test_a_permutation_of_the_top_k(run: Run, scores: dict[str, float], k: int) -> None:
    reranked = rerank(run, {"q": scores}, k)
    before, after = ids(run), ids(reranked)
    assert after[:k] == sorted(before[:k], key=lambda docid: -scores[docid])
    assert after[k:] == before[k:]
    assert canonical(reranked) == reranked
    assert ids(rerank(reranked, {"q": scores}, k)) == after


@given(runs, every_score, st.integers(1, 14))
def test_the_order_survives_a_run_file(
    tmp_path_factory: pytest.TempPathFactory, run: Run, scores: dict[str, float], k: int
) -> None:
    reranked = rerank(run, {"q": scores}, k)
    if reranked["q"]:
        path = tmp_path_factory.getbasetemp() / "reranked.txt"
        write_run(path, reranked, "test")
        assert ids(read_run(path)) == ids(reranked)


@given(runs, every_score, grades, st.integers(1, 14))
def test_recall_is_the_first_stages_and_the_oracle_is_best(
    run: Run, scores: dict[str, float], judged: dict[str, int], k: int
) -> None:
    reranked, best = rerank(run, {"q": scores}, k), oracle(run, {"q": judged}, k)
    recalls = [f"R@{k}", f"R@{k + 1}", "R@100"]
    first = evaluate(run, {"q": judged}, recalls).means
    assert evaluate(reranked, {"q": judged}, recalls).means == first
    assert evaluate(best, {"q": judged}, recalls).means == first
    measures = ["nDCG@1", "nDCG@3", "nDCG@10", "nDCG", "AP"]
    ours, upper = (evaluate(r, {"q": judged}, measures).means for r in (reranked, best))
    assert all(ours[name] <= upper[name] + 1e-12 for name in measures)
    assert ids(oracle(best, {"q": judged}, k)) == ids(best)
