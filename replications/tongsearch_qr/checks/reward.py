"""Golden checks A1 to A4: the reward, GRPO's invariance, its objective, batch and learning rate.

Expected values are worked out by hand or, where marked, by an independent implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ir_replications.tongsearch_qr.method.reward import RelevanceReward
from ir_replications.tongsearch_qr.training.batch import batch_arithmetic

Facts = dict[str, float | int | str | bool | list[float]]

TEXTS: dict[str, tuple[float, ...]] = {
    "question": (0.6, 0.8),
    "reasoned": (1.0, 0.0),
    "x": (1.0, 0.0),
    "d1": (1.0, 0.0),
    "d2": (0.8, 0.6),
    "<think>a</think> <answer>x</answer>": (0.0, 1.0),
}


@dataclass
class TableEmbedder:
    """An embedding model that looks texts up, for checks without weights."""

    table: dict[str, tuple[float, ...]] = field(default_factory=lambda: TEXTS)
    ref: str = "table"
    sha256: str = ""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed the texts: float32 (n, d); an unknown text is a KeyError."""
        return np.array([self.table[text] for text in texts], dtype=np.float32)


def a1() -> Facts:
    """The reward of section 1.4 on vectors of two dimensions.

    10 * ((1 - .6) + (.8 - .96)) / 2 = 1.2; d1 alone 4; d2 alone -1.6.
    """
    tags = "<think>a</think> <answer>x</answer>"
    both: tuple[str, ...] = ("d1", "d2")
    cases: list[tuple[bool, str, Any, float]] = [  # think, output, positives, expected
        (False, "reasoned", both, 1.2),
        (False, "  reasoned\n", ("d1",), 4.0),
        (False, "reasoned", "d2", -1.6),  # a single string is a list of one
        (False, "system<|im_start|>assistant\nreasoned", both, 1.2),
        (False, "question", both, 0.0),
        (False, "", both, -1.0),
        (False, " \n", both, -1.0),
        (False, tags, both, 10 * ((0.0 - 0.6) + (0.6 - 0.96)) / 2),  # tags are text like any other
        (True, tags, both, 1.2),
        (True, "reasoned", both, -1.0),
        (True, "<answer>x</answer>", both, -1.0),
        (True, "<think>a</think><answer> </answer>", both, -1.0),
    ]
    errors = []
    for think, output, positives, expected in cases:
        (found,) = RelevanceReward(TableEmbedder(), think=think).score(
            ["question"], [output], [positives]
        )
        errors.append(abs(found - expected))
    return {
        "cases": len(cases),
        "max_error": max(errors),
        "violations": sum(e > 1e-5 for e in errors),
    }


