"""Benchmark of scoring: `pytest replications/prorank/tests/reranking/bench_score.py`.

Pairs of about 200 tokens, one query with its candidates as in reranking: the last states and two
rows of the head, with and without prefixes computed once, against all logits at every position in
the order of the pairs, as the released code has them. Ratios of CPU time of the same run, one
thread. The tiny model has random weights, of which the head has the same share as Qwen2.5-0.5B's
(28%), and 1/7 of its width.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer
from ir_replications.prorank.method.prompt import PromptTokenizer
from ir_replications.prorank.method.score import PairScorer, score_pairs_plain
from ir_replications.shared.data import load_collection
from ir_replications.shared.models.references import check_model, load_causal_lm

SMOLLM2 = "embedded:smollm2-135m-instruct"
CASES = {"tiny": (48, 16), "smollm2": (12, 4)}  # pairs, and how many of them in a batch
TOKENS = 200
Loaded = tuple[Any, Any]


@pytest.fixture(scope="module", params=CASES)
def loaded(request: pytest.FixtureRequest) -> tuple[str, Any, Any]:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    if request.param == "tiny":
        return "tiny", *tiny()
    if problems := check_model(SMOLLM2):
        pytest.skip(problems[0])
    return "smollm2", *load_causal_lm(SMOLLM2)


def tiny() -> Loaded:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=11_000,
        hidden_size=128,
        intermediate_size=695,
        num_hidden_layers=12,
        num_attention_heads=4,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=None,
    )
    return Qwen2ForCausalLM(config).eval(), byte_tokenizer("qwen")


def pairs_of(tokenizer: Any, count: int) -> list[tuple[str, str]]:
    """One query with `count` documents; prompts of 150 to 250 tokens, 200 on average."""
    collection, maker = load_collection("pydocs"), PromptTokenizer(tokenizer)
    query = next(q for q in collection.queries.values() if len(q.split()) == 8)
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.linspace(TOKENS - 50, TOKENS + 50, count).astype(int))
    room = len(maker.encode(query, ""))
    documents = [text for text in collection.texts if len(text) > 5 * TOKENS][:count]
    pairs = []
    for document, length in zip(documents, lengths, strict=True):
        ids = tokenizer(document, add_special_tokens=False)["input_ids"][: length - room]
        pairs.append((query, tokenizer.decode(ids)))
    return pairs


def ways(model: Any, tokenizer: Any, batch: int) -> dict[str, Any]:
    alone = PairScorer(model, tokenizer, batch_size=batch, share_prefix=False)
    shared = PairScorer(model, tokenizer, batch_size=batch)
    assert alone.path == shared.path == "row" and shared.share_prefix
    return {
        "all logits": lambda p: score_pairs_plain(model, tokenizer, p, batch_size=batch),
        "last state": alone.score,
        "last state, shared prefix": shared.score,
    }


def memory(name: str) -> float:
    """A memory figure of this process in MiB, "VmRSS" or its peak "VmHWM"; nan off Linux."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), np.nan)


def fresh_peak() -> float:
    """Start the process's peak memory anew and return what it has now, in MiB; nan off Linux."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier runs freed is given back
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return np.nan
    return memory("VmRSS")


@pytest.mark.parametrize("way", ["all logits", "last state", "last state, shared prefix"])
def test_scoring(benchmark: Any, loaded: tuple[str, Any, Any], way: str) -> None:
    name, model, tokenizer = loaded
    pairs = pairs_of(tokenizer, CASES[name][1])
    benchmark.group = f"{name}: {len(pairs)} pairs of {TOKENS} tokens"
    benchmark.pedantic(
        ways(model, tokenizer, len(pairs))[way], args=(pairs,), rounds=1, warmup_rounds=0
    )


def test_ratio(loaded: tuple[str, Any, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The same scores in less time and memory."""
    name, model, tokenizer = loaded
    count, rows = CASES[name]
    pairs = pairs_of(tokenizer, count)
    compared = ways(model, tokenizer, rows)
    found: dict[str, np.ndarray] = {}
    times: dict[str, list[float]] = {way: [] for way in compared}
    grown: dict[str, list[float]] = {way: [] for way in compared}
    for _ in range(3 if name == "tiny" else 2):  # alternating: a busy machine slows all of them
        for way, run in compared.items():
            start, before = time.process_time(), fresh_peak()
            found[way] = run(pairs)
            times[way].append(time.process_time() - start)
            grown[way].append(memory("VmHWM") - before)
    seconds = {way: median(times[way]) for way in compared}
    lengths = [len(row) for row in PromptTokenizer(tokenizer).encode_pairs(pairs)]
    scale = max(1.0, float(np.abs(found["all logits"]).max()))
    for scores in found.values():
        assert np.abs(scores - found["all logits"]).max() <= 1e-5 * scale
    vocabulary = model.get_output_embeddings().weight.shape[0]
    logits = rows * 4 * vocabulary * (-(-max(lengths) // 8) * 8) / 2**20
    with capsys.disabled():
        print(f"\n{name}: {len(pairs)} pairs of {np.mean(lengths):.0f} tokens, batches of {rows}; "
              f"logits of one batch {logits:.0f} MiB")  # fmt: skip
        for way, taken in seconds.items():
            print(
                f"  {way:<26} {len(pairs) / taken:6.2f} pairs/s, "
                f"{seconds['all logits'] / taken:.2f}x, peak memory +{grown[way][0]:.0f} MiB"
            )
    assert seconds["last state, shared prefix"] < seconds["all logits"] / 1.2
