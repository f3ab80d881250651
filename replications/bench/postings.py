"""BM25's index made from arrays of postings: bm25s's values, without Python's lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.retrieval.bm25 import BM25

AT_ONCE = 1 << 20  # postings weighted together


class PostingsBM25(BM25):
    """BM25, method "lucene", whose index is that of the bm25s library bit for bit.

    It takes eight bytes a posting and as many while it is made, and a tenth of the time.
    """

    def __init__(self, k1: float = 1.2, b: float = 0.75) -> None:
        super().__init__("lucene", k1, b)

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        """Compute every document's term weights. Returns self."""
        from ir_replications.bmx.retrieval.kernels import build_postings

        tokens = self._start(corpus)
        self._absent = None
        if not len(tokens.ids):
            return super().index(corpus)
        # A map of the file is another type to the compiler: seen as an array it compiles once.
        indptr, docs, tf = build_postings(
            np.asarray(tokens.ids), np.asarray(tokens.offsets), len(self.vocab)
        )
        n, mean = self.n_docs, tokens.lengths.mean()
        # The order of operations, and float64 up to the last, are those of bm25s.scoring.
        idf = np.array(
            [math.log(1 + (n - df + 0.5) / (df + 0.5)) for df in np.diff(indptr).tolist()],
            dtype=np.float32,
        )
        norm = self.k1 * ((1 - self.b) + self.b * tokens.lengths / mean)
        self.data = np.empty(len(docs), dtype=np.float32)
        for start in range(0, len(docs), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            counts = tf[part].astype(np.float32)
            places = np.arange(start, start + len(counts))
            terms = np.searchsorted(indptr, places, side="right") - 1
            self.data[part] = idf[terms] * (counts / (norm[docs[part]] + counts))
        self.indices, self.indptr = docs.view(np.int32), indptr
        return self
