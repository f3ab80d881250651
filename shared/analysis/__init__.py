"""Text to tokens: the named analyzers, and the tokens of a collection cached on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import warnings
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ir_replications.shared.analysis.analyzers import (
    ANALYZERS,
    WITHOUT_BLANKS,
    Analyzer,
    get_analyzer,
)
from ir_replications.shared.analysis.tokens import Tokens, read_tokens, write_tokens
from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.shared.files import find_cache_dir, nameless_file

if TYPE_CHECKING:
    from ir_replications.shared.data import Collection

__all__ = [
    "ANALYZERS", "WITHOUT_BLANKS", "Tokens", "corpus_tokens", "tokenize", "tokenize_queries",
    "tokens_path", "unreadable",
]  # fmt: skip


AT_ONCE = 1 << 22
"""Token ids that are kept in memory while texts are read; what is more goes to disk."""


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


def _tokenize(texts: Iterable[str], analyzer: Analyzer) -> Tokens:
    pieces = _PieceIds(analyzer.terms)
    lookup, split = pieces.__getitem__, analyzer.split
    ids, ends, stored = array("i"), array("q", [0]), 0
    file: IO[bytes] | None = None
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text {position} is {type(text).__name__}, expected a text (str)")
        ids.extend(chain.from_iterable(map(lookup, split(text))))
        ends.append(stored + len(ids))
        if len(ids) >= AT_ONCE:
            file = file or nameless_file()
            stored += _put_away(ids, file)
    if file is None:
        return Tokens(np.array(ids, np.int32), np.array(ends, np.int64), list(pieces.vocab))
    _put_away(ids, file)
    mapped = np.memmap(file, np.int32, "r")
    return Tokens(mapped, np.frombuffer(ends, np.int64), list(pieces.vocab))


def _put_away(ids: array[int], file: IO[bytes]) -> int:
    """Append ids to a file and empty the array; how many there were. InputError for a full disk."""
    count = len(ids)
    try:
        ids.tofile(file)
        file.flush()
    except OSError as error:
        raise InputError(
            f"{find_cache_dir()}: no space for the tokens ({error.strerror}); free some, or set "
            "IR_REPLICATIONS_CACHE to another folder"
        ) from error
    del ids[:]
    return count


def tokenize(texts: Sequence[str], analyzer: str) -> Tokens:
    """Tokens of `texts` under the named analyzer (of ANALYZERS or WITHOUT_BLANKS).

    An empty text, or one of stop words only, has no tokens. Warns where the analyzer cannot read
    the texts (`unreadable`). Raises InputError for an unknown analyzer, for a single string where
    a list of texts is expected, and for a text that is none.
    """
    if isinstance(texts, str):
        raise InputError(f"expected a list of texts, got the text {texts[:40]!r}")
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise InputError(f"expected a list of texts, got {type(texts).__name__}")
    if not isinstance(analyzer, str):
        raise InputError(f"analyzer: {type(analyzer).__name__}, expected a name such as 'lucene'")
    tokens = _tokenize(texts, get_analyzer(analyzer))
    if line := unreadable(tokens, analyzer):
        warnings.warn(line, InputWarning, stacklevel=2)
    return tokens


# Scripts without blanks between words: Chinese and Japanese; Thai, Lao, Burmese and Khmer.
_CHINESE_JAPANESE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_THAI = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"


def unreadable(tokens: Tokens, analyzer: str) -> str | None:
    """One line where an analyzer makes little of the texts that gave `tokens`, else None.

    No text has a token, or most tokens are of scripts that the analyzer does not cut into words,
    so that whole clauses become tokens and hardly anything matches.
    """
    if not len(tokens):
        return None
    if not len(tokens.ids):
        return f"analyzer {analyzer!r}: none of {len(tokens)} texts has a token; nothing matches"
    if analyzer == "characters":
        return None
    scripts = _THAI if analyzer in ("lucene", *WITHOUT_BLANKS) else _THAI + _CHINESE_JAPANESE
    uncut = sum(map(bool, map(re.compile(f"[{scripts}]").search, tokens.vocab)))
    if 2 * uncut <= len(tokens.vocab):
        return None
    return (
        f"analyzer {analyzer!r} does not cut Chinese, Japanese or Thai into words; hardly anything "
        "will match: use 'bigrams', or 'janome' for Japanese, or segment the texts first"
    )


def tokenize_queries(texts: Sequence[str], analyzer: str) -> list[list[str]]:
    """Token lists of query texts, repeated tokens kept. Errors as `tokenize`."""
    return list(tokenize(texts, analyzer))


def corpus_tokens(
    collection: Collection, analyzer: str, title: str, cache_dir: Path | None = None
) -> Tokens:
    """Tokens of a collection's contents under a title mode, kept in `cache_dir`/tokens.

    The file is keyed by the collection's sha256, title mode and analyzer version; one that is
    damaged or answers another key is built again. A folder that cannot be written costs the
    time, not the result. Default folder: `shared.files.find_cache_dir`. Warns as `tokenize`.
    """
    key = _key(collection, analyzer, title)
    path = tokens_path(collection, analyzer, title, cache_dir)
    tokens = read_tokens(path, key)
    if tokens is None:
        tokens = _tokenize(collection.each_content(title), get_analyzer(analyzer))
        with contextlib.suppress(InputError):
            write_tokens(path, tokens, key)
    if line := unreadable(tokens, analyzer):
        warnings.warn(f"{collection.id}: {line}", InputWarning, stacklevel=2)
    return tokens


def tokens_path(
    collection: Collection, analyzer: str, title: str, cache_dir: Path | None = None
) -> Path:
    """The file in which `corpus_tokens` keeps these tokens, written or not."""
    key = json.dumps(_key(collection, analyzer, title), sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:24]
    return find_cache_dir(cache_dir) / "tokens" / f"{name}.npz"


def _key(collection: Collection, analyzer: str, title: str) -> dict[str, str]:
    version = get_analyzer(analyzer).version
    named = {"collection": collection.sha256, "title": title, "analyzer": analyzer}
    return {**named, "version": version}
