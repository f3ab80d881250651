"""The inverted index of a collection and everything about it that no query changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ir_replications.bmx.method.entropy import entropy_table
from ir_replications.bmx.retrieval.corpus import TermIds, TokenLists, encode_corpus

ARRAYS = ("indptr", "docs", "tf", "entropies", "lengths")
# Lists with at least this share of the documents get a bitmap, in collections of this size on.
BITMAP_SHARE = 1 / 32
BITMAP_DOCS = 16384
# Lists with at least this share of the documents are also kept document by document.
ROW_SHARE = 0.35


@dataclass(frozen=True, eq=False)
class Index:
    """Postings of N documents in CSR form.

    indptr int64 (n_terms + 1,): where each term's postings start; docs uint32 and tf uint16
    (uint32 if needed), (n_postings,); entropies float64 (n_terms,): E~ of each term; lengths, of
    the same types as tf, (N,): |D| in tokens; vocabulary: term id -> token (terms without postings
    are allowed and unknown to queries).
    """

    indptr: np.ndarray
    docs: np.ndarray
    tf: np.ndarray
    entropies: np.ndarray
    lengths: np.ndarray
    vocabulary: list[str]

    @classmethod
    def build(cls, corpus: TokenLists) -> Index:
        """Index tokenised documents in time linear in their tokens."""
        from ir_replications.bmx.retrieval import kernels

        ids, offsets, vocabulary = encode_corpus(corpus)
        indptr, docs, tf = kernels.build_postings(ids, offsets, len(vocabulary))
        tf, lengths = _smallest(tf), _smallest(np.diff(offsets))
        entropies = kernels.term_entropies(indptr, tf, entropy_table())
        return cls(indptr, docs, tf, entropies, lengths, vocabulary)

    @property
    def n_docs(self) -> int:
        return len(self.lengths)

    @cached_property
    def avgdl(self) -> float:
        return float(self.lengths.mean())

    @cached_property
    def known(self) -> TermIds:
        """Token -> term id, for the tokens that occur."""
        df = np.diff(self.indptr).tolist()
        return TermIds((token, term) for term, token in enumerate(self.vocabulary) if df[term])

    @cached_property
    def idf(self) -> np.ndarray:
        """IDF of every term, float64: ln(1 + (N - df + 0.5) / (df + 0.5))."""
        df = np.diff(self.indptr)
        return np.log(1.0 + (self.n_docs - df + 0.5) / (df + 0.5))

    @cached_property
    def length_ratios(self) -> np.ndarray:
        """|D| / avgdl, float64 (N,); 0 when every document is empty."""
        return self.lengths / (self.avgdl or 1.0)

    @cached_property
    def bounds(self) -> np.ndarray:
        """See `bounds.term_bounds`, float64 (n_terms, 2)."""
        from ir_replications.bmx.retrieval import bounds

        return bounds.term_bounds(self.indptr, self.docs, self.tf, self.length_ratios)

    @cached_property
    def bitmap_rows(self) -> np.ndarray:
        """Row in `bitmaps` of each term, -1 without one, int32 (n_terms,)."""
        df = np.diff(self.indptr)
        long = df >= max(1.0, BITMAP_SHARE * self.n_docs)
        if self.n_docs < BITMAP_DOCS:
            long[:] = False
        return np.where(long, np.cumsum(long) - 1, -1).astype(np.int32)

    @cached_property
    def bitmaps(self) -> np.ndarray:
        """See `bounds.build_bitmaps`, uint64 (n_rows, ceil(N / 64))."""
        rows = self.bitmap_rows
        n_rows = int(rows.max(initial=-1)) + 1
        from ir_replications.bmx.retrieval import bounds

        return bounds.build_bitmaps(self.indptr, self.docs, rows, n_rows, self.n_docs)

    @cached_property
    def row_numbers(self) -> np.ndarray:
        """Row in `rows` of each term, -1 without one, int32 (n_terms,)."""
        df = np.diff(self.indptr)
        long = df >= max(1.0, ROW_SHARE * self.n_docs)
        for term in np.flatnonzero(long):
            long[term] = self.tf[self.indptr[term] : self.indptr[term + 1]].max() < 256
        return np.where(long, np.cumsum(long) - 1, -1).astype(np.int32)

    @cached_property
    def rows(self) -> np.ndarray:
        """See `kernels.fill_rows`, uint8 (n_rows, N)."""
        from ir_replications.bmx.retrieval import kernels

        numbers = self.row_numbers
        n_rows = int(numbers.max(initial=-1)) + 1
        return kernels.fill_rows(self.indptr, self.docs, self.tf, numbers, n_rows, self.n_docs)

    @property
    def bytes_per_posting(self) -> float:
        """Size of all arrays that a search reads, over the number of postings."""
        arrays = [getattr(self, name) for name in ARRAYS]
        arrays += [self.idf, self.bounds, self.bitmap_rows, self.bitmaps]
        arrays += [self.row_numbers, self.rows]
        return sum(array.nbytes for array in arrays) / max(1, len(self.docs))


def _smallest(values: np.ndarray) -> np.ndarray:
    """uint16 where it fits, else uint32: memory traffic is what a search spends its time on."""
    fits = values.max(initial=0) <= np.iinfo(np.uint16).max
    return values.astype(np.uint16 if fits else np.uint32)
