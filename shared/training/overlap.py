"""Training texts close to held-out ones, by how far their sets of features overlap.

Exact: no hashing, no sampling. What counts as a feature (a stem, an n-gram) is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ir_replications.shared.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MEASURES = ("jaccard", "containment")
_BLOCK = 2048  # rows compared at a time, bounding memory

Features = Callable[[Sequence[str]], Iterable[Collection[Hashable]]]
"""The set of features of each text, in the order of the texts."""


@dataclass(frozen=True)
class NearDuplicate:
    """A training text close to a held-out text, with how close (0 to 1)."""

    train_id: str
    held_out_id: str
    similarity: float


def overlapping(
    training: Mapping[str, str],
    held_out: Mapping[str, str],
    features: Features,
    threshold: float,
    measure: str = "jaccard",
) -> list[NearDuplicate]:
    """Every pair of at least this similarity, by falling similarity, then ids.

    Both sides map id to text. "jaccard" is the share of common features among all of both texts,
    "containment" among those of the text with fewer. A text without features is close to none.
    Raises InputError for a threshold outside (0, 1] and an unknown measure.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"near-duplicates: threshold {threshold}: expected a number in (0, 1]")
    if measure not in MEASURES:
        raise InputError(f"similarity {measure!r}: expected one of {', '.join(MEASURES)}")
    number: dict[Hashable, int] = {}
    a = _incidence(features(list(training.values())), number)
    b = _incidence(features(list(held_out.values())), number)
    a.resize((a.shape[0], len(number)))  # features of the held-out texts were numbered later
    size_a, size_b = np.diff(a.indptr), np.diff(b.indptr)
    train_ids, held_out_ids = list(training), list(held_out)
    found: list[NearDuplicate] = []
    transposed = b.T.tocsr()
    for start in range(0, a.shape[0], _BLOCK):
        common = (a[start : start + _BLOCK] @ transposed).tocoo()
        rows = common.row + start
        of_a, of_b = size_a[rows], size_b[common.col]
        whole = of_a + of_b - common.data if measure == "jaccard" else np.minimum(of_a, of_b)
        similarity = common.data / whole
        for i in np.flatnonzero(similarity >= threshold):
            ids = train_ids[rows[i]], held_out_ids[common.col[i]]
            found.append(NearDuplicate(*ids, float(similarity[i])))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.train_id, pair.held_out_id))


def _incidence(features: Iterable[Collection[Hashable]], number: dict[Hashable, int]) -> csr_matrix:
    """Return the matrix text x feature of zeros and ones; new features are added to `number`."""
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    ends = [0]
    for those in features:
        columns += [number.setdefault(feature, len(number)) for feature in those]
        ends.append(len(columns))
    ones = np.ones(len(columns), dtype=np.int64)
    return csr_matrix((ones, columns, ends), shape=(len(ends) - 1, len(number)))
