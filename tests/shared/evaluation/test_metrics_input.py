"""Measures: names, options, ids, grades and scores that are none, each named in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from tests.shared.evaluation.test_metrics import ranking


@pytest.mark.parametrize(
    "name",
    ["ndgc@10", "nDCG(gain=1)@10", "nDCG@ten", "nDCG@10.5", "P", "", "10", "a b", "nDCG@1_0",
     "nDCG@0x10", "nDCG@10 # c", "nDCG@10;", "P@-1", "(" * 9999, "P@" + "9" * 5000, "\0",
     "P@\uff11", "\x1b[31mP@5", None, 3, b"P@5"],
)  # fmt: skip
def test_an_unknown_measure_is_named_with_an_example(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown; expected ir-measures notation, e.g. 'nDCG@10'"):
        evaluate({"q": ranking("a")}, {"q": {"a": 1}}, ["nDCG@10", name])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("P@99999999999999999999", "cutoff 99999999999999999999, expected a rank from 1 to"),
        ("P@0", "cutoff 0, expected a rank"),
        ("nDCG@True", "unknown"),
        ("nDCG(cutoff=True)", "cutoff True, expected a rank"),
        ("AP(rel=0)", "rel 0, expected a grade from 1 to"),
        ("RR(rel=0)@10", "rel 0, expected a grade"),
        ("Bpref(rel=99999999999999999999)", "rel 99999999999999999999, expected"),
        ("IPrec@0.123", "recall 0.123, expected a fraction of 1 with at most two decimals"),
        ("IPrec@1.5", "recall 1.5, expected"),
        ("Compat(p=1.5)", "p 1.5, expected a fraction"),
        ("SetF(beta=1e999)", "beta inf, expected a finite number"),
        ("nDCG(gains={'a':1})@5", "gains .*, expected whole numbers from 0 to"),
        ("nDCG(gains={1:99999999999})@5", "gains .*, expected whole numbers from 0 to"),
        ("NumRel(rel=2)", "cannot calculate NumRel"),
    ],
)
def test_options_that_no_value_can_have(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        evaluate({"q": ranking("a")}, {"q": {"a": 1}}, [name])
    assert len(str(caught.value).splitlines()) == 1


def test_empty_qrels_are_refused() -> None:
    with pytest.raises(InputError, match="no query to evaluate"):
        evaluate({"q": ranking("a")}, {})


@pytest.mark.parametrize(
    "grade", [1, 1.0, np.int64(1), np.int8(1), np.float32(1.0), np.float64(1.0), True]
)
def test_whole_grades_of_any_type(grade: Any) -> None:
    run: Any = {"q": [(np.str_("x"), np.float32(2.0)), ("a", 1)]}
    assert evaluate(run, {"q": {"a": grade}}, ["RR@10"]).means == {"RR@10": 0.5}


A = [("a", 1.0)]


@pytest.mark.parametrize(
    ("run", "qrels", "message"),
    [
        (
            {"q": A},
            {"q": {"a": "1"}},
            "query 'q', document 'a': grade '1', expected a whole number",
        ),
        ({"q": A}, {"q": {"a": 1.5}}, "query 'q', document 'a': grade '1.5'"),
        ({"q": A}, {"q": {"a": float("nan")}}, "document 'a': grade 'nan'"),
        ({"q": A}, {"q": {"a": float("inf")}}, "document 'a': grade 'inf'"),
        ({"q": A}, {"q": {"a": None}}, "document 'a': grade 'None'"),
        ({"q": A}, {"q": {"a": 10**30}}, "document 'a': grade '1000"),
        ({"q": A}, {"q": ["a"]}, "qrels: query 'q': list, expected {document id: grade}"),
        ({"q": A}, [("q", "a", 1)], "qrels: list, expected"),
        (None, {"q": {"a": 1}}, "run: NoneType, expected"),
        ({1: A}, {1: {2: 1}}, "query id 1 is int, expected a text"),
        ({"q": A}, {"q": {2: 1}}, "qrels: query 'q': document id 2 is int, expected a text"),
        ({1: A}, {"q": {"a": 1}}, "run: query id 1 is int"),
        ({"q": [(2, 1.0)]}, {"q": {"a": 1}}, "run: query 'q': document id 2 is int"),
        ({"q": [("a\0", 1.0)]}, {"q": {"a": 1}}, r"document id 'a\\x00': holds NUL"),
        ({"q": A}, {"q": {"a\nb": 1}}, r"document id 'a\\nb': holds NUL or a line break"),
        ({"q": A}, {"q\0": {"a": 1}}, r"query id 'q\\x00': holds NUL or a line break"),
        ({"q": [("a", "1.0")]}, {"q": {"a": 1}}, "document 'a': the score is no number"),
        ({"q": [("a", None)]}, {"q": {"a": 1}}, "document 'a': the score is no number"),
        ({"q": [("a", float("nan"))]}, {"q": {"a": 1}}, "'a': score nan is not finite"),
        (
            {"q": [("a", 10**400)]},
            {"q": {"a": 1}},
            "query 'q', document 'a': the score is no number",
        ),
        ({"q": ["a"]}, {"q": {"a": 1}}, "run: query 'q': expected"),
        ({"q": None}, {"q": {"a": 1}}, "run: query 'q': expected"),
        ({"q": [("a", 1.0), ("a", 2.0)]}, {"q": {"a": 1}}, "a document occurs twice"),
    ],
)
def test_input_that_is_none_is_named(run: Any, qrels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        evaluate(run, qrels)
    assert len(str(caught.value).splitlines()) == 1


def test_measures_are_a_list() -> None:
    with pytest.raises(InputError, match="expected a list of names, got 'nDCG@10'"):
        evaluate({"q": ranking("a")}, {"q": {"a": 1}}, "nDCG@10")
