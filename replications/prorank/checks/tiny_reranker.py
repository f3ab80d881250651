"""A random model, a tokenizer, pairs and a collection, small enough to train on in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, tiny_llama
from ir_replications.prorank.method.answer_grpo import answer_logits
from ir_replications.prorank.method.prompt import PromptTokenizer, answer_ids, pad_left
from ir_replications.prorank.training.recipe import FineGrained, Lora, Recipe, Warmup
from ir_replications.shared.data import Collection, write_beir
from ir_replications.shared.data.collection import make_collection
from ir_replications.shared.training.pairs import Pair

QUERIES = ("sea", "map", "sun", "tea", "owl", "ink", "oak", "sky")


def tiny_pairs(queries: int = 8) -> list[Pair]:
    """Couples of a document that repeats its query and one that does not."""
    return [
        Pair(query, f"{query}{label}", query, f"{query} {query}" if label else "none of it", label)
        for query in QUERIES[:queries]
        for label in (1, 0)
    ]


def tiny_model(answers: float = 0.0) -> tuple[Any, Any]:
    """A Llama of 37,888 parameters with a byte tokenizer.

    `answers` above 0 trains it until it answers "0" or "1" with that probability, each as often:
    an untrained one does so once in 600 times, from which a short test learns nothing.
    """
    tokenizer = byte_tokenizer("gpt2")
    model = tiny_llama(len(tokenizer))
    prompts = PromptTokenizer(tokenizer)
    rows = [prompts.encode(pair.query, pair.document) for pair in tiny_pairs()]
    ids, mask = (torch.from_numpy(x) for x in pad_left(rows, prompts.pad_id))
    digits = torch.tensor(answer_ids(tokenizer))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        logp = answer_logits(model, ids, mask).log_softmax(-1)[:, digits]
        if float(logp.detach().exp().sum(-1).mean()) >= answers:
            break
        optimizer.zero_grad()
        F.kl_div(logp, torch.full_like(logp, 0.5), reduction="batchmean").backward()
        optimizer.step()
    return model.eval(), tokenizer


def tiny_qwen2(seed: int = 0) -> tuple[Any, Any]:
    """An untrained Qwen2 of two layers and a tokenizer of its kind."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = byte_tokenizer("qwen")
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=None,
    )
    return Qwen2ForCausalLM(config).eval(), tokenizer


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """Write `tiny_qwen2` as a released checkpoint lies in a folder; returns the folder."""
    for part in tiny_qwen2(seed):
        part.save_pretrained(str(folder))
    return folder


def tiny_recipe() -> Recipe:
    """Four steps of stage 1 and of stage 2, with a checkpoint in the middle."""
    return Recipe(
        name="tiny",
        model="tiny",
        data=("none",),
        warmup=Warmup(
            steps=4, learning_rate=1e-2, pairs_per_step=4, group_size=8, save_steps=2,
            temperature=1.0, warmup_ratio=0.0,
        ),
        fine_grained=FineGrained(
            steps=4, learning_rate=1e-2, groups_per_step=2, negatives=1, save_steps=2,
            warmup_ratio=0.0,
        ),
        lora=Lora(rank=2, alpha=4),
        max_length=64,
        precision="float32",
    )  # fmt: skip


TOPICS = (
    "sea", "map", "sun", "tea", "owl", "ink", "oak", "sky",
    "fox", "jam", "bee", "elm", "fig", "hat", "jar", "kit",
)  # fmt: skip


def tiny_collection() -> Collection:
    """Eight training, four development and four test queries, and 32 documents that all match.

    A topic has a document that repeats it, of grade 1, and one of grade 2 without its word, which
    BM25 ranks among those of other topics: reranking can gain.
    """
    documents = {}
    for topic in TOPICS:
        documents[f"a-{topic}"] = (f"About {topic}", f"{topic} tide")
        documents[f"b-{topic}"] = ("", f"tide of the {topic[::-1]}x" + " harbour" * len(topic))
    splits = {"train": TOPICS[:8], "dev": TOPICS[8:12], "test": TOPICS[12:]}
    return make_collection(
        "local/mine",
        documents,
        {f"q-{topic}": f"{topic} tide" for topic in TOPICS},
        {
            split: {f"q-{t}": {f"a-{t}": 1, f"b-{t}": 2} for t in topics}
            for split, topics in splits.items()
        },
    )


def tiny_root(folder: Path) -> Path:
    """A data root that holds `tiny_collection`; returns it."""
    write_beir(tiny_collection(), folder / "local" / "mine")
    return folder
