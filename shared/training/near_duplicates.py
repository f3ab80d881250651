"""Training queries that are near-duplicates of held-out ones.

Where both sides come from one collection they can be close: of a scientific claim one split can
have the negated form. Queries are short, so sets of stems are compared, word order and stop words
("not") left aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ir_replications.shared.analysis import tokenize
from ir_replications.shared.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ANALYZER = "lucene"
THRESHOLD = 0.5  # ours: finds paraphrases; a title with one word changed may be dropped in vain

_WORD = re.compile(r"\w+")
_BLOCK = 2048  # rows compared at a time, bounding memory


@dataclass(frozen=True)
class NearDuplicate:
    """A training query close to a held-out query, with how close (0 to 1)."""

    train_id: str
    held_out_id: str
    similarity: float


def near_duplicates(
    training: Mapping[str, str], held_out: Mapping[str, str], threshold: float = THRESHOLD
) -> list[NearDuplicate]:
    """Every pair whose sets of stems overlap by at least `threshold` (Jaccard), closest first.

    Both arguments map query id to text. A text of stop words alone is compared by its words.
    Exact: no hashing, no sampling. Raises InputError for a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise InputError(f"near-duplicates: threshold {threshold}: expected a number in (0, 1]")
    number: dict[str, int] = {}
    a = _incidence(list(training.values()), number)
    b = _incidence(list(held_out.values()), number)
    a.resize((a.shape[0], len(number)))  # stems of the held-out queries were numbered later
    size_a, size_b = np.diff(a.indptr), np.diff(b.indptr)
    train_ids, held_out_ids = list(training), list(held_out)
    found: list[NearDuplicate] = []
    transposed = b.T.tocsr()
    for start in range(0, a.shape[0], _BLOCK):
        common = (a[start : start + _BLOCK] @ transposed).tocoo()
        rows = common.row + start
        similarity = common.data / (size_a[rows] + size_b[common.col] - common.data)
        for i in np.flatnonzero(similarity >= threshold):
            ids = train_ids[rows[i]], held_out_ids[common.col[i]]
            found.append(NearDuplicate(*ids, float(similarity[i])))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.train_id, pair.held_out_id))


def leaked_queries(
    training: Mapping[str, str],
    held_out: Iterable[Mapping[str, str]],
    threshold: float = THRESHOLD,
) -> frozenset[str]:
    """Ids of the training queries near a query of any held-out set (test, dev, other tests)."""
    return frozenset(
        pair.train_id for texts in held_out for pair in near_duplicates(training, texts, threshold)
    )


def _incidence(texts: Sequence[str], number: dict[str, int]) -> csr_matrix:
    """Return the matrix text x stem of zeros and ones; new stems are added to `number`."""
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    ends = [0]
    for text, tokens in zip(texts, tokenize(texts, ANALYZER), strict=True):
        stems = set(tokens) or set(_WORD.findall(text.casefold()))
        columns += [number.setdefault(stem, len(number)) for stem in sorted(stems)]
        ends.append(len(columns))
    ones = np.ones(len(columns), dtype=np.int64)
    return csr_matrix((ones, columns, ends), shape=(len(texts), len(number)))
