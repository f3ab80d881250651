"""Measures against values worked by hand and against pytrec_eval called directly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from math import log2
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import DEFAULT_MEASURES, evaluate
from ir_replications.shared.retrieval.runs import Run, canonical


def ranking(*documents: str) -> list[tuple[str, float]]:
    return [(docid, float(-rank)) for rank, docid in enumerate(documents)]


def test_ndcg_has_linear_gain_and_an_ideal_list_that_is_cut() -> None:
    # gains 3, 0, 1 at ranks 1-3; ideal 3, 2, 1.
    scores = evaluate({"q": ranking("a", "x", "c")}, {"q": {"a": 3, "b": 2, "c": 1}}, ["nDCG@3"])
    dcg, ideal = 3 + 1 / log2(4), 3 + 2 / log2(3) + 1 / log2(4)
    assert scores.per_query["nDCG@3"]["q"] == pytest.approx(dcg / ideal, abs=1e-12)
    assert dcg / ideal == pytest.approx(0.735007, abs=1e-6)  # exponential gain would be .7985


def test_exponential_gain_is_available_by_name() -> None:
    name = "nDCG(dcg='exp-log2')@3"
    scores = evaluate({"q": ranking("a", "x", "c")}, {"q": {"a": 3, "b": 2, "c": 1}}, [name])
    expected = (7 + 1 / 2) / (7 + 3 / log2(3) + 1 / 2)
    assert scores.means[name] == pytest.approx(expected, abs=1e-12)


def test_more_relevant_documents_than_the_cutoff() -> None:
    qrels = {"q": {f"d{i:02}": 1 for i in range(25)}}
    run = {"q": ranking(*[f"d{i:02}" for i in range(9)], "x")}
    scores = evaluate(run, qrels, ["nDCG@10", "R@10", "AP@10"])
    discounts = [1 / log2(rank + 1) for rank in range(1, 11)]
    assert scores.means["nDCG@10"] == pytest.approx(sum(discounts[:9]) / sum(discounts))
    assert scores.means["R@10"] == pytest.approx(9 / 25)
    assert scores.means["AP@10"] == pytest.approx(9 / 25)


def test_the_four_default_measures_by_hand() -> None:
    # relevant at ranks 2 and 4 of three relevant.
    scores = evaluate({"q": ranking("x", "a", "y", "b")}, {"q": {"a": 1, "b": 2, "c": 1}})
    dcg, ideal = 1 / log2(3) + 2 / log2(5), 2 + 1 / log2(3) + 1 / log2(4)
    assert scores.means == pytest.approx(
        {"nDCG@10": dcg / ideal, "AP@100": (1 / 2 + 2 / 4) / 3, "RR@10": 1 / 2, "R@100": 2 / 3}
    )


def test_reciprocal_rank_is_zero_beyond_its_cutoff() -> None:
    run = {"q": ranking(*[f"x{i}" for i in range(10)], "a")}
    assert evaluate(run, {"q": {"a": 1}}, ["RR@10", "RR"]).means == pytest.approx(
        {"RR@10": 0.0, "RR": 1 / 11}
    )


@pytest.mark.parametrize("name", ["nDCG@1", "AP@1", "RR@1", "RR", "P@1", "R@1"])
@pytest.mark.parametrize(("relevant", "value"), [("a", 1.0), ("z", 0.0)])
def test_ties_are_won_by_the_smaller_document_id_in_every_measure(
    name: str, relevant: str, value: float
) -> None:
    scores = evaluate({"q": [("z", 1.0), ("a", 1.0)]}, {"q": {relevant: 1}}, [name])
    expected = 0.5 if name == "RR" and relevant == "z" else value
    assert scores.means[name] == expected


def test_scores_that_float32_cannot_tell_apart_keep_their_order() -> None:
    run = {"q": [("z", 1.0 + 1e-12), ("a", 1.0)]}
    assert evaluate(run, {"q": {"z": 1}}, ["P@1", "RR@10"]).means == {"P@1": 1.0, "RR@10": 1.0}


def test_every_query_of_the_qrels_counts_and_no_other() -> None:
    run = {"q1": ranking("a"), "empty": [], "unjudged": ranking("a")}
    qrels = {"q1": {"a": 1}, "empty": {"a": 1}, "absent": {"a": 1}, "none": {}, "zero": {"a": 0}}
    scores = evaluate(run, qrels, ["nDCG@10", "RR@10"])
    for name in ("nDCG@10", "RR@10"):
        assert list(scores.per_query[name]) == list(qrels), "in the order of the qrels"
        assert list(scores.per_query[name].values()) == [1.0, 0.0, 0.0, 0.0, 0.0]
        assert scores.means[name] == pytest.approx(1 / 5)


def test_an_empty_run_scores_zero() -> None:
    scores = evaluate({}, {"q": {"a": 1}})
    assert scores.means == dict.fromkeys(DEFAULT_MEASURES, 0.0)
    assert scores.per_query["R@100"] == {"q": 0.0}


def test_two_names_of_one_measure_both_get_values() -> None:
    scores = evaluate({"q": ranking("a")}, {"q": {"a": 1}}, ["P@1", "P(rel=1)@1"])
    assert scores.means == {"P@1": 1.0, "P(rel=1)@1": 1.0}


def test_queries_that_only_one_side_has_are_noted() -> None:
    run = {"q1": ranking("a"), "x": ranking("a"), "empty": []}
    scores = evaluate(run, {"q1": {"a": 1}, "empty": {"a": 1}, "absent": {"a": 1}}, ["P@1"])
    assert scores.means["P@1"] == pytest.approx(1 / 3)
    assert scores.notes == (
        "2 of 3 judged queries have no results and score 0 (first: 'empty')",
        "1 queries of the run are not judged and do not count (first: 'x')",
    )
    assert evaluate({"q": ranking("a")}, {"q": {"a": 1}}).notes == ()


@pytest.mark.parametrize("grade", [-1, -2, -7])
def test_grades_below_zero_are_pooled_and_not_judged(grade: int) -> None:
    """infAP of d2 at rank 2 of R = 2: (1/2 + 1/2 * 1/1 * eps/(2 eps)) / 2 = .375."""
    run, qrels = {"q": ranking("d1", "d2")}, {"q": {"d1": grade, "d2": 1, "d3": 1}}
    names = ["infAP", "Bpref", "Judged@2", "nDCG@10", "P@2", "P(judged_only=True)@1"]
    means = evaluate(run, qrels, names).means
    assert means["infAP"] == pytest.approx(0.375)
    assert means["Bpref"] == 0.5
    assert means["Judged@2"] == 0.5
    assert means["nDCG@10"] == pytest.approx((1 / log2(3)) / (1 + 1 / log2(3)))
    assert means["P@2"] == 0.5
    assert means["P(judged_only=True)@1"] == 1.0
    exponential = "nDCG(dcg='exp-log2')@10"
    assert evaluate(run, qrels, [exponential]).means[exponential] == pytest.approx(means["nDCG@10"])


def test_equal_to_pytrec_eval_with_grades_below_zero() -> None:
    run, qrels = random_case(7)
    rng = np.random.default_rng(7)
    qrels = {q: {d: int(rng.integers(-2, 4)) for d in grades} for q, grades in qrels.items()}
    names = {
        "Bpref": "bpref", "infAP": "infAP", "AP": "map", "nDCG@10": "ndcg_cut_10",
        "Rprec": "Rprec", "SetP": "set_P", "NumRet(rel=1)": "num_rel_ret", "R@100": "recall_100",
    }  # fmt: skip
    distinct = {
        qid: {docid: 1000.0 - rank for rank, (docid, _) in enumerate(results)}
        for qid, results in run.items()
    }
    oracle = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(distinct)
    scores = evaluate(run, qrels, list(names))
    for name, trec_name in names.items():
        expected = {qid: oracle[qid][trec_name] for qid in qrels}
        assert scores.per_query[name] == pytest.approx(expected, abs=1e-12), name


TOGETHER = [
    "nDCG(judged_only=True)@10", "NumRet", "P(rel=2)@2", "nDCG@10", "NumQ", "AP(judged_only=True)",
    "SetF", "SetF(beta=0.5)", "nDCG(gains={1:3})@10", "nDCG(dcg='exp-log2')@10", "Judged@3",
]  # fmt: skip
TWO = {"q1": [("d1", 1.0), ("d2", 0.5), ("d4", 0.4), ("d5", 0.3)], "q3": [("d3", 1.0), ("d9", 0.5)]}
OF_TWO = {"q1": {"d1": 0, "d2": 1, "d5": 2}, "q3": {"d3": 1, "d9": 2}}


def test_a_measure_has_the_value_that_it_has_alone() -> None:
    alone = {name: evaluate(TWO, OF_TWO, [name]).means[name] for name in TOGETHER}
    assert alone["NumRet"] == 3.0
    for names in (TOGETHER, TOGETHER[::-1], ["NumRet", TOGETHER[0]], [TOGETHER[0], "NumRet"]):
        assert evaluate(TWO, OF_TWO, names).means == {name: alone[name] for name in names}


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_a_value_does_not_depend_on_the_hash_seed(seed: str) -> None:
    code = (
        "from tests.shared.evaluation.test_metrics import *\n"
        "print(evaluate(TWO, OF_TWO, ['nDCG(judged_only=True)@10', 'NumRet']).means['NumRet'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "3.0\n"


def test_compat_ranks_documents_that_were_not_found_last_among_equals() -> None:
    """Clarke's compatibility of a perfect start: the ideal order takes the found ones first."""
    qrels = {"q": {"z": 1, "a": 1, "b": 1}}
    one = evaluate({"q": ranking("a", "b")}, qrels, ["Compat(p=0.5)"]).means["Compat(p=0.5)"]
    # Overlaps 1/1, 2/2, 2/3 with weights 1, 1/2, 1/4 of a possible 1.75.
    assert one == pytest.approx((1 + 0.5 + 0.25 * 2 / 3) / 1.75)


