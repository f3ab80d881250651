"""GRPO on answers of one token, exactly: the distribution of the answer comes from one forward.

An answer to the reranking prompt is one token, so the G outputs of a group share everything but
that token. One forward of the prompt gives the whole distribution of the answer at its last
position; G answers are drawn from it, and the same forward carries the gradient. A trainer for
texts of any length generates and computes G sequences instead, for the same loss.

B prompts, L positions, V tokens in the vocabulary, G answers to each prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F

from ir_replications.prorank.method.causal import accepts, unwrapped
from ir_replications.prorank.method.rewards import ENDS, format_reward, relevance_reward, weights
from ir_replications.shared.errors import InputError
from ir_replications.shared.training.grpo import clipped_objective, group_advantages, k3


class Settings(Protocol):
    """What the objective depends on; a recipe's `Warmup` is one."""

    @property
    def group_size(self) -> int:
        """G, answers to each prompt."""

    @property
    def temperature(self) -> float:
        """Logits are divided by it before answers are drawn."""

    @property
    def rewards(self) -> Literal["both", "format", "relevance"]:
        """Which of the two rewards count."""

    @property
    def kl_beta(self) -> float:
        """Weight of the KL term; 0 leaves the reference model out."""

    @property
    def epsilon(self) -> float:
        """Half the width of the interval that ratios are clipped to."""

    @property
    def scale_rewards(self) -> Literal["group", "none"]:
        """Whether advantages are divided by the deviation of their group."""


