"""Group-relative policy optimisation (GRPO): advantages, objective, KL estimate and aggregation.

The formulas as the TRL library computes them, as small functions of torch tensors, so that a
paper's statements about them can be tested without a training run. B outputs of at most T tokens.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ir_replications.shared.errors import InputError

SCALES = ("group", "batch", "none")
AGGREGATIONS = ("grpo", "bnpo", "dapo", "dr_grpo")


def group_advantages(rewards: Any, scale: str = "group", eps: float = 1e-4) -> torch.Tensor:
    """Advantages (P, G) of the rewards (P, G) of G outputs for each of P prompts.

    Reward minus its group's mean, divided by (standard deviation + eps) of the group or of the
    whole batch (ddof 1), or by nothing ("none"). Adding a constant to a group changes nothing but
    the rounding; a group of equal rewards has exact zeros, where TRL keeps what rounding leaves of
    the mean (up to .07). Raises InputError for other shapes, G < 2, NaN and what is no number.
    """
    if not (isinstance(eps, int | float) and math.isfinite(eps) and eps >= 0):
        raise InputError(f"eps {eps}: expected a finite number, at least 0")
    try:
        values = torch.as_tensor(rewards)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(
            f"rewards are no numbers ({error}): expected (prompts, outputs of each >= 2)"
        ) from error
    if values.is_complex():
        raise InputError("rewards are complex numbers; expected real ones")
    if not values.is_floating_point():
        values = values.to(torch.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise InputError(
            f"rewards of shape {tuple(values.shape)}: expected (prompts, outputs of each >= 2)"
        )
    if not bool(torch.isfinite(values).all()):
        raise InputError("rewards hold NaN or infinite values; expected finite numbers")
    if scale not in SCALES:
        raise InputError(f"scale {scale!r}: expected one of {', '.join(SCALES)}")
    advantages = values - values.mean(dim=1, keepdim=True)
    if scale != "none":
        spread = values.std(dim=1, keepdim=True) if scale == "group" else values.std()
        advantages = advantages / (spread + eps)
    # A rounded mean of equal rewards is not always that reward.
    equal = values.amax(dim=1, keepdim=True) == values.amin(dim=1, keepdim=True)
    return advantages.masked_fill(equal, 0.0)


def k3(logp: torch.Tensor, ref_logp: torch.Tensor) -> torch.Tensor:
    """Estimate of KL(policy || reference) per token from log-probabilities of sampled tokens.

    exp(d) - d - 1 with d = ref_logp - logp: never negative, zero only where both agree
    (Schulman's third estimator).
    """
    d = ref_logp - logp
    return torch.expm1(d) - d


def clipped_objective(
    logp: torch.Tensor,
    old_logp: torch.Tensor,
    advantages: torch.Tensor,
    eps_low: float = 0.2,
    eps_high: float = 0.2,
) -> torch.Tensor:
    """Per-token objective to maximise, min(ratio * A, clip(ratio, 1 - low, 1 + high) * A).

    `logp` and `old_logp` are (B, T); `advantages` (B,) or (B, T). The gradient vanishes where the
    ratio has already moved past the bound that its advantage's sign pushes it to.
    """
    if advantages.ndim == 1:
        advantages = advantages.unsqueeze(1)
    ratio = torch.exp(logp - old_logp)
    clipped = ratio.clamp(1 - eps_low, 1 + eps_high)
    return torch.minimum(ratio * advantages, clipped * advantages)


def aggregate(
    per_token: torch.Tensor,
    mask: torch.Tensor,
    kind: str,
    *,
    total_tokens: float | None = None,
    max_length: int | None = None,
) -> torch.Tensor:
    """One loss of the per-token losses (B, T) under the 0/1 mask (B, T) of generated tokens.

    "grpo" is the mean over outputs of each output's token mean; "bnpo" the mean over the tokens of
    this batch; "dapo" the sum over `total_tokens`, the tokens of the whole optimiser step (those of
    this batch when None), so that the losses of accumulated batches add up; "dr_grpo" the sum over
    B * `max_length`.
    """
    kept = per_token * mask
    if kind == "grpo":
        return (kept.sum(1) / mask.sum(1).clamp(min=1)).mean()
    if kind == "bnpo":
        return kept.sum() / mask.sum().clamp(min=1)
    if kind == "dapo":
        return kept.sum() / max(float(mask.sum()) if total_tokens is None else total_tokens, 1.0)
    if kind == "dr_grpo":
        if not max_length:
            raise InputError("dr_grpo needs max_length, the greatest length of an output")
        return kept.sum() / (per_token.shape[0] * max_length)
    raise InputError(f"aggregation {kind!r}: expected one of {', '.join(AGGREGATIONS)}")


def cosine_with_min_lr(step: int, warmup: int, steps: int, min_rate: float) -> float:
    """Factor on the learning rate at `step` (from 0): linear warm-up, then a cosine to `min_rate`.

    The schedule that transformers calls cosine_with_min_lr with min_lr_rate.
    """
    if step < warmup:
        return step / max(1, warmup)
    progress = (step - warmup) / max(1, steps - warmup)
    return min_rate + (1 - min_rate) * (1 + math.cos(math.pi * progress)) / 2
