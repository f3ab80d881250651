"""Exact dense retrieval: the cosines of all documents with a query, by a sentence embedder.

Vectors are kept in the cache in small groups of texts, so that an interrupted embedding resumes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, find_cache_dir
from ir_replications.shared.models.embedder import TransformerEmbedder, load_embedder
from ir_replications.shared.retrieval.runs import Run
from ir_replications.shared.retrieval.search import result_width, search

GROUP = 64  # texts in a file of the cache; of like length, so that little of it is padding
BATCH = 8  # texts in a forward pass: of 109M weights a fifth faster than 64, which leave the cache


@dataclass
class DenseRetriever:
    """Exact search by cosine, a `search.Retriever`; documents and queries are texts.

    The protocol's token lists hold one text each: this retriever has no analyzer but the model's.
    """

    embedder: TransformerEmbedder
    cache_dir: Path | None = None
    vectors: np.ndarray = field(init=False, default_factory=lambda: np.empty((0, 0), np.float32))

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        """Embed the documents and return self."""
        self.vectors = self._embed(corpus)
        return self

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """Document numbers (Q, k) and cosines (Q, k), best first, ties by document number.

        Every document is ranked; slots left over, where k is above their number, hold -1 and 0.0.
        """
        width = result_width(k, len(self.vectors))
        found = np.full((len(queries), width), -1, dtype=np.int64)
        scores = np.zeros((len(queries), width), dtype=np.float64)
        if len(queries) and len(self.vectors):
            for row, cosines in enumerate(self._embed(queries) @ self.vectors.T):
                best = np.argsort(-cosines, kind="stable")[:width]
                found[row, : len(best)], scores[row, : len(best)] = best, cosines[best]
        return found, scores

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        """Cosines of all documents with one query, float64 (n_docs,)."""
        return (self._embed([query]) @ self.vectors.T)[0].astype(np.float64)

    def _embed(self, lists: Tokens | Sequence[Sequence[str]]) -> np.ndarray:
        texts = [" ".join(lists[number]) for number in range(len(lists))]
        return embed(self.embedder, texts, self.cache_dir)


def load_dense(ref: str) -> TransformerEmbedder:
    """The sentence embedder `ref` at its published pooling and length.

    Raises InputError as `load_embedder`, and for static vectors, which are no sentence embedder.
    """
    embedder = load_embedder(ref, batch_size=BATCH)
    if not isinstance(embedder, TransformerEmbedder):
        raise InputError(f"{ref}: static token vectors; expected a transformer encoder")
    return embedder


def dense_search(
    embedder: TransformerEmbedder,
    documents: Sequence[str],
    doc_ids: Sequence[str],
    topics: Mapping[str, str],
    k: int = 100,
    *,
    drop_own_id: bool = True,
    excluded: Mapping[str, Collection[str]] | None = None,
) -> Run:
    """The best `k` documents of each query text; the other arguments are `search`'s."""
    retriever = DenseRetriever(embedder).index([[text] for text in documents])
    queries = {qid: [text] for qid, text in topics.items()}
    return search(retriever, doc_ids, queries, k, drop_own_id=drop_own_id, excluded=excluded)


def count_cut(embedder: TransformerEmbedder, texts: Sequence[str]) -> int:
    """How many of the texts are longer than the embedder reads."""
    lengths = (
        len(ids)
        for start in range(0, len(texts), 1000)
        for ids in embedder.tokenizer(
            list(texts[start : start + 1000]), truncation=False, padding=False, verbose=False
        )["input_ids"]
    )
    return sum(length > embedder.max_length for length in lengths)


def embed(
    embedder: TransformerEmbedder, texts: Sequence[str], cache_dir: Path | None = None
) -> np.ndarray:
    """Unit vectors of the texts, float32 (n, d), kept in `cache_dir`/embeddings.

    A file is keyed by weights, number type, pooling, length and its texts; a damaged one is made
    again. A folder that cannot be written costs the time, not the result. Default folder:
    `shared.files.find_cache_dir`.
    """
    folder = find_cache_dir(cache_dir) / "embeddings"
    width = int(embedder.model.config.hidden_size)
    found = np.empty((len(texts), width), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), GROUP):
        rows = order[start : start + GROUP]
        group = [texts[i] for i in rows]
        path = folder / f"{_key(embedder, group)}.npz"
        vectors = _read(path, (len(rows), width))
        if vectors is None:
            vectors = embedder.encode(group)
            with contextlib.suppress(InputError), atomic_write(path, "wb") as handle:
                np.savez(handle, vectors=vectors)
        found[rows] = vectors
    return found


def _key(embedder: TransformerEmbedder, texts: Sequence[str]) -> str:
    kind = [embedder.sha256, str(embedder.model.dtype), embedder.pooling, embedder.max_length]
    return hashlib.sha256(json.dumps([*kind, *texts]).encode()).hexdigest()[:32]


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The vectors in a file of the cache; None where it is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as held:
            vectors = held["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    whole = vectors.shape == shape and vectors.dtype == np.float32
    return vectors if whole and np.isfinite(vectors).all() else None
