"""Golden checks of the losses on scores: what each must find."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ir_replications.bert_distill_losses.checks import ranking as G


def test_golden_values() -> None:
    assert G.hard_values() == {
        "losses": 4,
        "max_error": pytest.approx(0, abs=1e-10),
        "two_logit_error": pytest.approx(0, abs=1e-10),
    }
    assert G.soft_values() == {"values": 11, "max_error": pytest.approx(0, abs=1e-10)}
    found = G.single_pair()
    assert found["max_error"] < 1e-10
    assert found["max_slope_error"] < 1e-10


def test_gradients_match_central_differences() -> None:
    found = G.gradients()
    assert found["losses"] == 15
    assert found["max_relative_error"] < 1e-6


def test_margins_ignore_a_shift_and_scores_do_not() -> None:
    found = G.shifts()
    assert found["max_effect_on_margins"] < 1e-12
    assert found["min_effect_on_scores"] > 0.01
    assert not set(G.ON_MARGINS) & set(G.ON_SCORES)
    assert set(G.ON_MARGINS) | set(G.ON_SCORES) == set(G.R.HARD) | set(G.R.SOFT)


def test_identities() -> None:
    found = G.identities()
    assert max(value for name, value in found.items() if name.endswith("_error")) < 1e-12
    assert found["margin_mse_over_8"] == pytest.approx(0.2708333333333333, abs=1e-12)
    assert found["limit_gap_T100"] < 1e-4
    # the gap falls with the square of the temperature
    assert found["limit_gap_T1000"] == pytest.approx(found["limit_gap_T100"] / 100, rel=0.01)


def test_the_teacher_is_a_minimum() -> None:
    found = G.minimisers()
    assert found["losses"] == 6
    assert found["max_slope_at_teacher"] < 1e-12
    assert found["min_excess_near_teacher"] > 1e-3
    assert found["min_divergence"] > 1e-3
    assert found["divergence_at_teacher"] < 1e-15
    # the published divergence that the check must be able to tell apart
    assert found["T1_value_at_teacher"] < -1
    assert found["T1_slope_at_teacher"] > 0.01


def test_hinge_kink() -> None:
    assert G.hinge_kink() == {
        "slope_below": -1,
        "value_at_margin": 0,
        "slope_at_margin": 0,
        "value_above": 0,
        "slope_above": 0,
    }


def test_scales() -> None:
    found = G.scales()
    assert found["T4_batch_mean_error"] < 1e-12
    assert found["T4_ratio_of_mean_over_classes"] == pytest.approx(0.5)
    assert found["T5_square_of_3_error"] < 1e-12
    assert found["T6_opposite_margins"] == 4
    assert found["T10_weighted_ranknet_far_off"] == pytest.approx(-1000)
    assert found["T10_lowest_of_the_others"] >= 0
    assert found["soft_ce_mean_over_classes_ratio"] == pytest.approx(0.5, abs=1e-12)
