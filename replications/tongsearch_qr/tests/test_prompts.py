"""Prompts byte by byte, what chat templates make of them, and what is read from outputs."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.tongsearch_qr.checks.prompts import (
    DEFAULT_SYSTEM,
    PROMPT_SHA256,
    QUESTION,
    TEMPLATE,
    THINK_SHA256,
    a5,
    render,
)
from ir_replications.tongsearch_qr.method.prompts import (
    THINK_SYSTEM,
    VARIANTS,
    extract,
    instructed,
    messages,
)

STEPS = (
    "Instructions:\n1. Identify the essential problem.\n2. Think step by step to reason and "
    "describe what information could be relevant and helpful to address the questions in detail."
    "\n3. Draft an answer with as many thoughts as you have.\n"
)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("training", STEPS + "Question: a\nb"),
        ("inference", STEPS + "Query: a\nb\n\n"),
        ("earlier-inference", STEPS + "Query:a\nb\n\n"),
        ("readme", STEPS + "Query: a\nb\n\n"),
        ("bright", "a b\n\n" + STEPS),
    ],
)
def test_user_message(variant: str, expected: str) -> None:
    assert instructed("a\nb", variant) == expected
    assert messages("a\nb", variant)[-1] == {"role": "user", "content": expected}


@pytest.mark.parametrize("variant", VARIANTS)
def test_bytes_are_those_of_the_released_code(variant: str) -> None:
    digest = sha256(instructed(QUESTION, variant).encode("utf-8")).hexdigest()
    assert digest == PROMPT_SHA256[variant]


def test_system_turns() -> None:
    turns = {variant: messages("q", variant)[:-1] for variant in VARIANTS}
    empty = [{"role": "system", "content": ""}]
    assert turns["training"] == turns["inference"] == turns["earlier-inference"] == empty
    assert turns["readme"] == []
    assert turns["bright"] == [{"role": "system", "content": "You are a helpful assistant"}]


def test_think_prompts_differ_in_one_word() -> None:
    prompts = {variant: messages("q", variant, think=True)[0] for variant in THINK_SYSTEM}
    training, inference = prompts["training"]["content"], prompts["inference"]["content"]
    assert "tags, respectively, i.e., <think> reasoning process here </think> <answer>" in training
    assert training.replace("tags, respectively, i.e.", "tags, i.e.") == inference != training
    assert prompts["earlier-inference"]["content"] == training
    for variant, turn in prompts.items():
        assert turn["role"] == "system"
        assert sha256(turn["content"].encode("utf-8")).hexdigest() == THINK_SHA256[variant]
    with pytest.raises(InputError, match="'readme' has no think mode; variants that have one"):
        messages("q", "readme", think=True)


def test_unknown_variant() -> None:
    for call in (instructed, messages):
        with pytest.raises(InputError, match="'trainig': expected one of training, inference"):
            call("q", "trainig")


def test_empty_system_turn_is_not_none() -> None:
    user = f"<|im_start|>user\n{STEPS}Query: q\n\n<|im_end|>\n<|im_start|>assistant\n"
    assert render(messages("q", "inference")) == f"<|im_start|>system\n<|im_end|>\n{user}"
    default = f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>\n"
    assert render(messages("q", "readme")) == default + user


def test_template_through_a_tokenizer() -> None:
    """The tokenizer class that trains and generates keeps the empty turn as well."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    tokenizer.chat_template = TEMPLATE.replace("<|im_start|>assistant\n", "")
    for variant in VARIANTS:
        text = tokenizer.apply_chat_template(messages("q", variant), tokenize=False)
        assert text + "<|im_start|>assistant\n" == render(messages("q", variant))


@pytest.mark.parametrize(
    ("output", "think", "expected"),
    [
        ("  a query\n", False, "a query"),
        ("prompt<|im_start|>assistant\nfirst<|im_start|>assistant\nsecond", False,
         "first<|im_start|>assistant\nsecond"),
        ("<think>t</think><answer>q</answer>", False, "<think>t</think><answer>q</answer>"),
        ("<think>a\nb</think>\n <answer>\nq\nr </answer> tail", True, "q\nr"),
        ("<think>t</think> <answer>1</answer> <think>u</think> <answer>2</answer>", True, "1"),
        ("<answer>q</answer>", True, None),
        ("<think>t</think> but <answer>q</answer>", True, None),
        ("<think>t</think> <answer>q", True, None),
        ("<think>t</think> <answer> \n</answer>", True, None),
        ("<think>t</think><answer>q</answer><|im_start|>assistant no tags", True, None),
        ("", False, None),
        (" \n\t", False, None),
    ],
)  # fmt: skip
def test_extract(output: str, think: bool, expected: str | None) -> None:
    assert extract(output, think=think) == expected


def test_lenient_extraction_takes_outputs_without_tags_whole() -> None:
    assert extract(" no tags ", think=True, lenient=True) == "no tags"
    assert extract("<think>t</think><answer>q</answer>", think=True, lenient=True) == "q"
    assert extract("<think>t</think><answer> </answer>", think=True, lenient=True) is None


def test_golden_check_notices_a_changed_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = a5()
    assert (facts["violations"], facts["distinct_user_messages"]) == (0, 4)
    assert facts["distinct_prompts"] == 5
    frames = "ir_replications.tongsearch_qr.method.prompts._FRAMES"
    monkeypatch.setattr(frames, {v: (STEPS, "") for v in VARIANTS})
    assert a5()["violations"] == 5
