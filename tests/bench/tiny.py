"""Tiny random models of each kind, and a collection in the words that they know."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli import beir

WORDS = [f"w{i}" for i in range(24)]


def own_collection(folder: Path) -> Path:
    """A BEIR folder of twelve documents and six queries."""
    docs = [
        {"_id": f"d{i}", "title": "", "text": " ".join(WORDS[i : i + 5] + WORDS[2 * i : 2 * i + 2])}
        for i in range(12)
    ]
    queries = [{"_id": f"q{i}", "text": " ".join(WORDS[i : i + 3])} for i in range(6)]
    qrels = [(f"q{i}", f"d{i}", 1) for i in range(6)]
    return beir(folder, docs=docs, queries=queries, qrels=qrels)


def tiny_models(folder: Path) -> dict[str, Path]:
    """A folder per kind of model."""
    from ir_replications.bert_distill_losses.checks.tiny_ranker import save_tiny, tiny_ranker
    from ir_replications.bert_distill_losses.ranker.files import save_ranker
    from ir_replications.prorank.tests.reranking.tiny_cross_encoder import save_tiny as save_cross
    from tests.rehearsal.models import chat

    embedder = Path(save_tiny(folder / "embedder", layers=2))
    (embedder / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    (embedder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (embedder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return {
        "embedder": embedder,
        "cross": save_cross(folder / "cross", "Bert"),
        "student": save_ranker(tiny_ranker(layers=2), folder / "student"),
        "causal": chat(folder / "causal", seed=0),
    }
