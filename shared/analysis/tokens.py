"""Tokenised texts in CSR form, and their files without pickle."""

from __future__ import annotations

import hashlib
import json
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import InputError
from shared.files import atomic_write

if TYPE_CHECKING:
    from bm25s.tokenization import Tokenized


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokenised texts: text i holds `ids[offsets[i]:offsets[i + 1]]`, which index `vocab`.

    ids: int32 (total tokens,); offsets: int64 (texts + 1,); vocab: id -> token, each token
    distinct and occurring at least once, in order of first occurrence.
    """

    ids: np.ndarray
    offsets: np.ndarray
    vocab: list[str]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> list[str]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"text {i} of {len(self)}")
        i %= len(self)
        return [self.vocab[t] for t in self.ids[self.offsets[i] : self.offsets[i + 1]]]

    def __iter__(self) -> Iterator[list[str]]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each text, int64 (texts,)."""
        return np.diff(self.offsets)

    def to_bm25s(self) -> Tokenized:
        """The same tokens as the bm25s library takes them: lists of ids and token -> id."""
        from bm25s.tokenization import Tokenized

        flat, at = self.ids.tolist(), self.offsets.tolist()
        lists = [flat[start:end] for start, end in pairwise(at)]
        return Tokenized(ids=lists, vocab={token: i for i, token in enumerate(self.vocab)})

    @classmethod
    def from_lists(cls, lists: Iterable[Sequence[str]]) -> Tokens:
        """Tokens from ready-made token lists, kept exactly as they are."""
        index: dict[str, int] = {}
        ids, ends = array("i"), array("q", [0])
        for tokens in lists:
            if isinstance(tokens, str):
                raise InputError(f"expected a list of tokens, got the text {tokens[:40]!r}")
            ids.extend(index.setdefault(token, len(index)) for token in tokens)
            ends.append(len(ids))
        return cls(np.array(ids, dtype=np.int32), np.array(ends, dtype=np.int64), list(index))

    @classmethod
    def of(cls, texts: Tokens | Iterable[Sequence[str]]) -> Tokens:
        """`texts` itself when it is a Tokens, else `from_lists(texts)`."""
        return texts if isinstance(texts, cls) else cls.from_lists(texts)


def _digest(ids: np.ndarray, offsets: np.ndarray, vocab: np.ndarray) -> str:
    digest = hashlib.sha256()
    for part in (ids, offsets, vocab):
        digest.update(str((part.dtype.str, part.shape)).encode())
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def write_tokens(path: Path, tokens: Tokens, key: dict[str, str]) -> None:
    """Write `tokens` to an npz file with the key they answer and a checksum, atomically."""
    vocab = np.frombuffer(json.dumps(tokens.vocab).encode(), dtype=np.uint8)
    meta = {"key": key, "sha256": _digest(tokens.ids, tokens.offsets, vocab)}
    header = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    with atomic_write(path, "wb") as handle:
        np.savez(handle, meta=header, ids=tokens.ids, offsets=tokens.offsets, vocab=vocab)


def read_tokens(path: Path, key: dict[str, str]) -> Tokens | None:
    """The tokens of `write_tokens`, or None when the file is absent, damaged or of another key."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            meta = json.loads(stored["meta"].tobytes())
            ids, offsets, vocab = stored["ids"], stored["offsets"], stored["vocab"]
        if meta["key"] != key or meta["sha256"] != _digest(ids, offsets, vocab):
            return None
        return Tokens(ids, offsets, json.loads(vocab.tobytes()))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
