"""Golden values and properties of the losses on scores: G1 to G5, and traps of other code.

Expected values come from the report on the paper, where they were worked out in float64 without
this code. A check returns numbers and booleans for claims to compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ir_replications.bert_distill_losses.method import ranking_losses as R

Facts = dict[str, Any]

STUDENT = [[2.0, 1.5], [0.5, 1.0], [-1.0, -3.0]]  # delta .5, -.5, 2
TEACHER = [[4.0, 1.0], [1.0, 2.0], [0.0, -2.0]]  # Delta 3, -1, 2
LISTS = [[2.0, 0.5, -1.0], [1.5, 1.0, -3.0]]
TEACHER_LISTS = [[4.0, 1.0, 0.0], [1.0, 2.0, -2.0]]

HARD_VALUES = {
    "hinge": 0.6666666666666666,
    "ranknet": 0.5250273264677286,
    "bce": 0.8295881666360032,
    "lce": 0.5250273264677286,
}
SOFT_VALUES = {
    "pointwise-mse": 1.25,
    "margin-mse": 2.1666666666666665,
    "soft-bce": 0.5046993250947771,
    "weighted-ranknet": 0.23400333014871944,
    # by hand: couples .5, .5 and 0
    "teacher-hinge": 1 / 3,
}
PAIR_KL = {
    1: 0.1110898452131114,
    2: 0.20529534084979553,
    5: 0.25815044269841547,
    10: 0.2675660020445484,
}
LIST_KL = {1: 0.17234209176571502, 2: 0.23202065601005178}
LIST_LCE = 0.36113969056358686
# One pair, delta .5 and Delta 3: value and slope by delta.
SINGLE = {
    "hinge": (0.5, -1.0),
    "ranknet": (0.4740769841801067, -0.37754066879814546),
    "margin-mse": (6.25, -5.0),
    "pair-kl T=1": (0.49778992076889, -0.33011479562057877),
    "pair-kl T=2": (2.4861832033217306, -0.5107959506156912),
}
# s = t is a minimum of these; not of the weighted RankNet, nor of the hinge in teacher's order.
MINIMISED = ("pointwise-mse", "margin-mse", "pair-kl", "soft-bce", "list-kl", "soft-ce")
ON_MARGINS: dict[str, Callable[..., Any]] = {
    n: R.HARD.get(n) or R.SOFT[n]
    for n in ("hinge", "ranknet", "lce", "margin-mse", "pair-kl", "list-kl", "soft-ce",
              "teacher-hinge", "weighted-ranknet")
}  # fmt: skip
ON_SCORES = {n: R.HARD.get(n) or R.SOFT[n] for n in ("bce", "pointwise-mse", "soft-bce")}


def hard_values() -> Facts:
    """Three pairs and two lists; the two-logit form against the one-logit form."""
    scores = tensor(STUDENT)
    errors = [abs(float(R.HARD[n](scores)) - v) for n, v in HARD_VALUES.items()]
    errors.append(abs(float(R.lce(tensor(LISTS))) - LIST_LCE))
    logits = random(5, 3, 2)
    one_logit = R.bce(logits[..., 1] - logits[..., 0])
    return {
        "losses": len(HARD_VALUES),
        "max_error": max(errors),
        "two_logit_error": abs(float(R.two_logit_ce(logits) - one_logit)),
    }


def soft_values() -> Facts:
    """Three pairs against a teacher, and two lists of three."""
    scores, teacher = tensor(STUDENT), tensor(TEACHER)
    lists = tensor(LISTS), tensor(TEACHER_LISTS)
    errors = [abs(float(R.SOFT[n](scores, teacher)) - v) for n, v in SOFT_VALUES.items()]
    errors += [abs(float(R.pair_kl(scores, teacher, t)) - v) for t, v in PAIR_KL.items()]
    errors += [abs(float(R.list_kl(*lists, t)) - v) for t, v in LIST_KL.items()]
    return {"values": len(errors), "max_error": max(errors)}


def single_pair() -> Facts:
    """Values and slopes of one pair; pair-KL as the binary cross-entropy that it differs from."""
    teacher = tensor([[3.0, 0.0]])
    losses: dict[str, Callable[[Any], Any]] = {
        "hinge": R.hinge,
        "ranknet": R.ranknet,
        "margin-mse": partial(R.margin_mse, teacher=teacher),
        "pair-kl T=1": lambda s: R.pair_kl(s, teacher, 1.0) + entropy(3.0),
        "pair-kl T=2": lambda s: R.pair_kl(s, teacher, 2.0) + 4 * entropy(3.0 / 2),
    }
    values, slopes = [], []
    for name, (value, slope) in SINGLE.items():
        scores = tensor([[0.5, 0.0]]).requires_grad_()
        loss = losses[name](scores)
        loss.backward()
        assert scores.grad is not None
        values.append(abs(float(loss.detach()) - value))
        # by delta: half of the slope by s+ comes from s-, with the other sign
        slopes.append(float((scores.grad - tensor([[slope, -slope]])).abs().max()))
    return {"max_error": max(values), "max_slope_error": max(slopes)}


def gradients() -> Facts:
    """Every loss against central differences of random groups of three."""
    teacher, scores = random(4, 3, seed=1), random(4, 3, seed=2)
    losses: dict[str, Callable[[Any], Any]] = dict(R.HARD)
    for name, loss in R.SOFT.items():
        losses[name] = partial(loss, teacher=teacher)
        if name in ("pair-kl", "list-kl", "soft-ce"):
            losses[f"{name} T=3"] = partial(loss, teacher=teacher, temperature=3.0)
    found = {name: slope_error(loss, scores) for name, loss in losses.items()}
    return {"losses": len(found), "max_relative_error": max(found.values())}


def shifts() -> Facts:
    """G2: a constant added to a query's scores, for losses on margins and on single scores."""
    scores, teacher, shift = random(6, 4, seed=3), random(6, 4, seed=4), random(6, 1, seed=5)
    effects: dict[str, float] = {}
    for name, loss in (ON_MARGINS | ON_SCORES).items():
        args = () if name in R.HARD else (teacher,)
        effects[name] = abs(float(loss(scores + shift, *args) - loss(scores, *args)))
    return {
        "max_effect_on_margins": max(effects[n] for n in ON_MARGINS),
        "min_effect_on_scores": min(effects[n] for n in ON_SCORES),
    }


