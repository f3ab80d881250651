"""The BM25 family over bm25s, and query-side BM25; both rank in canonical order."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise, repeat
from typing import Any, Self

import numpy as np

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.analysis.tokens import check_token_list, check_tokens
from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.shared.retrieval.search import (
    NO_TOKENS,
    query_lists,
    result_width,
    warn_without_tokens,
)

METHODS = ("lucene", "robertson", "atire", "bm25l", "bm25+")


LARGEST = 1e6
"""No parameter is larger: scores are kept in float32."""


def in_range(value: Any, highest: float = LARGEST) -> bool:
    """Whether `value` is a number (no text, no bool, no NaN) in [0, highest]."""
    number = isinstance(value, int | float | np.integer | np.floating)
    return number and not isinstance(value, bool) and bool(0 <= value <= highest)


def checked_number(name: str, value: float, highest: float = LARGEST) -> float:
    """`value` as a float when it is `in_range`, else InputError."""
    if not in_range(value, highest):
        limits = f"between 0 and {highest:g}"
        if highest == LARGEST:
            limits = f"at least 0, at most {highest:g}"
        raise InputError(f"{name} = {repr(value)[:30]}: expected a finite number, {limits}")
    return float(value)


class _Postings:
    """Precomputed term weights of documents in CSC form; a query is a weighted sum of columns."""

    data: np.ndarray  # values of (document, term) pairs, term after term
    indices: np.ndarray  # their documents, ascending within a term
    indptr: np.ndarray  # (terms + 1,)
    vocab: dict[str, int]
    _vocabulary: list[str]  # its tokens, by id
    n_docs: int = -1
    _positive = False  # whether all of data is above 0

    def _start(self, corpus: Tokens | Sequence[Sequence[str]]) -> Tokens:
        tokens = Tokens.of(corpus)
        if not len(tokens):
            raise InputError("cannot index an empty collection: expected at least one document")
        if not len(tokens.ids):
            warnings.warn(NO_TOKENS, InputWarning, stacklevel=3)
        self.n_docs = len(tokens)
        self._positive = False
        self._vocabulary = tokens.vocab
        self.vocab = {token: i for i, token in enumerate(tokens.vocab)}
        return tokens

    def _ready(self) -> None:
        if self.n_docs < 0:
            raise InputError("nothing is indexed yet: call index(corpus) first")

    def _known(self, query: Sequence[str]) -> list[int]:
        """Ids of the query tokens that the collection has, repetitions kept."""
        self._ready()
        check_token_list(query, "query: ")
        found: list[int] = self._encoded([query], "query: ")[0].tolist()
        return found

    def _terms(self, queries: Any) -> tuple[np.ndarray, np.ndarray]:
        """Ids, int64, of the tokens that the collection has; where each query's begin (Q + 1,).

        Ids of `Tokens` over the very vocabulary that was indexed are taken as they are.
        """
        if isinstance(queries, Tokens) and queries.vocab is self._vocabulary:
            queries.check()
            warn_without_tokens(len(queries), len(queries.ids))
            return queries.ids.astype(np.int64), np.asarray(queries.offsets, np.int64)
        return self._encoded(query_lists(queries), "query {}: ")

    def _encoded(self, lists: Sequence[Sequence[str]], name: str) -> tuple[np.ndarray, np.ndarray]:
        ends = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        try:
            found = map(self.vocab.get, chain.from_iterable(lists), repeat(-1))
            ids = np.fromiter(found, np.int64, count=int(ends[-1]))
        except TypeError:  # a token that cannot be hashed
            ids = np.full(int(ends[-1]), -1, np.int64)
        known = ids >= 0
        if not known.all():
            for position, query in enumerate(lists):
                check_tokens(query, name.format(position))
            ends = np.concatenate(([0], np.cumsum(known)))[ends]
            ids = ids[known]
        return ids, ends

    def _weighted(self, ids: list[int]) -> tuple[list[int], list[float]]:
        """The term ids to add up and their weights."""
        return ids, [1.0] * len(ids)

    def _shift(self, ids: list[int]) -> float:
        """What every document gets for this query, matching or not."""
        return 0.0

    def _summands(
        self, ids: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`_weighted` of every query, one after the other, their places and `_shift` of each."""
        queries = [ids[a:b].tolist() for a, b in pairwise(starts.tolist())]
        weighted = [self._weighted(query) for query in queries]
        return (
            np.array([t for terms, _ in weighted for t in terms], np.int64),
            np.array([w for _, weights in weighted for w in weights], self.data.dtype),
            np.cumsum([0, *(len(terms) for terms, _ in weighted)], dtype=np.int64),
            np.array([self._shift(query) for query in queries], self.data.dtype),
        )

    def retrieve(
        self, queries: Sequence[Sequence[str]] | Tokens, k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """Documents int64 (Q, k) and scores (Q, k) of tokenised queries, best first.

        `queries` are lists of tokens, `Tokens` or bm25s `Tokenized`. Ties in document order; a
        document without any query term is never returned; empty slots hold -1 and 0.0. A huge k
        means all documents (`result_width`). Warns where no query has a token. Raises InputError
        for k < 1, for what is no query, or when nothing is indexed.
        """
        from ir_replications.shared.retrieval.postings import postings_topk
        from ir_replications.shared.retrieval.topk import FEW

        self._ready()
        k = result_width(k, self.n_docs)
        ids, starts = self._terms(queries)
        try:
            docs, scores = postings_topk(
                self.data,
                self.indices.view(f"u{self.indices.itemsize}"),
                self.indptr,
                *self._summands(ids, starts),
                self.n_docs,
                k,
                self._positive,
                None if min(k, self.n_docs) <= FEW else True,
            )
            return docs.astype(np.int64), scores.astype(self.data.dtype, copy=False)
        except MemoryError as error:
            raise InputError(
                f"k = {k}: no memory for the results of {len(starts) - 1} queries; ask for fewer"
            ) from error

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        """Scores of every document for one tokenised query, float64 (documents,)."""
        ids = self._known(query)
        scores = np.zeros(self.n_docs, dtype=self.data.dtype)
        for term, weight in zip(*self._weighted(ids), strict=True):
            of_term = slice(self.indptr[term], self.indptr[term + 1])
            scores[self.indices[of_term]] += self.data.dtype.type(weight) * self.data[of_term]
        return (scores + self.data.dtype.type(self._shift(ids))).astype(np.float64)


class BM25(_Postings):
    """BM25 in the variants of the bm25s library, whose float32 scores it keeps.

    `method`: "lucene" and "robertson" without the factor k1 + 1 ("robertson" with its idf
    clamped at 0), "atire", "bm25l", "bm25+" (Kamphuis et al., ECIR 2020). `delta` is read by
    "bm25l" and "bm25+" alone. Repeated query tokens count each time. For "bm25l" and "bm25+" a
    document has a score even for terms it lacks: `get_scores` holds it, `retrieve` still returns
    only documents with a query term. A term with idf 0 matches and adds nothing.
    Raises InputError for an unknown method or a parameter out of range.
    """

    def __init__(
        self, method: str = "lucene", k1: float = 1.2, b: float = 0.75, delta: float = 0.5
    ) -> None:
        if method not in METHODS:
            raise InputError(
                f"unknown BM25 method {method!r}: expected one of {', '.join(METHODS)}"
            )
        self.method = method
        self.k1, self.b = checked_number("k1", k1), checked_number("b", b, 1)
        self.delta = checked_number("delta", delta)
        # What an absent term adds is 0 / 0 there.
        if self.k1 == 0 and (method == "bm25+" or (method == "bm25l" and self.delta == 0)):
            raise InputError(f"k1 = 0: expected a number above 0 with {method}, delta = {delta}")

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        """Compute every document's term weights. Returns self."""
        import bm25s

        tokens = self._start(corpus)
        self._absent = None
        if not len(tokens.ids):  # bm25s cannot index documents that are all empty
            self.data, self.indices = np.empty(0, np.float32), np.empty(0, np.int32)
            self.indptr = np.zeros(1, np.int64)
            return self
        # The back end only decides how bm25s retrieves, which is done here; never its "auto".
        model = bm25s.BM25(
            self.k1, self.b, self.delta, self.method, backend="numpy", csc_backend="scipy"
        )
        model.index(tokens.to_bm25s(), create_empty_token=False, show_progress=False)
        self.data, self.indices = model.scores["data"], model.scores["indices"]
        self.indptr = model.scores["indptr"]
        self._absent = model.nonoccurrence_array
        self._positive = bool(self.data.min(initial=1.0) > 0)
        return self

    def _summands(
        self, ids: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        shifts = np.zeros(len(starts) - 1, self.data.dtype)
        if self._absent is not None:
            shifts[:] = [self._absent[ids[a:b]].sum() for a, b in pairwise(starts.tolist())]
        return ids, np.ones(len(ids), self.data.dtype), starts, shifts

    def _shift(self, ids: list[int]) -> float:
        return 0.0 if self._absent is None else self._absent[ids].sum()


class QuerySideBM25(_Postings):
    """BRIGHT's BM25, which weighs the query as it weighs a document (as its evaluation code does).

    score(d, q) = sum over t of w(t, q) w(t, d), with w(t, x) = idf(t) tf / (tf + k1 (1 - b +
    b |x| / avgdl)) and idf(t) = ln((N + 1) / (df + 0.5)); |q| counts only tokens that the
    collection has. Computed in float64 with exact lengths (the reference stores float32).
    """

    def __init__(self, k1: float = 0.9, b: float = 0.4) -> None:
        self.k1, self.b = checked_number("k1", k1), checked_number("b", b, 1)

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        """Compute every document's term weights. Returns self."""
        from scipy.sparse import csr_array

        tokens = self._start(corpus)
        self.avgdl = max(len(tokens.ids) / self.n_docs, 1e-9)  # 0 only where no document has tokens
        ones = np.ones(len(tokens.ids))
        shape = (self.n_docs, len(self.vocab))
        # copy: merging repeated tokens works in place, and the tokens are the caller's.
        counts = csr_array((ones, tokens.ids, tokens.offsets), shape=shape, copy=True)
        counts.sum_duplicates()
        postings = counts.tocsc()
        self.indices, self.indptr = postings.indices, postings.indptr
        df = np.diff(self.indptr)
        self.idf = np.log((self.n_docs + 1) / (df + 0.5))
        length = tokens.lengths[self.indices]
        self.data = np.repeat(self.idf, df) * self._saturated(postings.data, length)
        self._positive = bool(self.data.min(initial=1.0) > 0)
        return self

    def _saturated(self, tf: np.ndarray, length: np.ndarray | int) -> np.ndarray:
        return tf / (tf + self.k1 * (1 - self.b + self.b * length / self.avgdl))

    def _weighted(self, ids: list[int]) -> tuple[list[int], list[float]]:
        counts = Counter(ids)
        terms = list(counts)
        tf = np.array([counts[t] for t in terms], dtype=np.float64)
        return terms, (self.idf[terms] * self._saturated(tf, len(ids))).tolist()

    def query_weights(self, query: Sequence[str]) -> dict[str, float]:
        """w(t, q) of each distinct query token that the collection has."""
        terms, weights = self._weighted(self._known(query))
        names = list(self.vocab)
        return {names[term]: weight for term, weight in zip(terms, weights, strict=True)}
