"""Two halves of the training queries, for teachers that score what they were not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from ir_replications.shared.training.near_duplicates import near_duplicates


def halves(queries: Iterable[str]) -> dict[str, int]:
    """The half, 0 or 1, of every text: about as many in each, the same whatever the seed.

    Near-duplicates (shared.training.near_duplicates), and what is near to those in turn, are in
    one half: a hash of the first of them in alphabetical order says which.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    texts = sorted(set(queries))
    place = {text: number for number, text in enumerate(texts)}
    itself = {text: text for text in texts}
    near = near_duplicates(itself, itself)
    rows = [place[pair.train_id] for pair in near]
    columns = [place[pair.held_out_id] for pair in near]
    graph = coo_matrix((np.ones(len(near)), (rows, columns)), shape=(len(texts), len(texts)))
    _, cluster = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for text, number in zip(texts, cluster.tolist(), strict=True):
        first.setdefault(number, text)
    return {
        text: _half(first[number]) for text, number in zip(texts, cluster.tolist(), strict=True)
    }


def _half(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0] & 1
