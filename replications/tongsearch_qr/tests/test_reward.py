"""The reward: hand-computed values, TRL's calling form, what is embedded how often, refusals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ir_replications.shared.errors import InputError
from ir_replications.tongsearch_qr.checks.reward import CHECKS, TableEmbedder
from ir_replications.tongsearch_qr.method import reward as module
from ir_replications.tongsearch_qr.method.reward import RelevanceReward, increments
from ir_replications.tongsearch_qr.training.batch import batch_arithmetic


class Recorder(TableEmbedder):
    """A table of vectors that notes what was asked of it, call by call."""

    def __init__(self, **more: tuple[float, ...]) -> None:
        super().__init__()
        self.table = {**self.table, **more}
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(list(texts))
        return super().encode(texts)


def test_increments_by_hand() -> None:
    new = np.array([[1.0, 0.8], [0.6, 0.96], [0.0, 0.6]])
    base = np.array([0.6, 0.96])
    assert increments(new, base) == pytest.approx([1.2, 0.0, -4.8])
    assert increments(new, base, scale=1.0) == pytest.approx([0.12, 0.0, -0.48])
    assert increments(new, base, subtract_baseline=False) == pytest.approx([9.0, 7.8, 3.0])


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("A1", {"violations": 0}),
        ("A2", {"equal_group": 0.0}),
        ("A3", {"distinct_aggregations": 4, "kl_when_equal": 0.0}),
        ("A4", {"completions_per_step": 192, "prompts_per_step": 12, "prompts_in_all": 1800,
                "warmup_steps": 15}),
    ],
)  # fmt: skip
def test_golden_checks(check: str, expected: dict[str, Any]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    facts = CHECKS[check]()
    assert expected.items() <= facts.items()
    assert facts["max_error"] <= 1e-6  # type: ignore[operator]
    if check == "A2":
        assert facts["baseline_effect"] <= 1e-12  # type: ignore[operator]
        assert facts["baseline_effect_with_failure"] > 0.3  # type: ignore[operator]
    if check == "A4":
        assert facts["floor"] == pytest.approx(0.1)


def test_failures_score_minus_one_and_are_counted() -> None:
    score = RelevanceReward(Recorder(), think=True)
    tags = "<think>a</think> <answer>x</answer>"
    outputs = ["", " ", "reasoned", "<think>a</think> <answer> </answer>", tags]
    found = score.score(["question"] * 5, outputs, [["d1", "d2"]] * 5)
    assert found == pytest.approx([-1, -1, -1, -1, 1.2], abs=1e-6)
    assert score.counters == {"empty": 3, "tags missing": 1, "scored": 1}


def test_an_output_that_repeats_the_prompt_is_scored_and_counted() -> None:
    score = RelevanceReward(Recorder(**{"so: question ?": (1.0, 0.0)}))
    found = score.score(["question"] * 3, ["question", "so: question ?", "reasoned"], ["d1"] * 3)
    assert found == pytest.approx([0.0, 4.0, 4.0], abs=1e-6)
    assert score.counters == {"scored": 3, "repeats prompt": 2}


def test_a_group_of_failures_embeds_nothing() -> None:
    embedder = Recorder()
    assert RelevanceReward(embedder).score(["question"] * 4, [""] * 4, [["d1"]] * 4) == [-1.0] * 4
    assert embedder.calls == []


def test_other_scale_and_failure_value_and_no_baseline() -> None:
    score = RelevanceReward(Recorder(), scale=2.0, failure=-9.0, subtract_baseline=False)
    found = score.score(["question"] * 2, ["reasoned", ""], [["d1", "d2"]] * 2)
    assert found == pytest.approx([1.8, -9.0])


def test_the_form_trl_calls() -> None:
    score = RelevanceReward(Recorder())
    assert score.__name__ == "relevance_reward"
    found = score(
        prompts=[[{"role": "user", "content": "question"}]] * 2,
        completions=[[{"role": "assistant", "content": "reasoned"}], "x"],
        query=["question"] * 2,
        positives=[["d1", "d2"]] * 2,
        completion_ids=[[1], [2]],
        trainer_state=None,
    )
    assert found == pytest.approx([1.2, 1.2], abs=1e-6)
    assert all(type(value) is float for value in found)


def test_questions_and_documents_are_embedded_once_and_duplicates_once() -> None:
    embedder = Recorder()
    score = RelevanceReward(embedder)
    queries = ["question"] * 4
    outputs = ["reasoned", "x", " reasoned", "d2"]
    first = score.score(queries, outputs, [("d1", "d2")] * 4)
    assert embedder.calls[0] == ["reasoned", "x", "d2"], "outputs go in one batch"
    assert sorted(embedder.calls[1:]) == [["d1"], ["d2"], ["question"]]
    assert first[0] == first[2]
    embedder.calls.clear()
    assert score.score(queries, outputs, [("d1", "d2")] * 4) == first
    assert embedder.calls == [["reasoned", "x", "d2"]]


def test_rewards_do_not_depend_on_what_was_scored_before() -> None:
    """A resumed run starts with nothing remembered; its rewards must be the same bits."""
    queries, outputs = ["question", "x"] * 2, ["reasoned", "d2", "x", "d1"]
    positives = [["d1", "d2"], ["d2"]] * 2
    warm = RelevanceReward(Recorder())
    warm.score(["x"], ["d1"], [["d1"]])
    assert warm.score(queries, outputs, positives) == RelevanceReward(Recorder()).score(
        queries, outputs, positives
    )


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    score = RelevanceReward(Recorder())
    for _ in range(3):
        found = score.score(["question"], ["reasoned"], [["d1", "d2"]])
        assert found == pytest.approx([1.2], abs=1e-6)
        assert len(score._vectors) == 2


def test_groups_keep_their_own_questions_and_documents() -> None:
    score = RelevanceReward(Recorder())
    found = score.score(
        ["question", "x", "question", "x"],
        ["reasoned", "d2", "d1", ""],
        [["d1", "d2"], ["d1"], ["d2"], ["d1"]],
    )
    assert found == pytest.approx([1.2, -2.0, -1.6, -1.0], abs=1e-6)


NAN = (math.nan, 0.0)


@pytest.mark.parametrize(
    ("queries", "outputs", "positives", "message"),
    [
        (["question"], ["x", "x"], [["d1"]], "1 queries, 2 outputs, 1 lists of positives"),
        (["question"] * 2, ["x", "x"], [["d1"], []], "output 2: no positive documents"),
        (["question"] * 3, ["x", "", "nan"], [["d1"]] * 3, "output 3: the embedding is not finite"),
        (["question"], ["x"], [["nan"]], "positive document 'nan': the embedding is not finite"),
        (["nan"], ["x"], [["d1"]], "query 'nan': the embedding is not finite"),
    ],
)
def test_bad_input_is_refused(
    queries: list[str], outputs: list[str], positives: list[list[str]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        RelevanceReward(Recorder(nan=NAN)).score(queries, outputs, positives)


def test_batch_arithmetic() -> None:
    assert batch_arithmetic(16, 4, 3, 16) == (192, 12)
    assert batch_arithmetic(8, 1, 1, 8) == (8, 1)
    for sizes in ((16, 4, 3, 7), (0, 4, 3, 16), (16, 1, 1, 32)):
        with pytest.raises(InputError, match="do not divide into groups"):
            batch_arithmetic(*sizes)
