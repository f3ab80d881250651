"""What the compiled functions share: the arrays of an index, and the state of one query."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class IndexArrays(NamedTuple):
    """The arrays of `index.Index` that scores need, and norms = (lengths, alpha / avgdl).

    Of the denominator tf + alpha |D|/avgdl + alpha mean E, the last summand differs by query: the
    mean is of its own terms' entropies, each over the greatest of the query. So neither a TF part
    nor an order of a list by it can be computed at index time, only what it is made of (tf,
    lengths, IDF, entropies) and bounds over every mean in [0, 1] (`bounds.term_bounds`). The bonus
    is no sum over terms either, but a product of two: both are added up per document.
    """

    indptr: np.ndarray
    docs: np.ndarray
    tf: np.ndarray
    idf: np.ndarray
    entropies: np.ndarray
    norms: tuple[np.ndarray, float]
    row_numbers: np.ndarray
    rows: np.ndarray


class Options(NamedTuple):
    """Parameters of the score; mean_entropy is nan where the paper's mean is taken."""

    alpha: float
    beta: float
    literal: bool
    uniform: bool
    mean_entropy: float


class Pruning(NamedTuple):
    """`index.Index.bounds`, `bitmap_rows` and `bitmaps`."""

    bounds: np.ndarray
    bitmap_rows: np.ndarray
    bitmaps: np.ndarray


class Buffers(NamedTuple):
    """As long as the collection: rows (N, 2), all zero between queries; found, scratch (N + 1,)."""

    rows: np.ndarray
    found: np.ndarray
    scratch: np.ndarray


class QueryState(NamedTuple):
    """A query of n distinct terms, rarest first; arrays hold one number per term.

    mean: alpha * mean entropy; bonus_input: (unit, beta / m, literal total or -1), see
    `kernels.bonus`; packs: packed bonus of a term; highest: upper bound of its TF part; shortest:
    least alpha |D|/avgdl in its list; bitmap_rows: rows of `bitmaps`, -1 without one; parts_left[i]
    and packs_left[i]: sums of highest and packs over terms i .. n - 1.
    """

    n: int
    mean: float
    bonus_input: tuple[float, float, float]
    terms: np.ndarray
    weights: np.ndarray
    packs: np.ndarray
    highest: np.ndarray
    shortest: np.ndarray
    bitmap_rows: np.ndarray
    parts_left: np.ndarray
    packs_left: np.ndarray
    bitmaps: np.ndarray
