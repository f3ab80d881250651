"""Benchmark of the reward: `pytest replications/tongsearch_qr/tests/bench_tongsearch_qr.py`.

A group of 16 outputs for one question, embedded together with the question and its documents once,
against text by text as the released reward.py does it. Ratios of the same run, one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from ir_replications.shared.data import load_collection
from ir_replications.shared.models.embedder import MINILM, Embedder, load_embedder
from ir_replications.shared.models.references import check_model
from ir_replications.tongsearch_qr.method.prompts import instructed
from ir_replications.tongsearch_qr.method.reward import RelevanceReward

GROUP = 16
# name: words of an output, documents. 40: the CPU recipe; 335: the released 7B queries' median.
CASES = {"40 words, 1 document": (40, 1), "40 words, 4 documents": (40, 4),
         "335 words, 1 document": (335, 1), "335 words, 4 documents": (335, 4)}  # fmt: skip

Group = tuple[list[str], list[str], list[list[str]]]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    pytest.importorskip("torch")
    if problems := check_model(MINILM):
        pytest.skip(problems[0])
    return load_embedder(MINILM)


def group(words: int, documents: int) -> Group:
    """Queries, outputs and positives of 16 completions, texts of the embedded collection."""
    collection = load_collection("pydocs")
    long = [text for text in collection.texts if len(text.split()) >= 335]
    outputs = [" ".join(text.split()[:words]) for text in long[:GROUP]]
    query = instructed(next(iter(collection.queries.values())), "training")
    return [query] * GROUP, outputs, [long[GROUP : GROUP + documents]] * GROUP


def text_by_text(embedder: Embedder, texts: Group) -> list[float]:
    """The released way: for every output, the question and every document are embedded again."""
    rewards = []
    for query, output, positives in zip(*texts, strict=True):
        (q,), (new,) = embedder.encode([query]), embedder.encode([output])
        gains = [float((new - q) @ embedder.encode([text])[0]) for text in positives]
        rewards.append(10 * sum(gains) / len(gains))
    return rewards


def together(embedder: Embedder, texts: Group) -> list[float]:
    """Our way with nothing remembered: a question that training meets for the first time."""
    return RelevanceReward(embedder).score(*texts)


WAYS: dict[str, Callable[[Embedder, Group], list[float]]] = {
    "together": together,
    "text by text": text_by_text,
}


def possible(embedder: Embedder, texts: Group) -> float:
    """The ratio of tokens embedded: what batching alone can save where time goes by the token."""
    tokenizer, limit = embedder.tokenizer, embedder.max_length  # type: ignore[attr-defined]

    def tokens(batch: list[str]) -> int:
        found = tokenizer(batch, padding=False, truncation=True, max_length=limit)
        return sum(map(len, found["input_ids"]))

    queries, outputs, positives = texts
    fixed = tokens([queries[0], *positives[0]])
    return (GROUP * fixed + tokens(outputs)) / (fixed + tokens(outputs))


@pytest.mark.parametrize("way", WAYS)
def test_reward_of_a_group(benchmark: Any, embedder: Embedder, way: str) -> None:
    case = "40 words, 1 document"
    benchmark.group = case
    benchmark.pedantic(WAYS[way], args=(embedder, group(*CASES[case])), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("case", CASES)
def test_ratio(case: str, embedder: Embedder, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rewards in less time; new questions, and questions met before."""
    texts = group(*CASES[case])
    known = RelevanceReward(embedder)
    assert known.score(*texts) == pytest.approx(text_by_text(embedder, texts), abs=1e-4)
    times: dict[str, list[float]] = {"text by text": [], "new": [], "met before": []}
    for _ in range(3):  # alternating, so that a busy machine slows all of them
        for name, run in (
            ("text by text", lambda: text_by_text(embedder, texts)),
            ("new", lambda: together(embedder, texts)),
            ("met before", lambda: known.score(*texts)),
        ):
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    slow = median(times["text by text"])
    new, met = (slow / median(times[name]) for name in ("new", "met before"))
    ceiling = possible(embedder, texts)
    with capsys.disabled():
        print(
            f"\n{case}: text by text {slow * 1e3:.0f} ms, together {new:.1f}x faster for a new "
            f"question ({ceiling:.1f}x fewer tokens), {met:.1f}x for one met before"
        )
    assert new > ceiling / 2, "half of it is left to noise"
