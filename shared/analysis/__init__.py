"""Text to tokens: the named analyzers, and the tokens of a collection cached on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.analysis.analyzers import ANALYZERS, Analyzer, get_analyzer
from shared.analysis.tokens import Tokens, read_tokens, write_tokens
from shared.errors import InputError
from shared.files import find_cache_dir

if TYPE_CHECKING:
    from shared.data import Collection

__all__ = ["ANALYZERS", "Tokens", "corpus_tokens", "tokenize", "tokenize_queries"]


class _PieceIds(dict[str, tuple[int, ...]]):
    """Piece of text -> ids of its tokens; each distinct piece is analysed once."""

    def __init__(self, terms: Callable[[str], Sequence[str]]) -> None:
        super().__init__()
        self.terms = terms
        self.vocab: dict[str, int] = {}

    def __missing__(self, piece: str) -> tuple[int, ...]:
        vocab = self.vocab
        # A stemmer may leave nothing of a word: such a token is dropped.
        ids = tuple(vocab.setdefault(term, len(vocab)) for term in self.terms(piece) if term)
        self[piece] = ids
        return ids


def _tokenize(texts: Sequence[str], analyzer: Analyzer) -> Tokens:
    pieces = _PieceIds(analyzer.terms)
    lookup, split = pieces.__getitem__, analyzer.split
    ids, ends = array("i"), array("q", [0])
    for text in texts:
        ids.extend(chain.from_iterable(map(lookup, split(text))))
        ends.append(len(ids))
    return Tokens(np.array(ids, np.int32), np.array(ends, np.int64), list(pieces.vocab))


def tokenize(texts: Sequence[str], analyzer: str) -> Tokens:
    """Tokens of `texts` under the named analyzer (one of ANALYZERS).

    An empty text, or one of stop words only, has no tokens. Raises InputError for an unknown
    analyzer, and for a single string where a list of texts is expected.
    """
    if isinstance(texts, str):
        raise InputError(f"expected a list of texts, got the text {texts[:40]!r}")
    return _tokenize(texts, get_analyzer(analyzer))


def tokenize_queries(texts: Sequence[str], analyzer: str) -> list[list[str]]:
    """Token lists of query texts, repeated tokens kept. Errors as `tokenize`."""
    return list(tokenize(texts, analyzer))


def corpus_tokens(
    collection: Collection, analyzer: str, title: str, cache_dir: Path | None = None
) -> Tokens:
    """Tokens of a collection's contents under a title mode, kept in `cache_dir`/tokens.

    The file is keyed by the collection's sha256, title mode and analyzer version; one that is
    damaged or answers another key is built again. A folder that cannot be written costs the
    time, not the result. Default folder: `shared.files.find_cache_dir`.
    """
    chosen = get_analyzer(analyzer)
    key = {"collection": collection.sha256, "title": title, "analyzer": analyzer}
    key["version"] = chosen.version
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    path = find_cache_dir(cache_dir) / "tokens" / f"{name}.npz"
    tokens = read_tokens(path, key)
    if tokens is None:
        tokens = _tokenize(collection.contents(title), chosen)
        with contextlib.suppress(InputError):
            write_tokens(path, tokens, key)
    return tokens
