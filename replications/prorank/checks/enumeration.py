"""Expected gradients of the exact GRPO by going through every possible draw of a group (A11)."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from ir_replications.prorank.method.answer_grpo import (
    Answers,
    answer_loss,
    draw,
    log_probabilities,
)
from ir_replications.prorank.training.recipe import Warmup
from ir_replications.shared.training.grpo import group_advantages

CASES = (  # logits of an enumerated answer, reward of each token, temperature
    ([0.3, -0.9], [2.0, 1.0], 1.0),
    ([0.2, -0.4, 1.1], [2.0, 1.0, 0.0], 0.9),
    ([-1.0, 0.5, 0.1, 2.0], [1.0, 2.0, 0.0, 0.0], 1.0),
    ([0.1, 1.2, -0.7, 0.4, 0.0], [1.0, 2.0, 0.0, 0.0, 0.0], 1.7),
)


def enumerated_errors(
    logits: list[float], rewards: list[float], temperature: float
) -> dict[str, float]:
    """Greatest errors of the expected gradient by the logits, from our loss on every draw.

    "group": against -sum P(draw) mean_i A_i (e_i - p) / T, worked out in NumPy. "none": with
    advantages that are not scaled, against -(1 - 1/G) times the gradient of the expected reward.
    "kl": of the KL term, against the gradient of KL(reference || policy), which is what k3
    averages to where the ratio does not weigh it.
    """
    group = 3
    draws = torch.tensor(list(itertools.product(range(len(logits)), repeat=group)))
    z = torch.tensor(logits, dtype=torch.float64)
    p = (z / temperature).softmax(-1)
    chance = p[draws].prod(-1)
    of_token = torch.tensor(rewards, dtype=torch.float64)
    reference = torch.linspace(0.5, -0.5, len(logits), dtype=torch.float64)

    def expected(scale: str, kl_beta: float) -> torch.Tensor:
        """sum over all draws of P(draw) times the gradient of answer_loss."""
        return sum(
            weight * gradient(logits, one, of_token[one], reference, scale, kl_beta, temperature)
            for one, weight in zip(draws, chance, strict=True)
        )

    scaled, unscaled = expected("group", 0.0), expected("none", 0.0)
    of_kl = expected("none", 1.0) - unscaled

    a = of_token[draws].numpy()  # the same in NumPy, by the formula of a softmax's gradient
    a = (a - a.mean(1, keepdims=True)) / (a.std(1, ddof=1, keepdims=True) + 1e-4)
    slope = (np.eye(len(logits))[draws.numpy()] - p.numpy()) / temperature
    by_hand = -np.einsum("n,ng,ngv->v", chance.numpy(), a, slope) / group
    variable = z.clone().requires_grad_()
    ((variable / temperature).softmax(-1) @ of_token).backward()
    assert variable.grad is not None
    of_reward = -(1 - 1 / group) * variable.grad
    other = (reference / temperature).softmax(-1)
    forward_kl = (p - other) / temperature  # gradient of KL(other || policy) by the logits
    return {
        "group": float(np.abs(scaled.numpy() - by_hand).max()),
        "none": float((unscaled - of_reward).abs().max()),
        "kl": float((of_kl - forward_kl).abs().max()),
    }


def gradient(
    logits: list[float],
    answers: torch.Tensor,
    rewards: torch.Tensor,
    reference: torch.Tensor,
    scale: str,
    kl_beta: float,
    temperature: float,
) -> torch.Tensor:
    """Gradient of answer_loss by the logits (V,) for one group of answers and their rewards."""
    variable = torch.tensor([logits], dtype=torch.float64, requires_grad=True)
    tokens = answers[None]
    drawn = Answers(
        tokens=tokens,
        old_logp=log_probabilities(variable.detach(), tokens, temperature),
        ref_logp=log_probabilities(reference[None], tokens, temperature),
        format=rewards[None],
        relevance=rewards[None],
        advantages=group_advantages(rewards[None], scale),
    )
    settings = Warmup(steps=1, temperature=temperature, kl_beta=kl_beta)
    answer_loss(variable, drawn, settings)[0].backward()
    assert variable.grad is not None
    return variable.grad[0]


def draw_deviation(logits: list[float], temperature: float, seed: int) -> float:
    """How many standard errors the most deviating token's share is off, over 100,000 draws."""
    n = 100_000
    z = torch.tensor([logits])
    p = (z.double() / temperature).softmax(-1)[0]
    tokens = draw(z, n, temperature, torch.Generator().manual_seed(seed))[0]
    share = torch.bincount(tokens, minlength=len(logits)) / n
    return float(((share - p) / (p * (1 - p) / n).sqrt()).abs().max())
