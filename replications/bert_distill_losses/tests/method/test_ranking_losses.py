"""Losses on scores: groups of more than two, gradients, options, extreme scores, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ir_replications.bert_distill_losses.checks.ranking import random, tensor
from ir_replications.bert_distill_losses.method import ranking_losses as R
from ir_replications.shared.errors import InputError

ALL = R.HARD | R.SOFT
PAIRWISE = (
    "hinge", "ranknet", "margin-mse", "pair-kl", "teacher-hinge", "weighted-ranknet",
)  # fmt: skip
POINTWISE = ("pointwise-mse", "soft-bce")
TEMPERED = ("pair-kl", "list-kl", "soft-ce")


def call(name: str, scores: Any, teacher: Any, **options: Any) -> Any:
    return ALL[name](scores, **options) if name in R.HARD else ALL[name](scores, teacher, **options)


@pytest.mark.parametrize("name", ALL)
def test_gradcheck(name: str) -> None:
    teacher = random(3, 4, seed=1)
    scores = random(3, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: call(name, s, teacher), scores, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PAIRWISE)
def test_larger_groups_are_the_mean_over_couples_with_column_0(name: str) -> None:
    scores, teacher = random(3, 4, seed=3), random(3, 4, seed=4)
    couples = [call(name, scores[i : i + 1, [0, j]], teacher[i : i + 1, [0, j]])
               for i in range(3) for j in (1, 2, 3)]  # fmt: skip
    expected = sum(map(float, couples)) / 9
    assert float(call(name, scores, teacher)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [n for n in ALL if n not in ("bce", *POINTWISE)])
def test_groups_are_averaged_and_do_not_mix(name: str) -> None:
    scores, teacher = random(4, 3, seed=5), random(4, 3, seed=6)
    alone = [float(call(name, scores[i : i + 1], teacher[i : i + 1])) for i in range(4)]
    assert float(call(name, scores, teacher)) == pytest.approx(sum(alone) / 4, abs=1e-12)


def test_pointwise_losses_are_the_mean_over_documents() -> None:
    scores, teacher = [[0.3, -1.2, 2.0]], [[1.0, 0.5, -0.5]]
    softplus = [math.log1p(math.exp(s)) for s in scores[0]]
    bce = (softplus[0] - 0.3 + softplus[1] + softplus[2]) / 3
    assert float(R.bce(tensor(scores))) == pytest.approx(bce, abs=1e-12)
    mse = (0.7**2 + 1.7**2 + 2.5**2) / 3
    assert float(R.pointwise_mse(tensor(scores), tensor(teacher))) == pytest.approx(mse)
    shares = [1 / (1 + math.exp(-t)) for t in teacher[0]]
    soft = sum(p - q * s for p, q, s in zip(softplus, shares, scores[0], strict=True)) / 3
    assert float(R.soft_bce(tensor(scores), tensor(teacher))) == pytest.approx(soft, abs=1e-12)


@pytest.mark.parametrize("name", R.HARD)
def test_descent_raises_the_relevant_document_and_lowers_the_others(name: str) -> None:
    scores = torch.zeros(2, 3, requires_grad=True)
    R.HARD[name](scores).backward()
    assert scores.grad is not None
    assert bool((scores.grad[:, 0] < 0).all()) and bool((scores.grad[:, 1:] > 0).all())


@pytest.mark.parametrize("name", R.SOFT)
def test_no_gradient_reaches_the_teacher(name: str) -> None:
    scores, teacher = (random(2, 3, seed=s).requires_grad_() for s in (7, 8))
    R.SOFT[name](scores, teacher).backward()
    assert scores.grad is not None and teacher.grad is None


@pytest.mark.parametrize("name", R.SOFT)
def test_the_teacher_matters(name: str) -> None:
    scores, teacher = random(5, 3, seed=9), random(5, 3, seed=10)
    gap = float(call(name, scores, teacher) - call(name, scores, teacher.flip(0)))
    assert abs(gap) > 1e-3


def test_teacher_hinge_follows_the_teacher_and_not_the_label() -> None:
    scores = tensor([[0.5, 0.0]])
    assert float(R.teacher_hinge(scores, tensor([[2.0, 1.0]]))) == 0.5
    assert float(R.teacher_hinge(scores, tensor([[1.0, 2.0]]))) == 1.5
    tied = scores.clone().requires_grad_()
    R.teacher_hinge(tied, tensor([[1.0, 1.0]])).backward()
    assert tied.grad is not None and not tied.grad.any()


def test_margins() -> None:
    scores = tensor([[0.5, 0.0]])
    assert float(R.hinge(scores, margin=2.0)) == 1.5
    assert float(R.teacher_hinge(scores, tensor([[1.0, 0.0]]), margin=0.25)) == 0


def test_soft_ce_has_no_factor_and_names_its_mean() -> None:
    scores, teacher = tensor([[1.0, 0.0, -1.0]]), tensor([[2.0, 2.0, 0.0]])
    shares = [math.exp(t / 2) for t in (2, 2, 0)]
    logs = [s / 2 - math.log(sum(math.exp(x / 2) for x in (1, 0, -1))) for s in (1, 0, -1)]
    cross = -sum(p * q for p, q in zip(shares, logs, strict=True)) / sum(shares)
    assert float(R.soft_ce(scores, teacher, 2.0)) == pytest.approx(cross, abs=1e-12)
    found = R.soft_ce(scores, teacher, 2.0, mean_over_classes=True)
    assert float(found) == pytest.approx(cross / 3, abs=1e-12)


def test_slope_of_pair_kl_by_delta() -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    for t in (0.5, 1.0, 3.0):
        scores = tensor([[0.7, 0.0]]).requires_grad_()
        R.pair_kl(scores, tensor([[-1.1, 0.0]]), t).backward()
        assert scores.grad is not None
        expected = t * (sigmoid(0.7 / t) - sigmoid(-1.1 / t))
        assert float(scores.grad[0, 0]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_scores_stay_finite_in_float32(name: str, dtype: str) -> None:
    kind = getattr(torch, dtype)
    scores = torch.tensor([[-200.0, 300.0], [300.0, -200.0]], dtype=kind, requires_grad=True)
    teacher = torch.tensor([[400.0, -400.0], [0.0, 0.0]], dtype=kind)
    loss = call(name, scores, teacher)
    loss.backward()
    assert loss.dtype == torch.float32
    assert scores.grad is not None and bool(torch.isfinite(scores.grad).all())
    assert math.isfinite(float(loss.detach()))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(0, 2), (3, 1), (3,), (2, 2, 2)])
def test_shapes_that_are_no_groups_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="scores of shape"):
        call(name, torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("name", R.SOFT)
def test_a_teacher_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="one teacher score for each score"):
        R.SOFT[name](torch.zeros(2, 3), torch.zeros(2, 1))


@pytest.mark.parametrize("name", TEMPERED)
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperatures_must_be_positive(name: str, temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        R.SOFT[name](torch.zeros(1, 2), torch.zeros(1, 2), temperature=temperature)


def test_other_refusals() -> None:
    with pytest.raises(InputError, match="margin 0"):
        R.hinge(torch.zeros(1, 2), margin=0)
    with pytest.raises(InputError, match=r"\(groups, documents, 2\)"):
        R.two_logit_ce(torch.zeros(1, 2))


def test_planning_can_name_the_losses() -> None:
    assert list(R.HARD) == ["hinge", "ranknet", "bce", "lce"]
    assert set(R.SOFT) == {
        "pointwise-mse", "margin-mse", "pair-kl", "soft-bce", "list-kl", "teacher-hinge",
        "weighted-ranknet", "soft-ce",
    }  # fmt: skip