def a2() -> Facts:
    """Advantages with and without the baseline: equal, except where an output fails."""
    import torch

    from ir_replications.shared.training.grpo import group_advantages

    cosines, base = [0.71, 0.74, 0.69, 0.80], 0.66

    def advantages(scale: float, baseline: float, failed: int | None = None) -> Any:
        rewards = [scale * (s - baseline) for s in cosines]
        if failed is not None:
            rewards[failed] = -1.0
        return group_advantages(torch.tensor([rewards], dtype=torch.float64))[0]

    golden = [  # standard deviation with ddof 1, eps 1e-4
        (advantages(10, base), [-0.521177, 0.104235, -0.938119, 1.355061]),
        (advantages(10, 0), [-0.521177, 0.104235, -0.938119, 1.355061]),
        (advantages(1, 0), [-0.520201, 0.104040, -0.936362, 1.352523]),
        (advantages(10, base, 2), [0.073448, 0.367241, -1.395514, 0.954826]),
        (advantages(10, 0, 2), [0.404309, 0.474624, -1.494185, 0.615253]),
    ]
    error = max(_gap(found, torch.tensor(expected)) for found, expected in golden)
    # The reward itself, on random vectors: 8 questions of 16 outputs and 3 documents each.
    rng = np.random.default_rng(1)
    names = [f"{kind}{i}" for kind, n in (("q", 8), ("o", 128), ("d", 24)) for i in range(n)]
    vectors = rng.normal(size=(len(names), 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedder = TableEmbedder(dict(zip(names, map(tuple, vectors), strict=True)))
    queries = [f"q{i // 16}" for i in range(128)]
    outputs = [f"o{i}" for i in range(128)]
    positives = [[f"d{3 * (i // 16) + j}" for j in range(3)] for i in range(128)]
    with_base, without = (
        group_advantages(
            torch.tensor(
                RelevanceReward(embedder, subtract_baseline=on).score(queries, outputs, positives),
                dtype=torch.float64,
            ).view(8, 16)
        )
        for on in (True, False)
    )
    equal = group_advantages(torch.full((1, 4), 0.7))
    return {
        "max_error": error,
        "baseline_effect": _gap(with_base, without),
        "baseline_effect_with_failure": _gap(golden[3][0], golden[4][0]),
        "scale_effect": _gap(golden[1][0], golden[2][0]),
        "equal_group": float(equal.abs().max()),
    }


def a3() -> Facts:
    """The KL estimate, the clipping at 1 +- 0.2 and the aggregations on ragged outputs."""
    import torch

    from ir_replications.shared.training.grpo import aggregate, clipped_objective, k3

    logp = torch.linspace(-8, 0, 81, dtype=torch.float64)
    grid = k3(logp.unsqueeze(1), logp.unsqueeze(0))
    apart = ~torch.eye(len(logp), dtype=torch.bool)
    ratios = torch.tensor([1.5, 0.5, 1.5, 0.5, 1.1], dtype=torch.float64)
    signs = torch.tensor([1.0, 1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    changed = ratios.log().unsqueeze(1).requires_grad_()
    objective = clipped_objective(changed, torch.zeros(5, 1, dtype=torch.float64), signs)
    objective.sum().backward()
    assert changed.grad is not None
    errors = [
        _gap(objective.detach()[:, 0], torch.tensor([1.2, 0.5, -1.5, -0.8, 1.1])),
        _gap(changed.grad[:, 0], torch.tensor([0.0, 0.5, -1.5, 0.0, 1.1])),
    ]
    losses = torch.tensor([[4.0, 9.0, 9.0], [1.0, 2.0, 3.0]])  # an output of 1 and one of 3 tokens
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    means = [
        float(aggregate(losses, mask, "grpo")),  # (4 / 1 + 6 / 3) / 2
        float(aggregate(losses, mask, "bnpo")),  # 10 / 4
        float(aggregate(losses, mask, "dapo", total_tokens=8)),  # 10 / 8, the step has 8 tokens
        float(aggregate(losses, mask, "dr_grpo", max_length=5)),  # 10 / (2 * 5)
    ]
    errors.append(max(abs(a - b) for a, b in zip(means, [3.0, 2.5, 1.25, 1.0], strict=True)))
    return {
        "max_error": max(errors),
        "kl_when_equal": float(grid.diagonal().abs().max()),
        "kl_min_otherwise": float(grid[apart].min()),
        "aggregations": means,
        "distinct_aggregations": len(set(means)),
    }


def a4() -> Facts:
    """Prompts per step of the released script, and its learning rate against transformers' own."""
    import torch
    from transformers import get_cosine_with_min_lr_schedule_with_warmup

    from ir_replications.shared.training.grpo import cosine_with_min_lr

    steps, peak, floor = 150, 1e-6, 0.1
    warmup = round(0.1 * steps)
    batch = batch_arithmetic(16, 4, 3, 16)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, num_warmup_steps=warmup, num_training_steps=steps, min_lr_rate=floor
    )
    errors, rates = [], []
    for step in range(steps + 1):
        rates.append(optimizer.param_groups[0]["lr"] / peak)
        errors.append(abs(rates[-1] - cosine_with_min_lr(step, warmup, steps, floor)))
        optimizer.step()
        schedule.step()
    return {
        "completions_per_step": batch.completions,
        "prompts_per_step": batch.prompts,
        "prompts_in_all": batch.prompts * steps,
        "warmup_steps": rates.index(max(rates)),
        "floor": rates[-1],
        "max_error": max(errors),
    }


def _gap(a: Any, b: Any) -> float:
    return float((a - b).abs().max())


CHECKS: dict[str, Callable[[], Facts]] = {"A1": a1, "A2": a2, "A3": a3, "A4": a4}
