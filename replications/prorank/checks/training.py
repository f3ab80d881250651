"""Golden checks A10 to A13: rewards, the exact GRPO, toy learning, losses of the second stage.

Expected values are worked out by hand, by enumeration of every possible draw, or are those of the
report on the paper.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ir_replications.prorank.method.rewards import format_reward, relevance_reward, reward

Facts = dict[str, Any]

# output: (format reward, relevance reward if label 0, if label 1)
TRUTH: dict[str, tuple[int, int, int]] = {
    "0": (1, 1, 0),
    "1": (1, 0, 1),
    "0<|im_end|>": (1, 1, 0),
    "1<|im_end|>": (1, 0, 1),
    "1<|im_end|><|endoftext|>": (1, 0, 1),
    "0</s>": (1, 1, 0),
    " 1": (0, 0, 0),
    "1 ": (0, 0, 0),
    "1\n": (0, 0, 0),
    "1\n<|im_end|>": (0, 0, 0),
    "01": (0, 0, 0),
    "10": (0, 0, 0),
    "11": (0, 0, 0),
    "1.": (0, 0, 0),
    "1.0": (0, 0, 0),
    "-1": (0, 0, 0),
    "2": (0, 0, 0),
    "": (0, 0, 0),
    "<|im_end|>": (0, 0, 0),
    "<|im_end|>1": (0, 0, 0),
    "1<|im_end|>1": (0, 0, 0),
    "yes": (0, 0, 0),
    "one": (0, 0, 0),
    "Relevance: 1": (0, 0, 0),
    "\u0661": (0, 0, 0),  # ARABIC-INDIC DIGIT ONE
    "\uff11": (0, 0, 0),  # FULLWIDTH DIGIT ONE
}
ADVANTAGES = [1.048378, 1.048378, -0.149768, -1.347914, -1.347914, -0.149768, 1.048378, -0.149768]


def a10() -> Facts:
    """The truth table of the rewards; whatever is right is also well formed."""
    wrong, totals = [], set()
    for output, (of_format, *of_label) in TRUTH.items():
        for label, right in enumerate(of_label):
            found = (format_reward(output), relevance_reward(output, label))
            mixed = reward(output, label)
            totals.add(mixed)
            if found != (of_format, right) or mixed != sum(found) or found[1] > found[0]:
                wrong.append(f"{output!r} for label {label}")
    return {
        "cases": 2 * len(TRUTH),
        "violations": len(wrong),
        "wrong": wrong,
        "totals": len(totals),
    }


def a11() -> Facts:
    """Advantages, KL, clipping; expected gradients over every possible draw of a group of 3."""
    import torch

    from ir_replications.prorank.checks.enumeration import CASES, draw_deviation, enumerated_errors
    from ir_replications.shared.training.grpo import group_advantages, k3

    rewards = torch.tensor([[2.0, 2, 1, 0, 0, 1, 2, 1]], dtype=torch.float64)
    found = group_advantages(rewards)[0]
    pairs = torch.tensor([[-1.0, -1.2], [-0.5, -0.1]], dtype=torch.float64)
    divergences = k3(pairs[:, 0], pairs[:, 1]) - torch.tensor([0.0187307531, 0.0918246976])
    errors = [enumerated_errors(*case) for case in CASES]
    same = [[1.0, 1.0, 1.0]] * 2
    return {
        "advantage_error": float((found - torch.tensor(ADVANTAGES)).abs().max()),
        "advantage_sum": abs(float(found.sum())),
        "k3_error": float(divergences.abs().max()),
        "clip_error": clip_error(),
        "gradient_error": max(e["group"] for e in errors),
        "unscaled_gradient_error": max(e["none"] for e in errors),
        "kl_gradient_error": max(e["kl"] for e in errors),
        "equal_group_advantage": float(group_advantages(same).abs().max()),
        "draw_z": max(draw_deviation(logits, t, seed=i) for i, (logits, _, t) in enumerate(CASES)),
    }


def clip_error() -> float:
    """Greatest error of the slope by ln(ratio) at ratios inside and outside 1 +- 0.2."""
    import torch

    from ir_replications.shared.training.grpo import clipped_objective

    cases = [  # ratio, advantage, slope of the objective
        (1.5, 1.0, 0.0), (0.5, 1.0, 0.5), (1.5, -1.0, -1.5), (0.5, -1.0, 0.0), (1.19, 1.0, 1.19),
        (0.81, -1.0, -0.81),
    ]  # fmt: skip
    table = torch.tensor(cases, dtype=torch.float64)
    logp = table[:, :1].log().requires_grad_()
    clipped_objective(logp, torch.zeros_like(logp), table[:, 1]).sum().backward()
    assert logp.grad is not None
    return float((logp.grad[:, 0] - table[:, 2]).abs().max())


def a12(seeds: int = 3) -> Facts:
    """Toy policies that start with 3% valid answers, nine in ten of them "1" (toy_policy)."""
    from ir_replications.prorank.checks.toy_policy import SETTINGS, Outcome, train_toy

    def runs(**options: Any) -> list[Outcome]:
        return [train_toy(seed, **options) for seed in range(seeds)]

    learned = runs() + runs(settings=replace(SETTINGS, kl_beta=0.01))
    blind = runs(rewards="format", optimiser="sgd")
    drifting = runs(rewards="format")
    constant = runs(all_relevant=True)
    plain = runs(optimiser="sgd")
    alone = runs(rewards="relevance", optimiser="sgd")
    healthy = [run.collapsed_to for run in learned + alone]
    return {
        "runs": len(learned),
        "format": min(run.format for run in learned),
        "accuracy": min(run.accuracy for run in learned),
        "format_only": min(run.format for run in blind),
        "format_only_off_chance": max(abs(run.accuracy - 0.5) for run in blind),
        "format_only_adam": [round(run.accuracy, 3) for run in drifting],
        "one_label_off_chance": max(abs(run.accuracy - 0.5) for run in constant),
        "collapse_accuracy": max(run.accuracy for run in plain),
        "collapse_format": min(run.format for run in plain),
        "relevance_alone_accuracy": min(run.accuracy for run in alone),
        "detected": sum(run.collapsed_to == "1" for run in plain + constant),
        "collapsed": len(plain + constant),
        "false_alarms": sum(found is not None for found in healthy),
    }


def a13() -> Facts:
    """Golden losses; gradients reach the two answers alone; stage 2 adds no parameter."""
    import torch

    from ir_replications.prorank.method.losses import LOSSES, bce, ranknet, softmax_ce
    from ir_replications.prorank.method.score import logit_difference

    scores = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    labels = torch.tensor([1, 0, 0])
    errors = [
        abs(float(found) - expected)
        for found, expected in (
            (bce(scores, labels), 0.4714222276),
            (softmax_ce(scores, labels), 0.2413112967),
            (softmax_ce(scores, labels, tau=0.5), 0.0509457635),
            (ranknet(scores, labels), 0.1250003148),
        )
    ]
    opposite, elsewhere, smallest = 0.0, 0.0, float("inf")
    for loss in LOSSES.values():
        logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(1), requires_grad=True)
        loss(logit_difference(logits, 4, 6), labels).backward()
        assert logits.grad is not None
        by_zero, by_one = logits.grad[:, 4], logits.grad[:, 6]
        others = logits.grad[:, [0, 1, 2, 3, 5, 7, 8]]
        opposite = max(opposite, float((by_zero + by_one).abs().max()))
        elsewhere = max(elsewhere, float(others.abs().max()))
        smallest = min(smallest, float(by_one.abs().max()))
    return {
        "max_error": max(errors),
        "gradients_not_opposite": opposite,
        "gradient_of_other_logits": elsewhere,
        "smallest_gradient": smallest,
        **stage_2_parameters(),
    }


def stage_2_parameters() -> Facts:
    """Parameters of a tiny model before stage 2 and after it, with LoRA and without."""
    from ir_replications.prorank.checks.tiny_reranker import tiny_model, tiny_pairs, tiny_recipe
    from ir_replications.prorank.training.fine_grained import fine_grained
    from ir_replications.shared.training import TrainingFolder

    model, tokenizer = tiny_model()
    before = sum(p.numel() for p in model.parameters())
    recipe, pairs = tiny_recipe(), tiny_pairs(2)
    added = []
    for settings in (recipe, replace(recipe, lora=None)):
        with tempfile.TemporaryDirectory() as folder:
            run = TrainingFolder(Path(folder) / "run", settings.request("fine_grained"))
            groups = [(pairs[0], pairs[1]), (pairs[2], pairs[3])]
            result = fine_grained(tiny_model()[0], tokenizer, groups, settings, run)
        added.append(abs(result["parameters"] - before))
    return {"parameters": before, "parameters_added": max(added)}


CHECKS: dict[str, Callable[[], Facts]] = {"A10": a10, "A11": a11, "A12": a12, "A13": a13}