def identities() -> Facts:
    """G3: RankNet, two-way cross-entropy, pair-KL, binary cross-entropy and Margin-MSE."""
    import torch.nn.functional as F

    scores, teacher = random(50, 2, seed=6), 3 * random(50, 2, seed=7)
    first = scores.new_zeros(50, dtype=int)
    ranknet = R.ranknet(scores)
    one_hot = tensor([[1000.0, 0.0]]).expand(50, 2)
    pair_errors, cross_errors = [], []
    for t in (0.5, 1.0, 4.0):
        soft = (teacher[:, 0] - teacher[:, 1]).div(t)
        margins = (scores[:, 0] - scores[:, 1]).div(t)
        cross = F.binary_cross_entropy_with_logits(margins, soft.sigmoid())
        left = R.pair_kl(scores, teacher, t, scaled=False) + entropies(soft).mean()
        cross_errors.append(abs(float(left - cross)))
        pair_errors.append(
            abs(float(R.pair_kl(scores, teacher, t) - R.list_kl(scores, teacher, t)))
        )
    golden = tensor(STUDENT), tensor(TEACHER)
    limit = float(R.margin_mse(*golden)) / 8
    return {
        "ranknet_as_softmax_error": abs(float(ranknet - F.cross_entropy(scores, first))),
        "ranknet_as_lce_error": abs(float(ranknet - R.lce(scores))),
        "ranknet_as_one_hot_kl_error": abs(float(ranknet - R.pair_kl(scores, one_hot))),
        "pair_kl_as_bce_error": max(cross_errors),
        "pair_kl_as_list_kl_error": max(pair_errors),
        "margin_mse_over_8": limit,
        "limit_gap_T100": abs(float(R.pair_kl(*golden, 100.0)) - limit),
        "limit_gap_T1000": abs(float(R.pair_kl(*golden, 1000.0)) - limit),
    }


def minimisers() -> Facts:
    """G4: at the teacher's scores the slope is 0 and nothing near is lower; and trap T1.

    T1 is a published divergence that takes probabilities where their logs belong; on lists.
    """
    import torch.nn.functional as F

    teacher = random(5, 3, seed=8)
    slopes, excess, divergences = [], [], []
    for name in MINIMISED:
        slopes.append(float(slope(partial(R.SOFT[name], teacher=teacher), teacher).abs().max()))
        for seed in range(20):
            near = teacher + 0.5 * random(5, 3, seed=100 + seed)
            excess.append(float(R.SOFT[name](near, teacher) - R.SOFT[name](teacher, teacher)))
            if name in ("pair-kl", "list-kl"):
                divergences.append(float(R.SOFT[name](near, teacher)))

    lists = tensor(TEACHER_LISTS)

    def wrong(scores: Any) -> Any:
        return F.kl_div(scores.softmax(-1), lists.softmax(-1), reduction="batchmean")

    return {
        "losses": len(MINIMISED),
        "max_slope_at_teacher": max(slopes),
        "min_excess_near_teacher": min(excess),
        "min_divergence": min(divergences),
        "divergence_at_teacher": abs(float(R.list_kl(teacher, teacher))),
        "T1_value_at_teacher": float(wrong(lists)),
        "T1_slope_at_teacher": float(slope(wrong, lists).abs().max()),
    }


