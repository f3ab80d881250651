"""Toy groups, a toy teacher's scores and runs of the training loop that take a second or less."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.checks.tiny_ranker import tiny_ranker, tiny_tokenizer
from ir_replications.bert_distill_losses.training.arms import Arm
from ir_replications.bert_distill_losses.training.data import Source, TrainingData
from ir_replications.bert_distill_losses.training.recipe import Recipe, Rounds
from ir_replications.bert_distill_losses.training.training_set import TrainingSet

ROUNDS = Rounds(steps=4, groups_per_step=4, learning_rate=1e-3, warmup_ratio=0.0, save_steps=2)


def toy_set(groups: int = 16, negatives: int = 1, unlabelled: int = 0, seed: int = 0) -> Any:
    """Groups of ten queries: relevant documents hold w50, others w51, of 2 to 7 words each.

    The last `unlabelled` groups have no label.
    """
    random = np.random.default_rng(seed)
    m = 1 + negatives
    documents = tuple(
        " ".join([f"w{50 if i % m == 0 else 51}", *_words(random)]) for i in range(groups * m)
    )
    query = np.arange(groups, dtype=np.int32) % 10
    return TrainingSet(
        queries=tuple(f"w{i} w{i + 1}" for i in range(10)),
        documents=documents,
        query=query,
        groups=np.arange(groups * m, dtype=np.int32).reshape(groups, m),
        labelled=np.arange(groups) < groups - unlabelled,
        source=np.zeros(groups, np.int8),
        sources=("toy",),
    )


def _words(random: np.random.Generator) -> list[str]:
    return [f"w{word}" for word in random.integers(0, 50, random.integers(1, 7))]


def toy_teacher(data: TrainingSet, seed: int = 7) -> np.ndarray:
    """Scores (n, m) of a teacher that nearly always prefers column 0, by different margins."""
    scores = np.random.default_rng(seed).normal(size=data.groups.shape)
    scores[:, 0] += 3
    return scores.astype(np.float32)


def toy_data() -> TrainingData:
    """The groups of seed 1 of toy sets; every other query is in half 1."""
    groups = toy_set(seed=1)
    of_query = {text: number % 2 for number, text in enumerate(groups.queries)}
    return TrainingData(groups, Source(_draw, lambda: of_query))


def _draw(seed: int, groups: int, negatives: int, unlabelled: float) -> TrainingSet:
    return toy_set(groups, negatives, round(unlabelled * groups), seed=seed)


def tiny_tokens(data: TrainingSet) -> Any:
    """The toy's texts for `tiny_ranker`."""
    from ir_replications.bert_distill_losses.ranker.tokens import PairTokens

    return PairTokens(tiny_tokenizer(), data.queries, data.documents, 4, 16)


def student(layers: int = 1, width: int = 16, dropout: bool = True, **options: Any) -> Any:
    """A tiny ranker with the head "cls", in float64; with other sizes, a teacher.

    In float64 a training of many steps ends in the same numbers on every processor. The weights
    are drawn in float64 too: how float32 ones are drawn depends on the instruction set.
    """
    import torch

    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        ranker = tiny_ranker("cls", layers=layers, width=width, heads=2, **options)
    finally:
        torch.set_default_dtype(usual)
    for module in ranker.modules():
        if isinstance(module, torch.nn.Dropout) and not dropout:
            module.p = 0.0
    return ranker


@dataclass(frozen=True)
class Run:
    """A trained ranker, its loop and its log."""

    ranker: Any
    loop: Any
    log: list[dict[str, Any]]

    @property
    def weights(self) -> dict[str, Any]:
        """Copies of all weights of the ranker."""
        return {name: value.clone() for name, value in self.ranker.state_dict().items()}


def train(
    arm: Arm,
    ranker: Any = None,
    data: TrainingSet | None = None,
    folder: Path | None = None,
    *,
    seed: int = 1,
    teacher_scores: np.ndarray | None = None,
    layer_teacher: Any = None,
    **rounds: Any,
) -> Run:
    """Train an arm on the toy groups, in a folder of its own if none is given."""
    from ir_replications.bert_distill_losses.training.loop import train_ranker
    from ir_replications.shared.training import TrainingFolder

    data = toy_set() if data is None else data
    ranker = student() if ranker is None else ranker
    if teacher_scores is None and arm.soft:
        teacher_scores = toy_teacher(data)
    with tempfile.TemporaryDirectory() as scratch:
        where = TrainingFolder(folder or Path(scratch) / "run", {"arm": arm.title})
        loop = train_ranker(
            ranker, data, tiny_tokens(data), arm, replace(ROUNDS, **rounds), where, seed=seed,
            teacher_scores=teacher_scores, layer_teacher=layer_teacher,
        )  # fmt: skip
        return Run(ranker, loop, where.read_log())


def scores_of(ranker: Any, data: TrainingSet) -> np.ndarray:
    """Scores (n, m) of the toy groups, without dropout."""
    from ir_replications.bert_distill_losses.ranker.scoring import score_pairs

    m = data.groups.shape[1]
    flat = score_pairs(ranker, tiny_tokens(data), np.repeat(data.query, m), data.groups.reshape(-1))
    return flat.reshape(data.groups.shape)


def tiny_recipe(teacher_model: str, **changes: Any) -> Recipe:
    """A recipe of four steps for a folder that `save_tiny` wrote."""
    usual = Recipe(
        name="tiny", teacher_model=teacher_model, data=("local/mine",), teacher=ROUNDS,
        student=ROUNDS, query_length=4, max_length=16, precision="float32",
    )  # fmt: skip
    return replace(usual, **changes)


def tiny_root(folder: Path, queries: int = 6) -> Path:
    """A data root with the collection "local/mine" of tiny texts; returns it.

    Training, development and test queries each have a relevant document that shares a word with
    them and four others.
    """
    from ir_replications.shared.data import make_collection, write_beir

    documents, topics = {}, {}
    qrels: dict[str, dict[str, dict[str, int]]] = {"train": {}, "dev": {}, "test": {}}
    for place, split in enumerate(qrels):
        for i in range(queries):
            number = place * queries + i
            qid, word = f"{split}{i}", f"w{number} w{(number * 7 + 3) % 60}"
            topics[qid] = word
            qrels[split][qid] = {f"{qid}-a": 1}
            for j, letter in enumerate("abcde"):
                rest = " ".join(f"w{(number * 5 + j * k) % 60}" for k in range(1, j + 3))
                documents[f"{qid}-{letter}"] = ("", f"{word if j < 1 else word[:3]} {rest}")
    made = make_collection("local/mine", documents, topics, qrels)
    write_beir(made, folder / "local" / "mine")
    return folder


def write_recipe(folder: Path, name: str = "tiny", data: str = "[local/mine]") -> Path:
    """A recipe file for a tiny model and `tiny_root`, both written to `folder` too."""
    from ir_replications.bert_distill_losses.checks.tiny_ranker import save_tiny

    tiny_root(folder)
    model = save_tiny(folder / "model", layers=2, width=16, heads=2)
    rounds = "{steps: 4, groups_per_step: 4, learning_rate: 1.0e-3, warmup_ratio: 0, save_steps: 2}"
    path = folder / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nteacher_model: {model}\ndata: {data}\nhead: cls+cosine\n"
        "query_length: 4\nmax_length: 16\nstudent_layers: 1\nprecision: float32\n"
        f"teacher: {rounds}\nstudent: {rounds}\n"
    )
    return path