def answer_logits(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Logits of the answer token, float32 (B, V), of left-padded prompts `ids` and `mask` (B, L).

    The language-model head is applied to the last position alone where the model offers that, and
    in float32 whatever the rest is computed in. Positions count from each prompt's first token, so
    that padding moves nothing.
    """
    options: dict[str, Any] = {"use_cache": False}
    if accepts(unwrapped(model), "position_ids"):
        options["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if accepts(unwrapped(model), "logits_to_keep"):
        options["logits_to_keep"] = 1
    with _head_in_float32(unwrapped(model).get_output_embeddings()):
        return model(input_ids=ids, attention_mask=mask, **options).logits[:, -1].float()


@contextmanager
def _head_in_float32(head: Any) -> Iterator[None]:
    """Autocast would round logits of 20 to eighths, and with them the differences learnt from."""
    if type(head) is not torch.nn.Linear:  # an adapter on the head computes by itself
        yield
        return

    def product(states: torch.Tensor) -> torch.Tensor:
        bias = None if head.bias is None else head.bias.float()
        with torch.autocast(states.device.type, enabled=False):
            return F.linear(states.float(), head.weight.float(), bias)

    head.forward = product  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del head.forward


def log_probabilities(
    logits: torch.Tensor, answers: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Log-probabilities (B, G) of the answers (B, G) under softmax(logits / temperature)."""
    return (logits / temperature).log_softmax(-1).gather(-1, answers)


def draw(
    logits: torch.Tensor,
    group_size: int,
    temperature: float,
    generator: torch.Generator,
    place: tuple[int, int] = (0, 1),
) -> torch.Tensor:
    """Token ids (B, G), G independent draws from softmax(logits / temperature) of each row.

    In float64 on the CPU, whose generator gives the same draws whatever device computed the
    logits. With `place` (r, W) the rows are every W-th of a larger batch, from the r-th on: they
    get the draws, and leave the generator in the state, that all its rows would in one call.
    Raises InputError for logits that are not finite, and for W above 1 with G of 1.
    """
    if not bool(torch.isfinite(logits).all()):
        raise InputError("logits of the answer are not finite; lower the learning rate")
    probabilities = (logits.detach().double().cpu() / temperature).softmax(-1)
    number, of = place
    if of == 1:
        drawn = torch.multinomial(probabilities, group_size, replacement=True, generator=generator)
        return drawn.to(logits.device)
    if group_size == 1:  # torch then draws in another way, of as many numbers as there are tokens
        raise InputError("shares of a batch need group_size of 2 or more")

    def skip(rows: int) -> None:
        """Pass over the numbers that other rows' draws take, one float64 for each."""
        torch.rand(rows * group_size, dtype=torch.float64, generator=generator)

    rows = []
    for row in probabilities:
        skip(number)
        rows.append(torch.multinomial(row, group_size, replacement=True, generator=generator))
        skip(of - 1 - number)
    return torch.stack(rows).to(logits.device)


class RewardTable:
    """Format and relevance rewards of answer tokens; each token's text is looked up once.

    `decode` gives the text of a token id, special tokens included.
    """

    def __init__(self, decode: Callable[[int], str], ends: tuple[str, ...] = ENDS) -> None:
        self._decode = decode
        self._ends = ends
        self._known: dict[int, tuple[float, float, float]] = {}  # format, right if 0, right if 1

    def __call__(
        self, answers: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both rewards, float32 (B, G) each, of answers (B, G) to prompts with labels (B,)."""
        ids, places = torch.unique(answers, return_inverse=True)
        rows = torch.tensor([self._of(int(i)) for i in ids], device=answers.device)[places]
        wanted = (1 + labels.to(answers.device)).view(-1, 1, 1).expand(-1, answers.shape[1], 1)
        return rows[..., 0], rows.gather(-1, wanted).squeeze(-1)

    def _of(self, token: int) -> tuple[float, float, float]:
        if token not in self._known:
            text = self._decode(token)
            zero, one = (relevance_reward(text, label, self._ends) for label in (0, 1))
            self._known[token] = (format_reward(text, self._ends), zero, one)
        return self._known[token]


@dataclass(frozen=True)
class Answers:
    """G answers to each of B prompts, drawn once; all tensors are (B, G) and carry no gradient."""

    tokens: torch.Tensor
    old_logp: torch.Tensor  # under the policy that drew them
    ref_logp: torch.Tensor | None  # under the reference; None: no KL term
    format: torch.Tensor
    relevance: torch.Tensor
    advantages: torch.Tensor


def answer(
    logits: torch.Tensor,
    reference: torch.Tensor | None,
    labels: torch.Tensor,
    table: RewardTable,
    settings: Settings,
    generator: torch.Generator,
    place: tuple[int, int] = (0, 1),
) -> Answers:
    """Draw a group of answers from each row of logits (B, V) and reward them.

    `place` is as in `draw`.
    `reference` are the reference model's logits (B, V), or None without a KL term. Advantages are
    the mixed rewards relative to their group's, as shared.training.grpo computes them.
    """
    tokens = draw(logits, settings.group_size, settings.temperature, generator, place)
    of_format, of_relevance = table(tokens, labels)
    first, second = weights(settings.rewards)
    ref_logp = None
    if reference is not None:
        ref_logp = log_probabilities(reference, tokens, settings.temperature)
    return Answers(
        tokens=tokens,
        old_logp=log_probabilities(logits.detach(), tokens, settings.temperature),
        ref_logp=ref_logp,
        format=of_format,
        relevance=of_relevance,
        advantages=group_advantages(
            first * of_format + second * of_relevance, settings.scale_rewards
        ),
    )


def answer_loss(
    logits: torch.Tensor, answers: Answers, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, mean k3 estimate of the KL to the reference) of the policy with logits (B, V).

    loss = mean over all answers of -min(ratio A, clip(ratio, 1 - eps, 1 + eps) A) + beta k3, with
    ratio = exp(logp - old_logp). An answer is one token, so TRL's "grpo", "bnpo", "dapo" and (at
    a greatest length of 1) "dr_grpo" losses are all this mean.
    """
    logp = log_probabilities(logits, answers.tokens, settings.temperature)
    objective = clipped_objective(
        logp, answers.old_logp, answers.advantages, settings.epsilon, settings.epsilon
    )
    loss = -objective.mean()
    if answers.ref_logp is None:
        return loss, torch.zeros_like(loss.detach())
    divergence = k3(logp, answers.ref_logp).mean()
    return loss + settings.kl_beta * divergence, divergence.detach()


Gather = Callable[[torch.Tensor], torch.Tensor]  # rows of a share (b, ...) to the batch's (B, ...)


def _all_here(rows: torch.Tensor) -> torch.Tensor:
    return rows


def answer_metrics(
    logits: torch.Tensor,
    labels: torch.Tensor,
    answer_ids: tuple[int, int],
    gather: Gather = _all_here,
) -> dict[str, float]:
    """What the distribution of the answer says, as means over the prompts; temperature 1.

    p0 and p1: P("0") and P("1"); p1_relevant and p1_irrelevant: P("1") given a valid answer, by
    label (absent where no prompt has it); accuracy: share of prompts whose more probable valid
    answer is right; entropy: of the whole distribution, in nats. `gather` adds the prompts that
    other processes have.
    """
    logp = logits.detach().log_softmax(-1)
    zero, one = (gather(logp[:, i]) for i in answer_ids)
    entropy = gather(-(logp.exp() * logp.clamp(min=-1e4)).sum(-1))
    forced = torch.sigmoid(one - zero)
    truth = gather(labels.to(logits.device))
    found = {
        "p0": zero.exp().mean(),
        "p1": one.exp().mean(),
        "accuracy": ((one > zero) == (truth == 1)).float().mean(),
        "entropy": entropy.mean(),
    }
    for name, label in (("p1_relevant", 1), ("p1_irrelevant", 0)):
        if bool((truth == label).any()):
            found[name] = forced[truth == label].mean()
    return {name: float(value) for name, value in found.items()}


def reward_metrics(
    parts: Sequence[Answers], mix: str, gather: Gather = _all_here
) -> dict[str, float]:
    """Mean rewards of a batch's answers, and the share of its groups that teach nothing.

    `parts` together are the batch; the names are those of TRL's log. A group teaches nothing where
    its rewards are all equal. `gather` adds the prompts that other processes have.
    """
    of_format, of_relevance, advantages = (
        gather(torch.cat([getattr(part, name) for part in parts]))
        for name in ("format", "relevance", "advantages")
    )
    first, second = weights(mix)
    return {
        "reward": float((first * of_format + second * of_relevance).mean()),
        "rewards/format_reward/mean": float(of_format.mean()),
        "rewards/relevance_reward/mean": float(of_relevance.mean()),
        "frac_reward_zero_std": float((advantages == 0).all(-1).float().mean()),
    }


def constant_answer(
    steps: Sequence[dict[str, float]], last: int = 5, valid: float = 0.9, share: float = 0.98
) -> str | None:
    """ "0" or "1" where the policy has collapsed to that answer whatever the document, else None.

    Judged by the means of p0 and p1 over the `last` steps on balanced batches: answers are valid
    with a probability of `valid` or more, and `share` or more of that belongs to one of them. A
    policy that tells documents apart gives each about half.
    """
    window = [entry for entry in steps if "p0" in entry][-last:]
    if not window:
        return None
    zero, one = (sum(entry[name] for entry in window) / len(window) for name in ("p0", "p1"))
    if zero + one < valid or max(zero, one) < share * (zero + one):
        return None
    return "1" if one > zero else "0"