def hinge_kink() -> Facts:
    """G5: the hinge below its margin, at it, and above."""

    def one(delta: float) -> tuple[float, float]:
        scores = tensor([[delta, 0.0]])
        return float(R.hinge(scores)), float(slope(R.hinge, scores)[0, 0])

    return {
        "slope_below": one(0.999)[1],
        "value_at_margin": one(1.0)[0],
        "slope_at_margin": one(1.0)[1],
        "value_above": one(1.5)[0],
        "slope_above": one(1.5)[1],
    }


def scales() -> Facts:
    """Traps T4 to T6 and T10: means, the factor T^2, signs, and a loss without a bound."""
    import torch.nn.functional as F

    scores, teacher = random(7, 2, seed=9), random(7, 2, seed=10)
    logs, shares = scores.log_softmax(-1), teacher.softmax(-1)
    over_batch = F.kl_div(logs, shares, reduction="batchmean")
    over_all = float(logs.sub(shares.log()).mul(-shares).mean())  # what reduction "mean" gives
    opposite = tensor([[1.0, 0.0]]), tensor([[0.0, 1.0]])
    far = tensor([[-1000.0, 0.0]])
    kls = R.pair_kl, R.list_kl
    ratios = [float(f(scores, teacher, 3.0) / f(scores, teacher, 3.0, scaled=False)) for f in kls]
    halves = R.soft_ce(scores, teacher, mean_over_classes=True) / R.soft_ce(scores, teacher)
    bounded = R.margin_mse, R.pair_kl, R.list_kl, R.soft_bce, R.soft_ce, R.pointwise_mse
    lowest = min(float(f(far, opposite[1])) for f in (*bounded, R.teacher_hinge))
    return {
        "T4_batch_mean_error": abs(float(R.list_kl(scores, teacher) - over_batch)),
        "T4_ratio_of_mean_over_classes": over_all / float(over_batch),
        "T5_square_of_3_error": max(abs(ratio - 9) for ratio in ratios),
        "T6_opposite_margins": float(R.margin_mse(*opposite)),
        "T10_weighted_ranknet_far_off": float(R.weighted_ranknet(far, opposite[1])),
        "T10_lowest_of_the_others": lowest,
        "soft_ce_mean_over_classes_ratio": float(halves),
    }


def tensor(values: Any) -> Any:
    """In float64."""
    import torch

    return torch.tensor(values, dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> Any:
    """Normal numbers in float64."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def slope(loss: Callable[[Any], Any], at: Any) -> Any:
    """The gradient of a loss."""
    import torch

    at = at.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(at), at)[0]


def slope_error(loss: Callable[[Any], Any], at: Any, step: float = 1e-5) -> float:
    """Greatest gap of the gradient to central differences, over the gradient's greatest entry."""
    exact = slope(loss, at).flatten()
    base, gaps = at.detach().flatten(), []
    for i in range(len(base)):
        up, down = base.clone(), base.clone()
        up[i] += step
        down[i] -= step
        change = float(loss(up.view(at.shape)) - loss(down.view(at.shape)))
        gaps.append(abs(change / (2 * step) - float(exact[i])))
    return max(gaps) / float(exact.abs().max())


def entropies(margins: Any) -> Any:
    """Entropy of a coin that falls on heads with probability sigmoid(margin)."""
    p = margins.sigmoid()
    return -(p * p.log() + (1 - p) * (1 - p).log())


def entropy(margin: float) -> float:
    """The same for one number."""
    p = 1 / (1 + math.exp(-margin))
    return -(p * math.log(p) + (1 - p) * math.log(1 - p))


CHECKS: dict[str, Callable[[], Facts]] = {
    "G1-hard": hard_values,
    "G1-soft": soft_values,
    "G1-pair": single_pair,
    "G1-score-gradients": gradients,
    "G2": shifts,
    "G3": identities,
    "G4-scores": minimisers,
    "G5": hinge_kink,
    "T4-T10": scales,
}
