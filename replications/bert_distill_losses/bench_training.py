"""Benchmark of training: `pytest replications/bert_distill_losses/bench_training.py`.

Steps of Margin-MSE on 16 pairs of documents, for a student of the first 2 layers of the MiniLM
embedder, against sentence-transformers' CrossEncoderTrainer with its own MarginMSELoss: the same
weights, pairs, batch, lengths and optimiser, one thread. Both tokenise within the measured time,
the ranker once and the peer at every step. The ranker's batches hold documents of like length, and
its word embeddings may be frozen, as the recipes of the small tiers have it. Ratios of CPU time of
the same run; bfloat16 pays only where the processor multiplies in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from replications.bert_distill_losses.peer_ranker import peer_of  # noqa: E402
from replications.bert_distill_losses.ranker import (  # noqa: E402
    Ranker,
    attention_for_training,
    freeze_word_embeddings,
    pretrained_ranker,
    student_of,
)
from replications.bert_distill_losses.tokens import PairTokens  # noqa: E402
from shared.data import load_collection  # noqa: E402
from shared.models import check_model, set_threads  # noqa: E402

MINILM = "embedded:minilm-l6"
LAYERS, LENGTH = 2, 96
PAIRS, STEPS = 16, 6
RATE, DECAY, CLIP = 1e-4, 0.01, 1.0
ROUNDS = 2
# Way -> (whose, whether word embeddings are frozen, whether states are computed in bfloat16).
WAYS = {
    "trainer": ("peer", False, False),
    "trainer, bfloat16": ("peer", False, True),
    "ranker": ("own", False, False),
    "ranker, frozen words": ("own", True, False),
    "ranker, frozen words, bfloat16": ("own", True, True),
}


def texts() -> tuple[list[str], list[str]]:
    """A query and two documents of 10 to 150 words for each pair of all steps."""
    collection, count = load_collection("pydocs"), PAIRS * STEPS
    queries = [q for q in collection.queries.values() if len(q.split()) <= 12]
    long = [text for text in collection.texts if len(text.split()) > 150]
    sizes = np.random.default_rng(0).integers(10, 150, 2 * count)
    cut = [" ".join(long[i % len(long)].split()[:n]) for i, n in enumerate(sizes)]
    return [queries[i % len(queries)] for i in range(count)], cut


def train_own(ranker: Ranker, frozen: bool, bf16: bool) -> None:
    """The steps of a loop: batches of like length, as the arms are trained."""
    queries, documents = texts()
    tokens = PairTokens(ranker.tokenizer, queries, documents, 40, LENGTH, types="pair")
    pair = np.arange(PAIRS * STEPS)
    longest = np.maximum(tokens.lengths(pair, 2 * pair), tokens.lengths(pair, 2 * pair + 1))
    batches = np.argsort(longest, kind="stable").reshape(STEPS, PAIRS)
    if frozen:
        freeze_word_embeddings(ranker)
    ranker.train()
    with attention_for_training(ranker):
        _steps(ranker, tokens, batches, bf16)


def _steps(ranker: Ranker, tokens: PairTokens, batches: np.ndarray, bf16: bool) -> None:
    trained = [p for p in ranker.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=RATE, weight_decay=DECAY, fused=True)
    for chosen in np.random.default_rng(0).permutation(batches):
        optimiser.zero_grad(set_to_none=True)
        columns = np.stack([2 * chosen, 2 * chosen + 1], axis=1)
        inputs = tokens.batch(np.repeat(chosen, 2), columns.ravel())
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            scores = ranker(inputs).view(PAIRS, 2)
        margins = scores[:, 0] - scores[:, 1]
        ((margins - 1.0) ** 2).mean().backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()


def peer_trainer(ranker: Ranker, folder: Path, bf16: bool) -> Any:
    """The peer's trainer of the same weights on the same pairs."""
    from datasets import Dataset
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import MarginMSELoss

    queries, documents = texts()
    data = Dataset.from_dict({
        "query": queries, "positive": documents[::2], "negative": documents[1::2],
        "label": [1.0] * len(queries),
    })  # fmt: skip
    peer = peer_of(ranker, folder / "peer", LENGTH)
    options = CrossEncoderTrainingArguments(
        output_dir=str(folder / "out"), per_device_train_batch_size=PAIRS, max_steps=STEPS,
        learning_rate=RATE, weight_decay=DECAY, max_grad_norm=CLIP, lr_scheduler_type="constant",
        use_cpu=True, bf16=bf16, report_to="none", save_strategy="no", logging_strategy="no",
        disable_tqdm=True, dataloader_drop_last=True,
    )  # fmt: skip
    return CrossEncoderTrainer(
        model=peer, args=options, train_dataset=data, loss=MarginMSELoss(peer)
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Callable[[], Any]]:
    """A way's name -> one run of its steps from the same start, all set up but for the steps."""
    if problems := check_model(MINILM):
        pytest.skip(problems[0])
    set_threads(1)
    start = pretrained_ranker(MINILM, "cls", LAYERS)

    def prepare(way: str) -> Callable[[], Any]:
        ranker = student_of(start, LAYERS)  # a copy
        whose, frozen, bf16 = WAYS[way]
        if whose == "peer":
            return peer_trainer(ranker, tmp_path_factory.mktemp("peer"), bf16).train
        return lambda: train_own(ranker, frozen, bf16)

    return prepare


@pytest.mark.parametrize("way", WAYS)
def test_training(benchmark: Any, prepared: Any, way: str) -> None:
    benchmark.group = f"{STEPS} steps of {PAIRS} pairs, {LAYERS} layers"
    benchmark.pedantic(prepared(way), rounds=1, warmup_rounds=0)


def test_ratio(prepared: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """As the recipes train, at least 1.3 times the pairs of the trainer as it comes."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):  # alternating: a busy machine slows all of them
        for way, taken in times.items():
            run = prepared(way)
            started = time.process_time()
            run()
            taken.append(time.process_time() - started)
    seconds = {way: median(taken) for way, taken in times.items()}
    with capsys.disabled():
        print(f"\n{STEPS} steps of {PAIRS} pairs, up to {LENGTH} tokens, {LAYERS} layers:")
        for way, spent in seconds.items():
            rate = 2 * PAIRS * STEPS / spent
            print(f"  {way:<31} {rate:6.1f} documents/s, {seconds['trainer'] / spent:.2f}x")
    own = seconds["ranker, frozen words, bfloat16"]
    assert seconds["trainer"] / own >= 1.3
    assert seconds["trainer, bfloat16"] / own > 1
