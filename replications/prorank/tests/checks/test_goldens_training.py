"""The golden checks A10 to A13 as the experiment runs them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from ir_replications.prorank.checks.training import CHECKS, a12


def test_a11() -> None:
    facts = CHECKS["A11"]()
    assert facts.pop("draw_z") < 5
    assert facts.pop("advantage_error") < 1e-6
    assert facts.pop("k3_error") < 1e-9 * 5
    assert max(facts.values()) < 1e-12, facts


def test_a12_with_one_seed() -> None:
    facts = a12(seeds=1)
    assert facts["format"] >= 0.99
    assert facts["accuracy"] >= 0.95
    assert facts["format_only_off_chance"] < 0.01
    assert facts["one_label_off_chance"] < 0.01
    assert facts["collapse_format"] >= 0.99
    assert facts["collapse_accuracy"] < 0.51
    assert facts["relevance_alone_accuracy"] >= 0.95
    assert (facts["detected"], facts["collapsed"], facts["false_alarms"]) == (2, 2, 0)


def test_a13() -> None:
    facts = CHECKS["A13"]()
    assert facts["max_error"] < 1e-9
    assert facts["gradients_not_opposite"] == facts["gradient_of_other_logits"] == 0
    assert facts["smallest_gradient"] > 0.1
    assert facts["parameters_added"] == 0
    assert facts["parameters"] == 37_888
