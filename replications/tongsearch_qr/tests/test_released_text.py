"""Features of reasoned queries by hand, their relation to a gain, and the released texts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Outcome, Plan
from ir_replications.shared.analysis import Tokens
from ir_replications.shared.errors import InputError
from ir_replications.tongsearch_qr.experiments import e4_released
from ir_replications.tongsearch_qr.experiments.released_text import (
    GROUPS,
    correlations,
    form,
    kept,
    regression,
    repeated,
    varying,
    wording,
)
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY

NOTHING = {
    "words": 0,
    "truncated": 0,
    "unfinished": 0,
    "starts_with_heading": 0,
    "headings": 0,
    "list_items": 0,
    "code_blocks": 0,
    "chinese": 0,
    "think_tags": 0,
    "empty": 0,
}


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("One two\nthree. \n", {"words": 3}),
        ("cut off in the mid", {"words": 5, "truncated": 1, "unfinished": 1}),
        ("as follows:", {"words": 2, "unfinished": 1}),
        ("**bold**", {"words": 1, "unfinished": 1}),
        ("is it?", {"words": 2}),
        (" \n", {"truncated": 1, "unfinished": 1, "empty": 1}),
        ("# A\n## B\n#nothing\n   ### C.", {"words": 7, "headings": 3, "starts_with_heading": 1}),
        ("a # b.", {"words": 3}),
        ("- a\n  * b\n1. c\n2) d\n-e\n3.4\n\u2022 f.", {"words": 12, "list_items": 5}),
        ("```py\n1\n```\nthen\n```\ncut.", {"words": 6, "code_blocks": 2}),
        ("光 light.", {"words": 2, "chinese": 1}),
        ("<think>a.", {"words": 1, "think_tags": 1}),
        ("a </answer>.", {"words": 2, "think_tags": 1}),
        ("a <thinking>.", {"words": 2}),
    ],
)
def test_form(text: str, marks: dict[str, int]) -> None:
    assert form(text) == NOTHING | marks


def test_wording_by_hand() -> None:
    query, reasoned = ["light", "why", "light"], ["light", "heat", "led", "heat"]
    answer = ["heat", "why", "moon", "light", "light"]
    # Weights of the answer's tokens: heat 3, why .5, moon 1, light 1.5: 6 in all.
    weights = {"heat": 3.0, "why": 0.5, "light": 1.5, "led": 100.0}
    assert wording(query, reasoned, answer, weights) == {
        "repeated": 0.25,  # heat again, of 4
        "query_kept": 0.5,  # light of light, why
        "answer_gained": 0.5,  # heat
        "answer_lost": pytest.approx(0.5 / 6),  # why
        "answer_in_query": pytest.approx(2 / 6),  # why and light
    }
    assert wording(query, query, answer, {})["answer_in_query"] == 0.5  # weight 1 each
    assert wording([], [], [], {}) == dict.fromkeys(
        ("repeated", "query_kept", "answer_gained", "answer_lost", "answer_in_query"), 0.0
    )
    assert (repeated(["a", "b"]), kept(["a"], ["b"]), kept(["a", "a"], ["a"])) == (0.0, 0.0, 1.0)


WORDS = st.lists(st.sampled_from("abcdef"), max_size=8)


@given(WORDS, WORDS, WORDS, st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 9)))
def test_what_is_lost_was_there_and_all_shares_are_of_one_whole(
    query: list[str], reasoned: list[str], answer: list[str], weights: dict[str, float]
) -> None:
    found = wording(query, reasoned, answer, weights)
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())
    assert found["answer_lost"] <= found["answer_in_query"] + 1e-12
    assert found["answer_gained"] + found["answer_in_query"] <= 1 + 1e-12
    after = found["answer_in_query"] - found["answer_lost"] + found["answer_gained"]
    assert after == pytest.approx(wording(reasoned, [], answer, weights)["answer_in_query"])


def table(n: int = 60) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(3)
    features = {
        "words": rng.integers(1, 9, n).astype(float),
        "headings": rng.normal(size=n),
        "query_kept": rng.random(n),
    }
    gain = 0.4 * features["words"] - 2 * features["headings"] + rng.normal(size=n)
    return features, gain


def test_correlations_are_spearmans_with_ties() -> None:
    features, gain = table()
    found = correlations(features, np.round(gain).tolist(), resamples=300)
    for name, values in features.items():
        expected = stats.spearmanr(values, np.round(gain)).statistic
        assert found[name].estimate == pytest.approx(expected)
        assert found[name].low < found[name].estimate < found[name].high
    assert found["headings"].high < 0 < found["words"].low
    again = correlations(features, np.round(gain).tolist(), resamples=300)
    assert again == found, "deterministic"


def test_one_standardised_feature_is_a_simple_regression() -> None:
    features, gain = table()
    values = features["words"]
    line = stats.linregress(values, gain)
    found = regression({"words": values}, gain.tolist(), resamples=4000)
    effect = found.effects["words"]
    assert effect.estimate == pytest.approx(line.slope * values.std())
    assert found.r2 == pytest.approx(line.rvalue**2)
    assert found.r2_lost == pytest.approx(
        {"length": found.r2, "format": 0, "wording": 0, "question": 0}
    )
    # Resampling cases allows for unequal variances, which are equal here: about the normal width.
    width = 2 * 1.96 * line.stderr * values.std()
    assert effect.high - effect.low == pytest.approx(width, rel=0.2)


def test_a_gain_made_of_two_features_is_taken_apart() -> None:
    # Orthogonal columns, each -1 or 1 (standardised already): gain = .5 + 3 a - 2 b.
    a, b = np.array([1.0, 1, -1, -1] * 5), np.array([1.0, -1, 1, -1] * 5)
    gain = 0.5 + 3 * a - 2 * b
    found = regression({"words": 10 + 4 * a, "headings": b}, gain.tolist(), resamples=50)
    assert found.effects["words"].estimate == pytest.approx(3)
    assert found.effects["headings"].estimate == pytest.approx(-2)
    assert found.effects["words"].low == pytest.approx(3)
    assert found.r2 == pytest.approx(1)
    assert found.r2_lost["length"] == pytest.approx(9 / 13)
    assert found.r2_lost["format"] == pytest.approx(4 / 13)
    assert found.r2_lost["wording"] == pytest.approx(0)


def test_a_rare_feature_survives_resamples_that_lack_it() -> None:
    features, gain = table()
    rare = np.zeros(60)
    rare[7] = 1
    found = regression(features | {"code_blocks": rare}, gain.tolist(), resamples=200)
    assert all(math.isfinite(e.low) and math.isfinite(e.high) for e in found.effects.values())
    rho = correlations({"code_blocks": rare}, gain.tolist(), resamples=50)["code_blocks"]
    assert rho.low <= rho.estimate <= rho.high


def test_constant_features_are_left_out_or_refused() -> None:
    features, gain = table()
    assert list(varying(features | {"code_blocks": np.ones(60)})) == list(features)
    with pytest.raises(InputError, match="feature code_blocks: expected 60 values"):
        regression({"code_blocks": np.ones(60)}, gain.tolist())
    with pytest.raises(InputError, match="4 queries are too few for 3 features"):
        regression({name: values[:4] for name, values in features.items()}, gain[:4].tolist())


def test_idf_counts_documents() -> None:
    tokens = Tokens.from_lists([["a", "a", "b"], ["a"], ["c"]])
    assert e4_released.idf(tokens) == pytest.approx(
        {"a": math.log(4 / 2.5), "b": math.log(4 / 1.5), "c": math.log(4 / 1.5)}
    )


def test_cells_are_released_queries_by_first_stage() -> None:
    found = e4_released.cells(Plan("small", (PROXY, "beir/scifact")))
    assert [(each["queries"], each["system"]) for each in found] == [
        ("tongsearch-qr-1.5b", "bm25q"),
        ("tongsearch-qr-1.5b", "bm25"),
        ("tongsearch-qr-7b", "bm25q"),
        ("tongsearch-qr-7b", "bm25"),
    ]
    assert not e4_released.cells(Plan("embedded", ("pydocs",)))
    assert not e4_released.cells(Plan("small", ("beir/scifact",), chosen=True))


@pytest.fixture(scope="module")
def outcomes(data_root: Path) -> dict[str, Outcome]:
    """One cell per model, which is enough for the texts."""
    context = Context(data_root, download=False)
    cells = [c for c in e4_released.cells(Plan("small", (PROXY,))) if c["system"] == "bm25"]
    return {cell["queries"]: e4_released.run(cell, context) for cell in cells}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("7b", {"words_median": 335, "words_max": 413, "truncated": 1042, "chinese": 3}),
        (
            "1.5b",
            {
                "words_median": 351,
                "words_max": 422,
                "truncated": 1096,
                "chinese": 1,
                "starts_with_heading": 1308,
            },
        ),
    ],
)
def test_released_texts_are_what_was_counted_before(
    outcomes: dict[str, Outcome], name: str, expected: dict[str, int]
) -> None:
    text = outcomes[f"tongsearch-qr-{name}"].facts["text"]
    common = {"unique": 1308, "think_tags": 0, "empty": 0}
    assert {key: text[key] for key in expected | common} == expected | common


def test_the_outcome_holds_numbers_and_no_text(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert outcome.scores is not None
        values = outcome.scores.per_query
        assert set(values) == {"nDCG@10", "nDCG@10 original"}
        assert all(len(rows) == 749 for rows in values.values())
        before, after = values["nDCG@10 original"], values["nDCG@10"]
        gain = np.array([after[qid] - before[qid] for qid in after])
        facts: dict[str, Any] = outcome.facts
        assert facts["gain"]["estimate"] == pytest.approx(gain.mean())
        assert facts["gain"]["better"] == (gain > 0).sum()
        names = {name for members in GROUPS.values() for name in members}
        assert set(facts["effects"]) == set(facts["spearman"]) == names
        assert max(map(len, json.dumps(facts).split('"'))) < 70, "nothing longer than a digest"
