"""Benchmark of scoring: `pytest replications/bert_distill_losses/tests/ranker/bench_scoring.py`.

The first 2 and all 6 layers of the MiniLM embedder score pairs of up to 96 tokens, against
`predict` of sentence-transformers' CrossEncoder with the same weights, one thread each. The peer
takes 32 pairs at a time, the ranker as many as fit into 32 x 96 tokens; tokenising counts for both.
Ratios of CPU time of the same run. bfloat16 pays only where the processor multiplies in it.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from ir_replications.bert_distill_losses.ranker.model import pretrained_ranker
from ir_replications.bert_distill_losses.ranker.scoring import score_pairs
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.bert_distill_losses.tests.ranker.peer_ranker import peer_of
from ir_replications.shared.data import load_collection
from ir_replications.shared.models.references import check_model

MINILM = "embedded:minilm-l6"
QUERIES, DOCUMENTS = 8, 16  # every query with every document
LENGTH, BATCH = 96, 32
ROUNDS = 3
WAYS = ("CrossEncoder.predict", "ranker", "ranker, bfloat16")


@pytest.fixture(scope="module", params=[2, 6])
def compared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, dict[str, Any]]:
    """(layers, ways of scoring all pairs)."""
    if problems := check_model(MINILM):
        pytest.skip(problems[0])
    torch.set_num_threads(1)
    ranker = pretrained_ranker(MINILM, "cls", request.param)
    peer = peer_of(ranker, Path(tmp_path_factory.mktemp("peer")), LENGTH)
    queries, documents = texts()
    query, document = (x.ravel() for x in np.mgrid[:QUERIES, :DOCUMENTS])
    pairs = [(queries[q], documents[d]) for q, d in zip(query, document, strict=True)]

    def own(bf16: bool) -> np.ndarray:
        tokens = PairTokens(ranker.tokenizer, queries, documents, 40, LENGTH, types="pair")
        return score_pairs(ranker, tokens, query, document, batch_tokens=BATCH * LENGTH, bf16=bf16)

    return request.param, {
        WAYS[0]: lambda: peer.predict(pairs, batch_size=BATCH, show_progress_bar=False),
        WAYS[1]: lambda: own(False),
        WAYS[2]: lambda: own(True),
    }


def texts() -> tuple[list[str], list[str]]:
    """Queries of up to 12 words, and documents of 10 to 150 words."""
    collection = load_collection("pydocs")
    queries = [q for q in collection.queries.values() if len(q.split()) <= 12][:QUERIES]
    long = [text for text in collection.texts if len(text.split()) > 150][:DOCUMENTS]
    sizes = np.linspace(10, 150, DOCUMENTS).astype(int)
    return queries, [" ".join(t.split()[:n]) for t, n in zip(long, sizes, strict=True)]


@pytest.mark.parametrize("way", WAYS)
def test_scoring(benchmark: Any, compared: tuple[int, dict[str, Any]], way: str) -> None:
    layers, ways = compared
    benchmark.group = f"{layers} layers: {QUERIES * DOCUMENTS} pairs"
    benchmark.pedantic(ways[way], rounds=1, warmup_rounds=0)


def test_ratio(compared: tuple[int, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """The same scores, in no more time."""
    layers, ways = compared
    scores: dict[str, np.ndarray] = {}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):  # alternating: a busy machine slows all of them
        for way, run in ways.items():
            started = time.process_time()
            scores[way] = run()
            times[way].append(time.process_time() - started)
    seconds = {way: median(taken) for way, taken in times.items()}
    assert np.abs(scores[WAYS[0]] - scores[WAYS[1]]).max() <= 1e-5
    with capsys.disabled():
        print(f"\n{layers} layers, {QUERIES * DOCUMENTS} pairs of up to {LENGTH} tokens:")
        for way, taken in seconds.items():
            print(
                f"  {way:<22} {QUERIES * DOCUMENTS / taken:6.1f} pairs/s, "
                f"{seconds[WAYS[0]] / taken:.2f}x"
            )
    assert seconds[WAYS[1]] <= 1.05 * seconds[WAYS[0]]
