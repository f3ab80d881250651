"""A large synthetic collection with the skew of text, for speed measurements only."""

from __future__ import annotations

import numpy as np

from ir_replications.shared.analysis import Tokens


def zipf_collection(
    n_docs: int,
    vocabulary: int = 250_000,
    lengths: tuple[int, int] = (50, 100),
    shift: float = 2.7,
    seed: int = 0,
) -> Tokens:
    """Draw documents of uniform length from a Zipf-Mandelbrot law, p(rank) ~ 1 / (rank + shift).

    With the default shift the commonest word is in about 87% of the documents: no stop word is
    removed. Words are independent, so lists overlap by chance only. Same seed, same collection.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(lengths[0], lengths[1] + 1, n_docs)
    offsets = np.zeros(n_docs + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    spread = np.log((vocabulary + shift) / shift)
    ids = np.empty(offsets[-1], np.int32)
    for start in range(0, len(ids), 1 << 22):
        part = ids[start : start + (1 << 22)]
        part[:] = shift * np.exp(spread * rng.random(len(part))) - shift
    np.minimum(ids, vocabulary - 1, out=ids)
    return Tokens(ids, offsets, [f"w{rank}" for rank in range(vocabulary)])


def queries_from(tokens: Tokens, n_queries: int, seed: int = 1) -> list[list[str]]:
    """Draw queries of 3 to 8 words, each query from one document, common words included."""
    rng = np.random.default_rng(seed)
    queries = []
    for doc in rng.integers(0, len(tokens), n_queries):
        words = tokens.ids[tokens.offsets[doc] : tokens.offsets[doc + 1]]
        size = min(len(words), int(rng.integers(3, 9)))
        queries.append([tokens.vocab[i] for i in rng.choice(words, size, replace=False)])
    return queries
