"""The prompt's bytes, its ids against the released package, its lengths, padding and refusals."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from ir_replications.prorank.checks import prompt as goldens_prompt
from ir_replications.prorank.checks.prompt import (
    CHECKS,
    PROMPT_SHA256,
    STYLES,
    TASK_SHA256,
    TableTokenizer,
    ids_of,
    settings,
)
from ir_replications.prorank.checks.tiny_llama import SPECIAL, byte_tokenizer, inputs
from ir_replications.prorank.method.prompt import (
    PREFIX,
    SUFFIX,
    TASK,
    PromptTokenizer,
    answer_ids,
    pad_left,
    prompt_text,
)
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import check_model, fetch_model

SMOLLM2 = "embedded:smollm2-135m-instruct"


@pytest.fixture(scope="module", params=STYLES)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return byte_tokenizer(request.param)


@pytest.fixture(scope="module")
def qwen() -> Any:
    return byte_tokenizer("qwen")


def test_bytes_of_the_template() -> None:
    assert sha256(TASK.encode()).hexdigest() == TASK_SHA256
    for instruction, expected in PROMPT_SHA256.items():
        assert sha256(prompt_text("Q", "D", instruction).encode()).hexdigest() == expected
    assert (len(PREFIX), len(TASK), len(SUFFIX)) == (115, 269, 33)
    middle = f"instruction: I\nquery: Q\ndocument: D\n{TASK}"
    assert prompt_text("Q", "D", "I") == PREFIX + middle + SUFFIX


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("A1", {"violations": 0, "characters": [438, 453]}),
        ("A2", {"tokenizers": 2, "refused": 3}),
        ("A6", {"violations": 0, "as_released": True, "inputs": 1400}),
        ("A7", {"gpt2_differ": 0, "qwen_differ_otherwise": 0}),
    ],
)
def test_golden_checks(check: str, expected: dict[str, Any]) -> None:
    facts: dict[str, Any] = CHECKS[check]()
    assert expected.items() <= facts.items()
    if check == "A6":
        assert min(facts["queries_cut"], facts["documents_cut"]) > 300
    if check == "A7":
        assert facts["qwen_differ"] == facts["end_in_punctuation"] > 200


def test_golden_checks_notice_a_changed_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ir_replications.prorank.method.prompt.TASK", TASK.replace("Relevance:", "relevance:")
    )
    assert CHECKS["A1"]()["violations"] == 4
    facts = goldens_prompt.a6(20)
    assert facts["violations"] == 20 and not facts["as_released"]


def reference(tokenizer: Any, max_length: int, model_max: int) -> Any:
    """The released reranker without a model: what it needs to make ids is set as its code does."""
    module = pytest.importorskip("mxbai_rerank.mxbai_rerank_v2")
    from transformers import PreTrainedTokenizerFast

    if not hasattr(PreTrainedTokenizerFast, "prepare_for_model"):
        # Release 5 of transformers keeps this method in its other class of tokenizers only, and
        # mxbai-rerank 0.1.6 fails without it; the method is that release's own.
        from transformers.tokenization_python import PythonBackend

        names = ("prepare_for_model", "truncate_sequences")
        methods = {name: getattr(PythonBackend, name) for name in names}
        tokenizer.__class__ = type("WithPrepare", (tokenizer.__class__,), methods)
    reranker = module.MxbaiRerankV2.__new__(module.MxbaiRerankV2)
    module.TorchModule.__init__(reranker)
    reranker.tokenizer, reranker.max_length = tokenizer, max_length
    reranker.model_max_length = model_max
    reranker.prepare_predefined_inputs()
    return reranker


@pytest.mark.parametrize("style", STYLES)
def test_ids_are_those_of_the_released_package(style: str) -> None:
    """1,400 generated inputs under seven limits, one by one and in padded batches."""
    tokenizer = byte_tokenizer(style)
    limits = settings(PromptTokenizer(tokenizer).template_length)
    makers = [PromptTokenizer(tokenizer, *limit) for limit in limits]
    released = [reference(byte_tokenizer(style), *limit) for limit in limits]
    assert [m.max_length for m in makers] == [r.max_length for r in released]
    cases = list(inputs(1400))
    for i, (query, document, instruction) in enumerate(cases):
        theirs = released[i % 7].prepare_inputs([query], [document], instruction=instruction)
        kept = theirs["attention_mask"][0].bool()
        ours = makers[i % 7].encode(query, document, instruction)
        assert ours == theirs["input_ids"][0][kept].tolist(), (limits[i % 7], cases[i])
    for start in range(0, 210, 30):  # a batch has one instruction, or none
        queries, documents, instructions = zip(*cases[start : start + 30], strict=True)
        theirs = released[start % 7].prepare_inputs(queries, documents, instruction=instructions[0])
        ids, mask = makers[start % 7].batch(
            list(zip(queries, documents, strict=True)), instruction=instructions[0]
        )
        assert np.array_equal(ids, theirs["input_ids"])
        assert np.array_equal(mask, theirs["attention_mask"])


def test_the_template_is_never_cut_and_the_query_keeps_three_quarters(tokenizer: Any) -> None:
    maker = PromptTokenizer(tokenizer, max_length=40)
    end = ids_of(tokenizer, "\n") + ids_of(tokenizer, TASK) + ids_of(tokenizer, SUFFIX)
    start = ids_of(tokenizer, PREFIX)
    long, short = "x " * 500, "y"
    for query, document in ((long, long), (long, short), (short, long)):
        ids = maker.encode(query, document)
        assert ids[: len(start)] == start and ids[-len(end) :] == end
        assert len(ids) <= maker.template_length + 40
    both = maker.encode(long, long)
    assert len(both) == maker.template_length + 40
    texts = both[len(start) : len(both) - len(end)]
    assert texts[:30] == ids_of(tokenizer, f"query: {long}")[:30]  # 40 * 3 // 4
    assert texts[30:] == (ids_of(tokenizer, "\n") + ids_of(tokenizer, f"document: {long}"))[:10]
    whole = ids_of(tokenizer, "query: y")
    assert maker.encode(short, long)[len(start) :][: len(whole)] == whole


def test_question_mark_and_line_end_are_one_token_for_qwen_alone() -> None:
    counts = {}
    for style in STYLES:
        tokenizer = byte_tokenizer(style)
        whole = ids_of(tokenizer, "it?\ndocument")
        counts[style] = len(whole) - len(
            ids_of(tokenizer, "it?") + ids_of(tokenizer, "\n") + ids_of(tokenizer, "document")
        )
    assert counts == {"qwen": -1, "gpt2": 0}


def test_smollm2_itself_agrees_with_whole_string_tokenisation() -> None:
    if problems := check_model(SMOLLM2):
        pytest.skip(problems[0])
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(fetch_model(SMOLLM2, download=False).path))
    assert answer_ids(tokenizer) == (32, 33)
    maker = PromptTokenizer(tokenizer)
    for query, document, instruction in inputs(200, seed=3):
        text = prompt_text(query, document, instruction)
        assert maker.encode(query, document, instruction) == ids_of(tokenizer, text)


def test_empty_texts_are_texts(qwen: Any) -> None:
    maker = PromptTokenizer(qwen)
    empty = maker.encode("", "")
    expected = ids_of(qwen, PREFIX) + ids_of(qwen, "query: ") + ids_of(qwen, "\n")
    expected += ids_of(qwen, "document: ") + ids_of(qwen, "\n") + ids_of(qwen, TASK)
    assert empty == expected + ids_of(qwen, SUFFIX)
    assert maker.encode("q", "d", "") == maker.encode("q", "d") != maker.encode("q", "d", "i")


def test_batches_are_padded_on_the_left(qwen: Any) -> None:
    maker = PromptTokenizer(qwen)
    pairs = [("q", "d"), ("a longer query", "a much longer document than that")]
    rows = maker.encode_pairs(pairs)
    ids, mask = maker.batch(pairs)
    assert ids.dtype == mask.dtype == np.int64 and ids.shape == mask.shape
    assert ids.shape[1] % 8 == 0 and 0 <= ids.shape[1] - max(map(len, rows)) < 8
    for row, padded, on in zip(rows, ids, mask, strict=True):
        space = len(padded) - len(row)
        assert padded.tolist() == [qwen.pad_token_id] * space + row
        assert on.tolist() == [0] * space + [1] * len(row)
    assert maker.batch(pairs, pad_to_multiple_of=1)[0].shape[1] == max(map(len, rows))
    qwen_without = byte_tokenizer("qwen")
    qwen_without.pad_token = None
    assert PromptTokenizer(qwen_without).batch(pairs)[0][0, 0] == 0
    with pytest.raises(InputError, match="0 rows padded to a multiple of 8: expected 1 or more"):
        pad_left([], 0)


def test_every_prompt_ends_in_the_answers_turn(tokenizer: Any) -> None:
    """Were the suffix cut, as where a limit is put on the whole prompt, no answer would follow."""
    ids = PromptTokenizer(tokenizer, 5).encode("x" * 100, "y" * 100)
    last = ids_of(tokenizer, SUFFIX)
    assert ids[-len(last) :] == last
    assert last[0] == tokenizer.convert_tokens_to_ids(SPECIAL[2])


@pytest.mark.parametrize(
    ("zero", "one", "message"),
    [
        ([5, 3], [5, 4], r"'0' the ids \[5, 3\]; expected one known token"),
        ([3], [5, 4], r"'1' the ids \[5, 4\]"),
        ([], [4], r"'0' the ids \[\]"),
        ([9], [4], r"'0' the ids \[9\]"),
        ([4], [4], r"the same token \(4\)"),
    ],
)
def test_tokenizers_without_the_answers(zero: list[int], one: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        answer_ids(TableTokenizer(zero, one))
    assert "\n" not in str(caught.value)


def test_refusals_are_one_line(qwen: Any) -> None:
    template = PromptTokenizer(qwen).template_length
    assert PromptTokenizer(qwen, 5).encode("q", "d")
    assert PromptTokenizer(qwen, model_max=template + 5).max_length == 5
    for limits, message in {
        (
            8192,
            template,
        ): f"a context of {template} leaves 0 tokens .* the {template} of the prompt",
        (8192, 10): "a context of 10 leaves 0 tokens for query and document",
        (8192, template + 4): "leaves 4 tokens",
        (4, None): "max_length 4 leaves 4 tokens .* expected 5 or more",
        (0, None): "max_length 0: expected a positive number",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            PromptTokenizer(qwen, *limits)
        assert "\n" not in str(caught.value)
    pairs: Any = [("q", "d"), ("q", None)]
    with pytest.raises(InputError, match="pair 2: the document is NoneType, expected a text"):
        PromptTokenizer(qwen).encode_pairs(pairs)
    with pytest.raises(InputError, match="not valid Unicode"):
        PromptTokenizer(qwen).encode("q", "half \ud83d")
