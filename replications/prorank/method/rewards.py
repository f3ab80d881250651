"""The two rewards of the prompt warmup (stage 1): is it an answer, and is it the right one?

Reconstructed: the paper names a format reward and a relevance reward that are used together, on
outputs from the finite set {"0", "1"}; their values and weights are not known, so both count 1.
"""

from __future__ import annotations

from ir_replications.shared.errors import InputError

ANSWERS = ("0", "1")
# What ends a turn or a text in the models used here; it is no part of the answer.
ENDS = ("<|im_end|>", "<|endoftext|>", "</s>")
# mix: weights of (format, relevance)
REWARDS = {"both": (1.0, 1.0), "format": (1.0, 0.0), "relevance": (0.0, 1.0)}


def answer_of(output: str, ends: tuple[str, ...] = ENDS) -> str:
    """The output without the end tokens that close it; nothing else is stripped."""
    while end := next((e for e in ends if output.endswith(e)), None):
        output = output.removesuffix(end)
    return output


def format_reward(output: str, ends: tuple[str, ...] = ENDS) -> float:
    """1 where the output is "0" or "1" and nothing else, 0 otherwise."""
    return float(answer_of(output, ends) in ANSWERS)


def relevance_reward(output: str, label: int, ends: tuple[str, ...] = ENDS) -> float:
    """1 where the output is the label's digit and nothing else, 0 otherwise.

    Whatever earns it also earns the format reward. Raises InputError for a label that is not 0 or
    1 (a graded judgement must be made binary first).
    """
    if label not in (0, 1):
        raise InputError(f"label {label!r}: expected 0 or 1; make graded judgements binary first")
    return float(answer_of(output, ends) == str(int(label)))


def weights(mix: str) -> tuple[float, float]:
    """Weights of the format and the relevance reward. Raises InputError for an unknown mix."""
    if mix not in REWARDS:
        raise InputError(f"rewards {mix!r}: expected one of {', '.join(REWARDS)}")
    return REWARDS[mix]


def reward(output: str, label: int, mix: str = "both", ends: tuple[str, ...] = ENDS) -> float:
    """The weighted sum of both rewards: 0, 1 or 2 with the mix "both"."""
    of_format, of_relevance = weights(mix)
    return of_format * format_reward(output, ends) + of_relevance * relevance_reward(
        output, label, ends
    )
