"""Losses of stage 2: golden values, independent formulas, gradients, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ir_replications.prorank.method.losses import LOSSES, bce, ranknet, softmax_ce
from ir_replications.prorank.method.score import logit_difference
from ir_replications.shared.errors import InputError

S, Y = [2.0, -1.0, 0.5], [1, 0, 0]


def tensors(scores: Any = S, labels: Any = Y) -> tuple[Any, Any]:
    return torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)


def test_golden_values() -> None:
    assert float(bce(*tensors())) == pytest.approx(0.4714222276, abs=1e-9)
    assert float(softmax_ce(*tensors())) == pytest.approx(0.2413112967, abs=1e-9)
    assert float(softmax_ce(*tensors(), tau=0.5)) == pytest.approx(0.0509457635, abs=1e-9)
    assert float(ranknet(*tensors())) == pytest.approx(0.1250003148, abs=1e-9)


def test_softmax_with_one_positive_is_the_cosent_loss() -> None:
    for tau in (0.3, 1.0, 4.0):
        terms = sum(math.exp((s - S[0]) / tau) for s in S[1:])
        assert float(softmax_ce(*tensors(), tau=tau)) == pytest.approx(math.log1p(terms))


def test_queries_are_averaged_and_do_not_mix() -> None:
    other = ([0.3, 0.1, 4.0], [0, 1, 0])
    for loss in LOSSES.values():
        alone = [float(loss(*tensors())), float(loss(*tensors(*other)))]
        together = float(loss(*tensors([S, other[0]], [Y, other[1]])))
        assert together == pytest.approx(sum(alone) / 2)


def test_ranknet_weighs_pairs_of_several_positives() -> None:
    scores, labels = [1.0, 0.0, -2.0], [1, 1, 0]
    expected = (math.log1p(math.exp(-3)) + math.log1p(math.exp(-2))) / 2
    assert float(ranknet(*tensors(scores, labels))) == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_reach_both_answers_alone_with_opposite_signs(name: str) -> None:
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(2), requires_grad=True)
    LOSSES[name](logit_difference(logits, 5, 2), torch.tensor(Y)).backward()
    grad = logits.grad
    assert torch.equal(grad[:, 5], -grad[:, 2])
    assert float(grad[:, 2].abs().min()) > 0
    assert float(grad[:, [0, 1, 3, 4, 6]].abs().max()) == 0
    assert grad[0, 2] < 0 < grad[1, 2], "descent raises the relevant document's z1"


@pytest.mark.parametrize("name", LOSSES)
def test_large_scores_stay_finite(name: str) -> None:
    scores = torch.tensor([-200.0, 300.0, 0.0], requires_grad=True)
    loss = LOSSES[name](scores, torch.tensor(Y))
    loss.backward()
    assert math.isfinite(float(loss.detach())) and bool(torch.isfinite(scores.grad).all())


@pytest.mark.parametrize(
    ("name", "scores", "labels", "message"),
    [
        ("bce", [1.0], [1, 0], "expected one label for each score"),
        ("bce", [], [], "at least one"),
        ("bce", [1.0], [2], "expected 0 and 1"),
        ("softmax", S, [1, 1, 0], "exactly one positive"),
        ("softmax", S, [0, 0, 0], "exactly one positive"),
        ("ranknet", S, [1, 1, 1], "both a positive and a negative"),
    ],
)
def test_refusals(name: str, scores: Any, labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LOSSES[name](*tensors(scores, labels))


def test_tau_must_be_positive() -> None:
    with pytest.raises(InputError, match="tau 0"):
        softmax_ce(*tensors(), tau=0.0)
