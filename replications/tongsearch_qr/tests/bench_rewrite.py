"""Benchmark of rewriting: `pytest replications/tongsearch_qr/tests/bench_rewrite.py`.

Batched decoding with a KV cache against transformers' own generate, text by text, on the same
prompts with the same model; greedy with the released repetition penalty, so that both give the
same texts. Ratios of the same run, one thread.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from ir_replications.shared.data import load_collection
from ir_replications.shared.models.generation import Prompt, generate
from ir_replications.shared.models.references import check_model, load_causal_lm
from ir_replications.tongsearch_qr.method.prompts import messages
from ir_replications.tongsearch_qr.rewriting.rewriter import RELEASED

MODEL = "embedded:smollm2-135m-instruct"
TOKENS = 16
BATCHES = (4, 16)

Loaded = tuple[Any, Any]


@pytest.fixture(scope="module")
def model() -> Loaded:
    pytest.importorskip("torch")
    if problems := check_model(MODEL):
        pytest.skip(problems[0])
    return load_causal_lm(MODEL)


def prompts(count: int) -> list[Prompt]:
    """The released prompt around queries of the embedded collection."""
    queries = list(load_collection("pydocs").queries.values())[:count]
    return [messages(query, "inference") for query in queries]


def batched(loaded: Loaded, asked: list[Prompt]) -> list[str]:
    penalty = RELEASED.repetition_penalty
    options: dict[str, Any] = {"max_new_tokens": TOKENS, "repetition_penalty": penalty}
    return [text for (text,) in generate(*loaded, asked, batch_size=len(asked), **options)]


def text_by_text(loaded: Loaded, asked: list[Prompt]) -> list[str]:
    import torch

    model, tokenizer = loaded
    texts = []
    for prompt in asked:
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=TOKENS,
            do_sample=False,
            repetition_penalty=RELEASED.repetition_penalty,
        )
        texts.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    return texts


WAYS = {"batched": batched, "text by text": text_by_text}


@pytest.mark.benchmark(max_time=0.5, min_rounds=1)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch", BATCHES)
def test_rewriting(benchmark: Any, model: Loaded, batch: int, way: str) -> None:
    benchmark.group = f"{batch} queries, {TOKENS} tokens"
    benchmark.pedantic(WAYS[way], args=(model, prompts(batch)), rounds=1, warmup_rounds=0)


@pytest.mark.parametrize("batch", BATCHES)
def test_ratio(batch: int, model: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    """The same texts in less time."""
    asked = prompts(batch)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    texts = {}
    for _ in range(2):  # alternating, so that a busy machine slows both
        for name, way in WAYS.items():
            start = time.perf_counter()
            texts[name] = way(model, asked)
            times[name].append(time.perf_counter() - start)
    # Batching moves logits in the last bits, which can turn a near tie: one text in eight may.
    same = sum(a == b for a, b in zip(texts["batched"], texts["text by text"], strict=True))
    assert same >= batch - batch // 8
    slow, fast = (median(times[name]) for name in ("text by text", "batched"))
    with capsys.disabled():
        print(
            f"\n{batch} queries, {TOKENS} new tokens each: text by text {slow:.2f} s, batched "
            f"{fast:.2f} s, {slow / fast:.1f}x faster; {same} of {batch} texts the same"
        )
    assert slow / fast > 1
