"""The arms are those of the plan, and a cell changes of an arm what it names and nothing else."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ir_replications.bert_distill_losses.training.arms import (
    ARMS,
    BOTH,
    CONVENTIONS,
    HINGE,
    TINYBERT,
    Arm,
    arm_of,
)
from ir_replications.shared.errors import InputError

PLAN = (Path(__file__).parents[2] / "plan.md").read_text("utf-8")
# arm: (loss of labels, loss of the teacher's scores)
LOSSES = {
    "A1": ("bce", ""), "A2": ("hinge", ""), "A3": ("ranknet", ""), "A4": ("", "pointwise-mse"),
    "A5": ("", "margin-mse"), "A6": ("", "pair-kl"), "A7": ("hinge", "pointwise-mse"),
    "A8": ("hinge", "margin-mse"), "A9": ("hinge", "pair-kl"), "A10": ("bce", "pointwise-mse"),
}  # fmt: skip


def settings(arm: Arm, *but: str) -> dict[str, Any]:
    return {k: v for k, v in asdict(arm).items() if k not in ("title", *but)}


def test_arms_of_losses_on_scores() -> None:
    for name, losses in LOSSES.items():
        assert (ARMS[name].hard, ARMS[name].soft) == losses
        plain = Arm("", *losses)
        assert settings(ARMS[name]) == settings(plain), "nothing else is switched on"
        assert ARMS[name].needs_teacher == bool(losses[1])
    assert list(ARMS) == [*(f"A{i}" for i in range(1, 18)), "C1", "C2", "C3"]
    assert len({arm.title for arm in ARMS.values()}) == len(ARMS)


def test_arms_of_layers_add_to_a8_alone() -> None:
    for number in range(11, 18):
        arm = ARMS[f"A{number}"]
        assert settings(arm, "layers", "schedule") == settings(BOTH, "layers", "schedule")
        assert arm.layers
    assert ARMS["A13"].layers == ARMS["A15"].layers == ARMS["A17"].layers == TINYBERT
    assert set(TINYBERT.values()) == {1.0}
    assert ARMS["A14"].layers == dict.fromkeys(TINYBERT, 0.01)
    assert [name for name, arm in ARMS.items() if arm.schedule != "one step"] == ["A15", "A17"]


def test_controls_change_one_thing() -> None:
    assert ARMS["C1"] == replace(BOTH, title=ARMS["C1"].title, shuffled=True)
    assert settings(ARMS["C2"], "layer_teacher") == settings(ARMS["A13"], "layer_teacher")
    assert ARMS["C2"].layer_teacher == "pre-trained"
    assert ARMS["C3"] == replace(HINGE, title=ARMS["C3"].title, swapped=0.3)


def test_the_plan_names_what_is_here() -> None:
    assert "A11 to A17 add layers to A8" in PLAN
    assert "C3 (30 % of the labels wrong)" in PLAN
    assert "the subset A1, A2, A4, A5, A6, A8, A9, A13, A14, C1, C2" in PLAN


@pytest.mark.parametrize(
    ("arm", "changes"),
    [
        ("A6", {"temperature": 5.0}),
        ("A5", {"teacher": "ensemble"}),
        ("A2", {"swapped": 0.3}),
        ("A8", {"labelled": 0.25}),
        ("A8", {"hard_weight": 10.0}),
        ("A13", {"schedule": "two steps"}),
        ("A13", {"convention": "tinybert"}),
    ],
)
def test_a_cell_changes_what_it_names(arm: str, changes: dict[str, Any]) -> None:
    found = arm_of({"arm": arm, "seed": 3, "collection": "x", **changes})
    assert found == replace(ARMS[arm], **changes) != ARMS[arm]
    assert arm_of({"arm": arm}) is not None and arm_of({"arm": arm}) == ARMS[arm]


def test_conventions_are_those_of_the_losses_on_layers() -> None:
    from ir_replications.bert_distill_losses.method import layer_losses

    assert tuple(layer_losses.CONVENTIONS) == CONVENTIONS


def test_a_weight_is_that_of_every_loss_on_layers() -> None:
    assert arm_of({"arm": "A13", "weight": 0.01}).layers == ARMS["A14"].layers
    assert ARMS["A13"].layers == TINYBERT, "the arm itself is as it was"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"arm": "A18"}, "arm 'A18': expected one of A1, A2, "),
        ({"arm": "A8", "weight": 1.0}, "arm A8, .*: has nothing that a weight would change"),
        ({"arm": "A5", "temperature": 2.0}, "arm A5, .*a temperature would change"),
        ({"arm": "A2", "hard_weight": 2.0}, "arm A2, .*a hard_weight would change"),
        ({"arm": "A5", "hard_weight": 2.0}, "arm A5, .*a hard_weight would change"),
        ({"arm": "A8", "hard_weight": 0.0}, r"hard_weight 0\.0, expected above 0"),
        ({"arm": "A2", "teacher": "ensemble"}, "arm A2, .*a teacher would change"),
        ({"arm": "A5", "teacher": "best"}, "teacher 'best', expected one of"),
        ({"arm": "A13", "schedule": "three steps"}, "schedule 'three steps', expected one of"),
        ({"arm": "A8", "schedule": "two steps"}, "needs losses on layers"),
        ({"arm": "A15", "weight": 0.0}, "needs losses on layers"),
        ({"arm": "A13", "weight": -1.0}, r"weights .*-1\.0.*, expected 0 or above"),
        ({"arm": "A13", "weight": math.nan}, "weights .*nan.*, expected 0 or above"),
        ({"arm": "A6", "temperature": 0.0}, r"temperature 0\.0, expected above 0"),
        ({"arm": "A13", "convention": "bert"}, "convention 'bert', expected one of"),
        ({"arm": "A2", "swapped": 1.5}, r"swapped 1\.5, labelled 1\.0: expected shares"),
        ({"arm": "A2", "labelled": 0.0}, r"labelled 0\.0: expected shares"),
        ({"arm": "A2", "labelled": 2.0}, r"labelled 2\.0: expected shares"),
    ],
)
def test_what_cannot_be_is_one_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        arm_of(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({}, "expected a loss of labels or of the teacher's scores"),
        ({"hard": "hinj"}, "hard 'hinj', expected one of"),
        ({"soft": "hinge"}, "soft 'hinge', expected one of"),
        ({"hard": "hinge", "layer_teacher": "mine"}, "layer_teacher 'mine'"),
    ],
)
def test_an_arm_of_unknown_losses_is_refused(losses: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"mine: .*{message}"):
        Arm("mine", **losses)  # type: ignore[arg-type]
