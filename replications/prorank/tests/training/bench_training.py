"""Benchmark of stage 2: `pytest replications/prorank/tests/training/bench_training.py`.

Training pairs a second of one update on a group of 8 documents with SmolLM2-135M in float32, one
thread: logits of the answers at the last position, as the stages compute them, against logits of
the whole vocabulary at every position, as the released forward() leaves them. Ratios of CPU time
of the same run.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest
import torch

from ir_replications.prorank.checks.tiny_reranker import tiny_recipe
from ir_replications.prorank.method.answer_grpo import answer_logits
from ir_replications.prorank.method.losses import bce
from ir_replications.prorank.method.prompt import PromptTokenizer, answer_ids, pad_left
from ir_replications.prorank.method.score import logit_difference
from ir_replications.prorank.training.preparation import prepared
from ir_replications.shared.models.references import check_model, load_causal_lm

SMOLLM2 = "embedded:smollm2-135m-instruct"
PAIRS, WORDS = 8, 70  # prompts of some 200 tokens
ROUNDS = 3


def everywhere(model: Any, ids: Any, mask: Any) -> Any:
    """Logits (B, V) of the last position, computed at every position."""
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    options = {"attention_mask": mask, "position_ids": positions, "use_cache": False}
    return model(input_ids=ids, **options).logits[:, -1].float()


WAYS = {"every position": everywhere, "last position": answer_logits}


@pytest.fixture(scope="module")
def group() -> tuple[Any, Any, Any, tuple[int, int]]:
    """(model with an adapter, ids, mask, answer ids) of one query's documents."""
    if problems := check_model(SMOLLM2):
        pytest.skip(problems[0])
    torch.set_num_threads(1)
    model, tokenizer = load_causal_lm(SMOLLM2)
    prompts = PromptTokenizer(tokenizer)
    rows = [prompts.encode("tides of the sea", f"moon{i} water " * WORDS) for i in range(PAIRS)]
    ids, mask = (torch.from_numpy(x) for x in pad_left([r[:200] for r in rows], prompts.pad_id))
    return prepared(model, tiny_recipe()), ids, mask, answer_ids(tokenizer)


def step(way: str, group: tuple[Any, Any, Any, tuple[int, int]]) -> tuple[float, float]:
    """(CPU seconds of a forward and backward pass, its loss)."""
    model, ids, mask, digits = group
    labels = torch.tensor([1.0] + [0.0] * (PAIRS - 1))
    started = time.process_time()
    loss = bce(logit_difference(WAYS[way](model, ids, mask), *digits), labels)
    loss.backward()
    seconds = time.process_time() - started
    model.zero_grad(set_to_none=True)
    return seconds, float(loss.detach())


@pytest.mark.parametrize("way", WAYS)
def test_step(benchmark: Any, group: Any, way: str) -> None:
    benchmark.group = f"stage 2, {PAIRS} pairs of 200 tokens"
    benchmark.pedantic(step, args=(way, group), rounds=1, warmup_rounds=1)


def test_ratio(group: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The same loss, in less time."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):  # alternating, so that a busy machine slows both
        for way in WAYS:
            found[way].append(step(way, group))
    slow, fast = (median(seconds for seconds, _ in found[way]) for way in WAYS)
    losses = [found[way][0][1] for way in WAYS]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    with capsys.disabled():
        print(
            f"\nstage 2: every position {PAIRS / slow:.2f} pairs/s, last position "
            f"{PAIRS / fast:.2f} pairs/s, {slow / fast:.2f}x faster"
        )
    assert slow / fast > 1
