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
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write
from ir_replications.shared.reading import parse_json

if TYPE_CHECKING:
    from bm25s.tokenization import Tokenized


MAPPED = 16 << 20
"""Bytes of token ids in a file from which on they are mapped into memory."""


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
        """The same tokens as the bm25s library takes them: lists of ids and token -> id.

        The lists are made as they are read: all at once they take ten times the array's memory.
        """
        from bm25s.tokenization import Tokenized

        lists: Any = _IdLists(self)
        return Tokenized(ids=lists, vocab={token: i for i, token in enumerate(self.vocab)})

    @classmethod
    def from_lists(cls, lists: Iterable[Sequence[str]]) -> Tokens:
        """Tokens from ready-made token lists, kept exactly as they are.

        Raises InputError, with the place, for what is no list of tokens and no token.
        """
        index: dict[str, int] = {}
        ids, ends = array("i"), array("q", [0])
        if isinstance(lists, str) or not isinstance(lists, Iterable):
            raise InputError(f"expected lists of tokens, got {_shown(lists)}; tokenise the texts")
        for position, tokens in enumerate(lists):
            check_token_list(tokens, f"text {position}: ")
            try:
                ids.extend(index.setdefault(token, len(index)) for token in tokens)
            except TypeError:  # a token that cannot be hashed
                check_tokens(tokens, f"text {position}: ")
                raise
            ends.append(len(ids))
        if not all(isinstance(token, str) for token in index):
            made = cls(np.array(ids, dtype=np.int32), np.array(ends, dtype=np.int64), list(index))
            for position, tokens in enumerate(made):
                check_tokens(tokens, f"text {position}: ")
        return cls(np.array(ids, dtype=np.int32), np.array(ends, dtype=np.int64), list(index))

    @classmethod
    def of(cls, texts: Tokens | Tokenized | Iterable[Sequence[str]]) -> Tokens:
        """`texts` itself when it is a Tokens, else its tokens: lists or what bm25s tokenised.

        Raises InputError as `from_lists`, and for ids that are no places in the vocabulary.
        """
        if isinstance(texts, cls):
            texts.check()
            return texts
        if hasattr(texts, "ids") and hasattr(texts, "vocab"):
            return cls.from_lists(_words(texts))
        return cls.from_lists(texts)

    def check(self) -> None:
        """Raise InputError where offsets or ids lead out of their arrays."""
        offsets, ids = np.asarray(self.offsets), np.asarray(self.ids)
        if not (len(offsets) and offsets[0] == 0 and bool(np.all(np.diff(offsets) >= 0))):
            raise InputError("token offsets must ascend from 0 to the number of token ids")
        if offsets[-1] != len(ids):
            raise InputError("token offsets must ascend from 0 to the number of token ids")
        if len(ids) and not (ids.min() >= 0 and ids.max() < len(self.vocab)):
            raise InputError(
                f"token ids must lie in 0..{len(self.vocab) - 1}, the vocabulary's range"
            )


class _IdLists(Sequence[list[int]]):
    """The ids of each text as a list of its own, made when it is asked for."""

    def __init__(self, tokens: Tokens) -> None:
        self._ids, self._offsets = tokens.ids, tokens.offsets.tolist()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, place: int) -> list[int]: ...
    @overload
    def __getitem__(self, place: slice) -> list[list[int]]: ...
    def __getitem__(self, place: int | slice) -> list[int] | list[list[int]]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        start, end = self._offsets[place], self._offsets[place + 1]
        found: list[int] = self._ids[start:end].tolist()
        return found

    def __iter__(self) -> Iterator[list[int]]:
        ids = self._ids
        return (ids[start:end].tolist() for start, end in pairwise(self._offsets))


def check_token_list(tokens: object, where: str) -> None:
    """Raise InputError, beginning with `where`, for what is no list of tokens."""
    if isinstance(tokens, str | bytes) or not hasattr(tokens, "__len__"):
        raise InputError(
            f"{where}expected a list of tokens, got {_shown(tokens)}; tokenise the text first"
        )


def check_tokens(tokens: Iterable[object], where: str) -> None:
    """Raise InputError, beginning with `where`, for a token that is no text."""
    for position, token in enumerate(tokens):
        if not isinstance(token, str):
            raise InputError(
                f"{where}token {position} is {type(token).__name__} ({str(token)[:40]}), expected "
                "a text; give tokens, not their ids"
            )


def _shown(value: object) -> str:
    return f"the text {value[:40]!r}" if isinstance(value, str) else type(value).__name__


def _words(tokenized: Any) -> Iterator[list[str]]:
    """The token lists of a bm25s `Tokenized`: lists of ids and token -> id."""
    words = {term: token for token, term in tokenized.vocab.items()}
    for position, ids in enumerate(tokenized.ids):
        try:
            yield [words[term] for term in ids]
        except KeyError as error:
            raise InputError(
                f"text {position}: token id {error} is not in the vocabulary"
            ) from error


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
            meta = parse_json(stored["meta"].tobytes().decode("utf-8"), str(path))
            ids, offsets, vocab = _ids(path, stored), stored["offsets"], stored["vocab"]
        if meta["key"] != key or meta["sha256"] != _digest(ids, offsets, vocab):
            return None
        found = Tokens(ids, offsets, parse_json(vocab.tobytes().decode("utf-8"), str(path)))
        return found if _is_whole(found) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, RuntimeError):
        return None  # RuntimeError: a zip file that says encrypted, or packed in a way of its own


def _ids(path: Path, stored: Any) -> np.ndarray:
    """The ids of a file of tokens; those of a large one are mapped, not read."""
    member = stored.zip.getinfo("ids.npy")
    if member.file_size < MAPPED or member.compress_type != zipfile.ZIP_STORED:
        return np.asarray(stored["ids"])
    with stored.zip.open(member) as handle:
        np.lib.format.read_magic(handle)
        shape, _, dtype = np.lib.format.read_array_header_1_0(handle)
        start = handle.tell()
    with path.open("rb") as raw:  # before the array: zip's local header of 30 bytes, name, extra
        raw.seek(member.header_offset + 26)
        name, extra = (int.from_bytes(raw.read(2), "little") for _ in range(2))
        start += member.header_offset + 30 + name + extra
        return np.memmap(raw, dtype, "r", start, shape)


def _is_whole(tokens: Tokens) -> bool:
    """Whether a file's arrays and vocabulary are what Tokens says of them."""
    ids, offsets, vocab = tokens.ids, tokens.offsets, tokens.vocab
    if ids.dtype != np.int32 or offsets.dtype != np.int64 or ids.ndim != 1 or offsets.ndim != 1:
        return False
    if not isinstance(vocab, list) or not all(isinstance(word, str) for word in vocab):
        return False
    tokens.check()
    return len(set(vocab)) == len(vocab)
