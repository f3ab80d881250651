"""A policy of some hundred weights that the answer-token GRPO is tried on (A12).

Its "prompt" is four numbers, the first of which tells relevant from irrelevant; its vocabulary is
32 tokens, of which 0 and 1 are the answers. Before training it answers as SmolLM2-135M was
measured to: an answer is valid with probability 0.03, and nine times in ten it is "1".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from ir_replications.prorank.method.answer_grpo import (
    RewardTable,
    answer,
    answer_loss,
    answer_metrics,
    constant_answer,
)
from ir_replications.prorank.training.recipe import Warmup

TOKENS, FEATURES = 32, 4
P_ANSWERS = (0.003, 0.027)  # P("0"), P("1") before training
SETTINGS = Warmup(
    steps=200, learning_rate=0.05, pairs_per_step=16, group_size=16, temperature=1.0, kl_beta=0.0
)
OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


class ToyPolicy(torch.nn.Module):
    """Logits (B, 32) of features (B, 4): linear, the features without effect at first.

    In float64, so that what comes out does not depend on a processor's order of sums.
    """

    def __init__(self) -> None:
        super().__init__()
        others = (1 - sum(P_ANSWERS)) / (TOKENS - 2)
        start = torch.tensor([*P_ANSWERS, *[others] * (TOKENS - 2)], dtype=torch.float64)
        self.bias = torch.nn.Parameter(start.log())
        self.weight = torch.nn.Parameter(torch.zeros(TOKENS, FEATURES, dtype=torch.float64))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class Outcome:
    """Of the trained policy on 1,000 balanced prompts that it was not trained on."""

    format: float  # mean probability of a valid answer
    accuracy: float  # mean probability of the right answer
    collapsed_to: str | None  # what the monitor says of the training batches


def examples(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, 4) in float64 and labels (n,), half of them relevant."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    features = torch.randn(n, FEATURES, generator=generator, dtype=torch.float64)
    features[:, 0] = 2 * labels - 1 + 0.3 * features[:, 0]
    return features, labels


def train_toy(
    seed: int,
    *,
    rewards: Literal["both", "format", "relevance"] = "both",
    optimiser: str = "adam",
    all_relevant: bool = False,
    settings: Warmup = SETTINGS,
) -> Outcome:
    """Train by the loss of stage 1; `all_relevant` labels every training prompt 1.

    Plain gradients ("sgd") get a learning rate 20 times as large.
    """
    settings = replace(settings, rewards=rewards)
    rate = settings.learning_rate * (20 if optimiser == "sgd" else 1)
    policy, reference = ToyPolicy(), ToyPolicy()
    table = RewardTable(str)
    generator = torch.Generator().manual_seed(seed)
    stepper = OPTIMISERS[optimiser](policy.parameters(), lr=rate)
    log: list[dict[str, float]] = []
    for step in range(settings.steps):
        features, labels = examples(settings.pairs_per_step, 10**6 * seed + step)
        truth = torch.ones_like(labels) if all_relevant else labels
        logits = policy(features)
        with torch.no_grad():
            before = reference(features) if settings.kl_beta else None
        drawn = answer(logits, before, truth, table, settings, generator)
        loss, _ = answer_loss(logits, drawn, settings)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        log.append(answer_metrics(logits, truth, (0, 1)) if step >= settings.steps - 5 else {})
    features, labels = examples(1000, 10**9 + seed)
    with torch.no_grad():
        probabilities = policy(features).softmax(-1)
    return Outcome(
        format=float(probabilities[:, :2].sum(-1).mean()),
        accuracy=float(probabilities.gather(1, labels[:, None]).mean()),
        collapsed_to=constant_answer(log),
    )
