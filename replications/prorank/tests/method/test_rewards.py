"""Rewards: the truth table, the mixes, refusals."""

from __future__ import annotations

import itertools

import pytest

from ir_replications.prorank.checks.training import TRUTH, a10
from ir_replications.prorank.method.rewards import (
    ENDS,
    REWARDS,
    answer_of,
    format_reward,
    relevance_reward,
    reward,
)
from ir_replications.shared.errors import InputError


@pytest.mark.parametrize("output", TRUTH, ids=repr)
def test_truth_table(output: str) -> None:
    of_format, if_zero, if_one = TRUTH[output]
    assert format_reward(output) == of_format
    assert relevance_reward(output, 0) == if_zero
    assert relevance_reward(output, 1) == if_one


def test_golden_check_sees_the_whole_table() -> None:
    assert a10() == {"cases": 52, "violations": 0, "wrong": [], "totals": 3}


def test_only_end_tokens_are_stripped() -> None:
    for ends in itertools.product(ENDS, repeat=2):
        assert answer_of("1" + "".join(ends)) == "1"
    assert answer_of("1\n<|im_end|>") == "1\n"
    assert answer_of("<|im_start|>") == "<|im_start|>", "what opens a turn does not close one"
    assert answer_of("1<end>") == "1<end>"
    assert answer_of("1<end>", ends=("<end>",)) == "1"


def test_mixes() -> None:
    outputs = ("1", "0", "maybe")
    expected = {"both": [2, 1, 0], "format": [1, 1, 0], "relevance": [1, 0, 0]}
    assert expected.keys() == REWARDS.keys()
    for mix, values in expected.items():
        assert [reward(output, 1, mix) for output in outputs] == values


@pytest.mark.parametrize("label", [2, -1, 0.5])
def test_graded_labels_are_refused(label: int) -> None:
    with pytest.raises(InputError, match=f"label {label}: expected 0 or 1"):
        relevance_reward("1", label)


def test_unknown_mix_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of both, format, relevance"):
        reward("1", 1, "accuracy")
