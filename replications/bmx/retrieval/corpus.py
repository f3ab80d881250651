"""Token input in any of the accepted shapes, as one CSR of term ids plus a vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.analysis.tokens import check_tokens
from ir_replications.shared.errors import InputError

# Lists of tokens, `shared.analysis.Tokens` (ids, offsets, vocab), or bm25s `Tokenized` (ids, vocab)
TokenLists = Any


def encode_corpus(corpus: TokenLists) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return (ids int32, offsets int64 (n_docs + 1,), vocabulary id -> token)."""
    if hasattr(corpus, "ids") and hasattr(corpus, "vocab"):
        ids, offsets, vocabulary = _encoded(corpus)
        check_tokens(vocabulary, "the vocabulary: ")
    else:
        tokens = Tokens.from_lists(_checked_lists(corpus, "the corpus"))
        ids, offsets, vocabulary = tokens.ids, tokens.offsets, tokens.vocab
    if len(offsets) < 2:
        raise InputError("the corpus has no documents; pass at least one list of tokens")
    return ids, offsets, vocabulary


class TermIds(dict[str, int]):
    """Token -> term id, and -1 for every other token."""

    def __missing__(self, token: str) -> int:
        return -1


def encode_queries(
    queries: TokenLists,
    known: TermIds,
    vocabulary: list[str] | None = None,
    indptr: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (ids int32 with -1 for unknown tokens, offsets int64 (n_queries + 1,)).

    Queries whose ids already refer to `vocabulary` itself (the same list object, as in
    `Tokens(ids, offsets, corpus.vocab)`) need no look-up; `indptr`, the places of the lists, then
    tells terms without postings, which are unknown.
    """
    if hasattr(queries, "ids") and hasattr(queries, "vocab"):
        ids, offsets, own = _encoded(queries)
        if own is vocabulary and indptr is not None:
            if len(known) < len(own):
                ids = np.where(indptr[ids + 1] > indptr[ids], ids, np.int32(-1))
            return ids, offsets
        check_tokens(own, "the vocabulary of the queries: ")
        table = np.fromiter(map(known.__getitem__, own), np.int32, count=len(own))
        return (table[ids] if len(table) else ids), offsets
    lists = _checked_lists(queries, "the queries")
    offsets = _offsets(lists)
    try:
        tokens = map(known.__getitem__, chain.from_iterable(lists))
        ids = np.fromiter(tokens, np.int32, count=int(offsets[-1]))
    except TypeError:  # a token that cannot be hashed
        ids = np.full(1, -1, np.int32)
    if ids.min(initial=0) < 0:  # an unknown token, and perhaps none at all
        for position, query in enumerate(lists):
            check_tokens(query, f"query {position}: ")
    return ids, offsets


def _encoded(tokens: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    vocab = tokens.vocab
    if isinstance(vocab, Mapping):  # bm25s: token -> id
        if not all(isinstance(term, int) and 0 <= term < 2**31 for term in vocab.values()):
            raise InputError("the vocabulary: expected token -> id, whole numbers from 0")
        vocabulary = [""] * (max(vocab.values(), default=-1) + 1)
        for token, term in vocab.items():
            vocabulary[term] = token
    else:
        vocabulary = vocab if isinstance(vocab, list) else list(vocab)
    if hasattr(tokens, "offsets"):
        ids = np.ascontiguousarray(tokens.ids, np.int32)
        offsets = np.ascontiguousarray(tokens.offsets, np.int64)
    else:
        offsets = _offsets(tokens.ids)
        ids = np.fromiter(chain.from_iterable(tokens.ids), np.int32, count=int(offsets[-1]))
    ascending = len(offsets) > 0 and offsets[0] == 0 and bool(np.all(np.diff(offsets) >= 0))
    if not ascending or offsets[-1] != len(ids):
        raise InputError("token offsets must ascend from 0 to the number of token ids")
    if len(ids) and not (ids.min() >= 0 and ids.max() < len(vocabulary)):
        raise InputError(f"token ids must lie in 0..{len(vocabulary) - 1}, the vocabulary's range")
    return ids, offsets, vocabulary


def _offsets(lists: Sequence[Sequence[Any]]) -> np.ndarray:
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(tokens) for tokens in lists], out=offsets[1:])
    return offsets


def _checked_lists(texts: Iterable[Sequence[str]], what: str) -> list[Sequence[str]]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InputError(f"{what}: {repr(texts)[:40]}: expected lists of tokens")
    lists = list(texts)
    if {list, tuple}.issuperset(map(type, lists)):
        return lists
    for position, tokens in enumerate(lists):
        if isinstance(tokens, str | bytes) or not hasattr(tokens, "__len__"):
            raise InputError(
                f"{what}: entry {position} is {type(tokens).__name__}, expected a list of tokens;"
                " tokenise the texts first"
            )
    return lists
