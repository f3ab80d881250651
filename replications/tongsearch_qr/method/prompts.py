"""Prompts of the query reasoner and what is taken from its output.

Every byte is from released code: bigai-nlco/TongSearch-QR at 1cdf6a4 (sample_stackexchange.py,
build_dataset.py, question_rewriting.py, README.md), the same repository before September 2025
(run_reasoner_offline.py at 204ea2f), and xlang-ai/BRIGHT (reason.py). Training, inference and
README differ from one another; the variants keep each as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ir_replications.shared.errors import InputError

VARIANTS = ("training", "inference", "earlier-inference", "readme", "bright")

INSTRUCTIONS = (
    "Instructions:\n"
    "1. Identify the essential problem.\n"
    "2. Think step by step to reason and describe what information could be relevant and helpful "
    "to address the questions in detail.\n"
    "3. Draft an answer with as many thoughts as you have.\n"
)

# What stands before and after the question; "bright" also makes one line of the question.
_FRAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "training": (f"{INSTRUCTIONS}Question: ", ""),
        "inference": (f"{INSTRUCTIONS}Query: ", "\n\n"),
        "earlier-inference": (f"{INSTRUCTIONS}Query:", "\n\n"),
        "readme": (f"{INSTRUCTIONS}Query: ", "\n\n"),
        "bright": ("", f"\n\n{INSTRUCTIONS}"),
    }
)

# None: no system turn at all, so that a chat template may put its own in.
SYSTEM: Mapping[str, str | None] = MappingProxyType(
    {
        "training": "",
        "inference": "",
        "earlier-inference": "",
        "readme": None,
        "bright": "You are a helpful assistant",
    }
)

_THINK = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant "
    "solves it. The assistant first thinks about the reasoning process in the mind and then "
    "provides the user with the answer. The reasoning process and answer are enclosed within "
    "<think> </think> and <answer> </answer> tags, {}i.e., <think> reasoning process here "
    "</think> <answer> answer here </answer>."
)
# The evaluation script of September 2025 lost the word that the training script has.
THINK_SYSTEM: Mapping[str, str] = MappingProxyType(
    {
        "training": _THINK.format("respectively, "),
        "inference": _THINK.format(""),
        "earlier-inference": _THINK.format("respectively, "),
    }
)

_ASSISTANT = "<|im_start|>assistant"
_ANSWER = re.compile(r"<think>.*?</think>\s*<answer>(.*?)</answer>", re.DOTALL)


def instructed(question: str, variant: str) -> str:
    """Return the user message that asks for a reasoned query, exact to the byte.

    Raises InputError when `variant` is not one of VARIANTS.
    """
    before, after = _FRAMES[_known(variant)]
    if variant == "bright":
        question = question.replace("\n", " ")
    return f"{before}{question}{after}"


def messages(question: str, variant: str, *, think: bool = False) -> list[dict[str, str]]:
    """Return the chat messages (role, content) of a question.

    A system turn may be empty, which is not the same as having none: without one, the chat
    template of Qwen2.5 inserts a default. `think` asks for <think> and <answer> tags in the
    words of the variant's own script; "readme" and "bright" have no such form (InputError).
    """
    system = SYSTEM[_known(variant)]
    if think:
        if variant not in THINK_SYSTEM:
            raise InputError(
                f"prompt variant {variant!r} has no think mode; "
                f"variants that have one: {', '.join(THINK_SYSTEM)}"
            )
        system = THINK_SYSTEM[variant]
    turns = [] if system is None else [{"role": "system", "content": system}]
    return [*turns, {"role": "user", "content": instructed(question, variant)}]


def extract(output: str, *, think: bool = False, lenient: bool = False) -> str | None:
    """Return the reasoned query in a model's output, without outer white space; None on failure.

    What stands before the first "<|im_start|>assistant" is dropped. With `think`, the reasoned
    query is the text of <answer> after <think>, and missing tags are a failure; without it,
    tags are text like any other. An empty query is a failure (reward.py). With `lenient`, an
    output without the tags is taken whole, as the released evaluation does (vllm_model.py).
    """
    if _ASSISTANT in output:
        output = output.split(_ASSISTANT, 1)[1]
    if think:
        found = _ANSWER.search(output)
        if found is not None:
            output = found.group(1)
        elif not lenient:
            return None
    return output.strip() or None


def _known(variant: str) -> str:
    if variant not in VARIANTS:
        raise InputError(f"prompt variant {variant!r}: expected one of {', '.join(VARIANTS)}")
    return variant
