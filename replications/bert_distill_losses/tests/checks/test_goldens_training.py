"""The golden checks of training as the experiment runs them: what each must find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

Checked = Callable[[str], dict[str, Any]]


def test_teacher_and_projection(checked: Checked) -> None:
    facts = checked("G10-teacher")
    assert facts.pop("projection_change") > 1e-4
    assert facts.pop("student_changed") > 20
    assert facts.pop("saved_tensors") > 20
    assert facts == {
        "teacher_calls_equal": True,
        "teacher_trainable": 0,
        "teacher_gradients": 0,
        "teacher_changed": 0,
        "projection_saved": 0,
        "scores_moved_by_saving": 0.0,
        "scores_moved_by_projection": 0.0,
    }


def test_combination(checked: Checked) -> None:
    facts = checked("G11")
    assert facts.pop("max_relative_error") < 1e-6
    assert facts.pop("moved_by_a_weight") > 20
    assert facts == {
        "steps": 4,
        "moved_by_weights_of_0": 0,
        "moved_by_one_weight_of_0": 0,
        "logged_at_weight_0": 0,
    }


def test_margins_become_the_teachers(checked: Checked) -> None:
    facts = checked("G13-margins")
    assert facts["correlation"] > 0.9 > 0.5 > facts["correlation_before"]
    assert facts["fall"] > 1


def test_a_copied_teacher_scores_as_the_teacher(checked: Checked) -> None:
    facts = checked("C4")
    assert facts["max_difference"] == 0
    assert facts["of_two_layers"] > 0.01


def test_arms_see_the_same_groups(checked: Checked) -> None:
    assert checked("K7") == {
        "arms": 20,
        "arms_of_other_batches": 0,
        "arms_of_other_documents": 0,
        "pointwise_reads_the_same": True,
        "documents_of_a_step": [8],
        "groups_of_a_step": 4,
    }
