"""Golden checks of the losses on layers: what each must find."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks import encoders as E
from ir_replications.bert_distill_losses.checks import layers as G


def test_golden_values() -> None:
    assert G.hidden_values() == {"values": 6, "max_error": pytest.approx(0, abs=1e-10)}
    assert G.relation_values() == {"values": 2, "max_error": pytest.approx(0, abs=1e-10)}
    found = G.attention_values()
    assert found["values"] == 3 and found["max_error"] < 1e-10
    assert found["scores_over_probabilities"] == pytest.approx(27.26, abs=0.01)
    assert found["T3_error_on_negative_scores"] < 1e-12


def test_gradients_match_central_differences() -> None:
    found = G.gradients()
    assert found["losses"] == 12
    assert found["max_relative_error"] < 1e-6


def test_the_teacher_is_a_minimum() -> None:
    found = G.minimisers()
    assert found["losses"] == 12
    assert found["max_slope_at_teacher"] < 1e-12
    assert found["max_value_at_teacher"] < 1e-12
    assert found["min_value_near_teacher"] > 1e-3


def test_padding() -> None:
    found = E.padding()
    assert found["terms"] == 8
    assert found["max_effect_valid"] < 1e-12
    assert found["min_effect_tinybert"] > 1e-4


def test_recomputed_attention() -> None:
    found = E.recomputed_attention()
    assert found["layers"] == 6
    assert found["max_error"] < 1e-5
    assert found["max_error_between_kinds_of_attention"] < 1e-4
    assert found["max_error_in_training"] < 1e-5


def test_maps() -> None:
    assert E.maps() == {
        "maps": 7,
        "violations": 0,
        "refused": 5,
        "not_dividing": 5,
        "targets_6_to_2": [[0, 0], [1, 3], [2, 6]],
        "last_layers_right": True,
    }


def test_mismatches() -> None:
    assert E.mismatches() == {
        "cases": 6,
        "refused": 6,
        "relation_heads_not_dividing_refused": True,
        "relation_heads_768_384": 48,
        "relation_heads_768_312": 24,
        "other_widths_work": True,
    }


def test_projections() -> None:
    found = E.projections()
    assert found.pop("projection_gradient") > 0
    assert found.pop("value_of_self") < 1e-5
    assert found == {
        "student_gradient": True,
        "teacher_gradient": False,
        "saved_with_objective": ["projection.weight"],
        "saved_with_student": False,
        "random_numbers_untouched": True,
        "none_at_equal_width": True,
        "tinybert_at_equal_width": True,
        "tinybert_bias": True,
        "shared_at_equal_width": True,
    }


def test_checks_are_complete_and_named_apart() -> None:
    from ir_replications.bert_distill_losses.checks.ranking import CHECKS

    assert len(CHECKS | G.CHECKS) == len(CHECKS) + len(G.CHECKS) == 19