@pytest.mark.skipif(not shutil.which("perl"), reason="ERR is a Perl script")
def test_err_takes_any_query_id_and_grades_up_to_four() -> None:
    run, qrels = {"topic-1": ranking("x", "a b")}, {"topic-1": {"a b": 4}, "other-1": {"x": 4}}
    scores = evaluate(run, qrels, ["ERR@5"])
    assert scores.per_query["ERR@5"] == {"topic-1": pytest.approx(15 / 16 / 2), "other-1": 0.0}
    with pytest.raises(InputError, match="ERR takes grades up to 4"):
        evaluate(run, {"topic-1": {"a b": 5}}, ["ERR@5"])
    with pytest.raises(InputError, match="grade 30 is too high for an exponential gain"):
        evaluate(run, {"topic-1": {"a b": 30}}, ["nDCG(dcg='exp-log2')@10"])


def random_case(seed: int) -> tuple[Run, dict[str, dict[str, int]]]:
    rng = np.random.default_rng(seed)
    documents = [f"d{i:03}" for i in range(300)]
    run: Run = {}
    qrels: dict[str, dict[str, int]] = {}
    for q in range(20):
        found = rng.choice(documents, size=int(rng.integers(1, 150)), replace=False)
        # Few distinct scores: many ties.
        run[f"q{q}"] = [(str(d), float(rng.integers(0, 8))) for d in found]
        judged = rng.choice(documents, size=int(rng.integers(1, 40)), replace=False)
        qrels[f"q{q}"] = {str(d): int(rng.integers(0, 4)) for d in judged}
    return canonical(run), qrels


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_pytrec_eval_on_random_runs_with_the_same_order(seed: int) -> None:
    run, qrels = random_case(seed)
    names = {
        "nDCG@10": "ndcg_cut_10",
        "AP@100": "map_cut_100",
        "R@100": "recall_100",
        "RR": "recip_rank",
        "P@5": "P_5",
    }
    distinct = {
        qid: {docid: 1000.0 - rank for rank, (docid, _) in enumerate(results)}
        for qid, results in run.items()
    }
    oracle = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(distinct)
    scores = evaluate(run, qrels, list(names))
    for name, trec_name in names.items():
        expected = {qid: oracle[qid][trec_name] for qid in qrels}
        assert scores.per_query[name] == pytest.approx(expected, abs=1e-12)
        assert scores.means[name] == pytest.approx(np.mean(list(expected.values())), abs=1e-12)


def test_both_gains_in_one_call_and_grades_below_zero() -> None:
    """Gains 3, 0, 2, 0, 1 in this order: linear .9212, exponential .9461; -2 is not relevant."""
    qrels = {"q": {"a": 3, "b": 0, "c": 2, "d": -2, "e": 1}}
    run = {"q": [(docid, 9.0 - rank) for rank, docid in enumerate("abcde")]}
    measures = ["nDCG@10", "nDCG(dcg='exp-log2')@10", "R@100"]
    for names in (measures, measures[::-1]):
        means = evaluate(run, qrels, names).means
        assert means["nDCG@10"] == pytest.approx(0.9212478446)
        assert means["nDCG(dcg='exp-log2')@10"] == pytest.approx(0.9461356537)
        assert means["R@100"] == 1.0
