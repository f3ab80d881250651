"""Benchmark of training, one thread: `pytest` with the path of this file.

Steps of Margin-MSE on 16 pairs of documents, for a student of the first 2 layers of the MiniLM
embedder, against sentence-transformers' CrossEncoderTrainer with its own MarginMSELoss: the same
weights, pairs, batch, lengths and optimiser, one thread. Both tokenise within the measured time,
the ranker once and the peer at every step. Ours is the loop of every arm, its log included: batches
hold documents of like length, and word embeddings may be frozen, as the recipe of the small tier
has it. Ratios of CPU time of the same run; bfloat16 pays only where the processor multiplies in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from ir_replications.bert_distill_losses.ranker.model import (
    Ranker,
    freeze_word_embeddings,
    pretrained_ranker,
    student_of,
)
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.bert_distill_losses.tests.ranker.peer_ranker import peer_of
from ir_replications.bert_distill_losses.training.arms import ARMS
from ir_replications.bert_distill_losses.training.loop import train_ranker
from ir_replications.bert_distill_losses.training.recipe import Rounds
from ir_replications.bert_distill_losses.training.training_set import TrainingSet
from ir_replications.shared.data import load_collection
from ir_replications.shared.models.references import check_model
from ir_replications.shared.training import TrainingFolder

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


def train_own(ranker: Ranker, folder: Path, frozen: bool, bf16: bool) -> None:
    """The steps of the loop that trains every arm."""
    queries, documents = texts()
    tokens = PairTokens(ranker.tokenizer, queries, documents, 40, LENGTH, types="pair")
    count = PAIRS * STEPS
    pairs = TrainingSet(
        queries=tuple(queries),
        documents=tuple(documents),
        query=np.arange(count, dtype=np.int32),
        groups=np.arange(2 * count, dtype=np.int32).reshape(count, 2),
        labelled=np.ones(count, bool),
        source=np.zeros(count, np.int8),
        sources=("bench",),
    )
    if frozen:
        freeze_word_embeddings(ranker)
    rounds = Rounds(
        steps=STEPS, learning_rate=RATE, weight_decay=DECAY, max_grad_norm=CLIP, warmup_ratio=0.0,
        scheduler="constant_with_warmup", groups_per_step=PAIRS, probe_steps=STEPS,
        save_steps=STEPS,
    )  # fmt: skip
    train_ranker(
        ranker, pairs, tokens, ARMS["A5"], rounds, TrainingFolder(folder, {}), seed=0,
        precision="bfloat16" if bf16 else "float32",
        teacher_scores=np.tile(np.array([1.0, 0.0], np.float32), (count, 1)),
    )  # fmt: skip


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
    torch.set_num_threads(1)
    start = pretrained_ranker(MINILM, "cls", LAYERS)

    def prepare(way: str) -> Callable[[], Any]:
        ranker = student_of(start, LAYERS)  # a copy
        whose, frozen, bf16 = WAYS[way]
        if whose == "peer":
            return peer_trainer(ranker, tmp_path_factory.mktemp("peer"), bf16).train
        folder = tmp_path_factory.mktemp("own")
        return lambda: train_own(ranker, folder, frozen, bf16)

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
