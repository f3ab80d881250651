"""Pairs as token ids: [CLS] query [SEP] document [SEP], with two [SEP] between where the tokenizer
puts two (MPNet, RoBERTa).

A query meets the same document in many epochs and arms, so every text is tokenised once and the
pairs are put together from ids. The result is what the tokenizer itself makes of a pair whose
query was cut to `query_length` tokens and whose document was cut to what is left of `max_length`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_replications.shared.errors import InputError

if TYPE_CHECKING:
    import torch

QUERY_LENGTH, MAX_LENGTH = 40, 96  # tokens; the dossier's pilot read 40 of 112
TYPES = ("zero", "pair")
_BRACKETED = re.compile(r"<\w+>|\[\w+\]")  # such as [CLS] or <s>
_CHUNK = 2_000  # texts tokenised at once: the tokenizer's own records are large


class PairTokens:
    """Token ids of queries and documents, cut once, and batches of pairs of them.

    `types` "zero" leaves token types out, which a BERT reads as 0 everywhere: the MiniLM embedder
    knows no others. "pair" gives the document and its [SEP] type 1, as BERT was pre-trained.
    `empty_documents` counts the documents without a token; their pairs are "[CLS] q [SEP] [SEP]".
    `special` counts the special tokens of a pair. A document has as many tokens under `max_length`
    as a BERT leaves it, whatever the tokenizer: a second [SEP] comes on top.

    Raises InputError for a text that is no string, lengths that leave a document no token, other
    `types`, and a tokenizer of another form of pair than BERT's.
    """

    def __init__(
        self,
        tokenizer: Any,
        queries: Sequence[str],
        documents: Sequence[str],
        query_length: int = QUERY_LENGTH,
        max_length: int = MAX_LENGTH,
        types: str = "zero",
    ) -> None:
        if types not in TYPES:
            raise InputError(f"token types {types!r}: expected one of {', '.join(TYPES)}")
        if query_length < 1 or max_length < query_length + 4:
            raise InputError(
                f"query_length {query_length}, max_length {max_length}: expected 1 or more, and "
                "4 more than that for three special tokens and one of the document"
            )
        self._gap = _separators(tokenizer)
        self.special = 2 + self._gap
        self.query_length, self.max_length, self.types = query_length, max_length, types
        self._cls, self._sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        self._pad = tokenizer.pad_token_id
        self._queries = _ids(tokenizer, queries, query_length, "query")
        self._documents = _ids(tokenizer, documents, max_length - 3, "document")
        self._query_sizes = np.array([len(ids) for ids in self._queries], dtype=np.int64)
        self._document_sizes = np.array([len(ids) for ids in self._documents], dtype=np.int64)
        self.empty_documents = int((self._document_sizes == 0).sum())

    def length(self, query: int, document: int) -> int:
        """Tokens of one pair, the special ones included."""
        return int(self.lengths(np.array([query]), np.array([document]))[0])

    def lengths(self, query: np.ndarray, document: np.ndarray) -> np.ndarray:
        """Tokens of each pair of a query and a document by number: int64, the arrays' shape."""
        sizes = self._query_sizes[query] + self._document_sizes[document] + self.special
        return np.minimum(sizes, self.max_length + self._gap - 1)

    def batch(self, query: np.ndarray, document: np.ndarray) -> dict[str, torch.Tensor]:
        """The pairs (query[i], document[i]), n of them, padded on the right to the longest.

        input_ids, attention_mask, query_mask and document_mask, and with types "pair"
        token_type_ids: int64 (n, L). The query's and document's masks hold neither special tokens
        nor padding. Raises InputError for no pairs, and arrays that are not two of (n,).
        """
        import torch

        query, document = np.asarray(query), np.asarray(document)
        if query.ndim != 1 or query.shape != document.shape or not len(query):
            raise InputError(
                f"a batch of queries {query.shape} and documents {document.shape}: expected two "
                "arrays (n,) of numbers, n 1 or more"
            )
        lengths = self.lengths(query, document)
        ids = np.full((len(query), int(lengths.max())), self._pad, dtype=np.int64)
        ids[:, 0] = self._cls
        places = np.arange(ids.shape[1])
        for row, q, d, end in zip(ids, query, document, lengths, strict=True):
            first = self._queries[q]
            cut = len(first) + 1 + self._gap
            row[1 : len(first) + 1] = first
            row[len(first) + 1 : cut] = row[end - 1] = self._sep
            row[cut : end - 1] = self._documents[d][: end - 1 - cut]
        starts = self._query_sizes[query][:, None] + 1 + self._gap  # of the documents
        ends = lengths[:, None]
        masks = {
            "attention_mask": places < ends,
            "query_mask": (places >= 1) & (places < starts - self._gap),
            "document_mask": (places >= starts) & (places < ends - 1),
        }
        if self.types == "pair":
            masks["token_type_ids"] = (places >= starts) & (places < ends)
        inputs = {"input_ids": torch.from_numpy(ids)}
        return inputs | {name: torch.from_numpy(m.astype(np.int64)) for name, m in masks.items()}


def same_tokenizer(a: Any, b: Any) -> bool:
    """Whether both tokenizers give texts the same ids; False: the same word pieces, other ids.

    Raises InputError where the pieces differ: losses on layers compare states token by token.
    """
    if _rules(a) != _rules(b):
        raise InputError(
            "teacher and student read different tokens: their rules of normalising or splitting "
            "words differ"
        )
    if (_vocabulary(a), _special(a)) == (_vocabulary(b), _special(b)):
        return True
    if _pieces(a) != _pieces(b):
        raise InputError("teacher and student read different tokens: their vocabularies differ")
    return False


def _vocabulary(tokenizer: Any) -> dict[str, int]:
    return dict(tokenizer.get_vocab())


def _pieces(tokenizer: Any) -> set[str]:
    """The pieces of texts. What stands in brackets is none: a text is split at punctuation."""
    return {piece for piece in _vocabulary(tokenizer) if not _BRACKETED.fullmatch(piece)}


def _special(tokenizer: Any) -> tuple[int | None, ...]:
    names = ("cls", "sep", "pad", "unk")
    return tuple(getattr(tokenizer, f"{name}_token_id") for name in names)


def _rules(tokenizer: Any) -> Any:
    """What a fast tokenizer does to a text before its vocabulary; None for another kind."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return None
    stated = json.loads(fast.to_str())
    kind = {name: value for name, value in stated["model"].items() if name != "vocab"}
    return stated["normalizer"], stated["pre_tokenizer"], kind


def _separators(tokenizer: Any) -> int:
    """How many [SEP] stand between query and document: 1 or 2.

    Raises InputError unless a pair is [CLS] a [SEP] b [SEP] or [CLS] a [SEP] [SEP] b [SEP], and
    there is a token to pad with.
    """
    name = type(tokenizer).__name__
    cls, sep, pad = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    if None in (cls, sep, pad):
        raise InputError(f"{name} has no [CLS], [SEP] or padding token; expected a BERT's")
    a, b = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("a", "b"))
    made = tokenizer("a", "b", padding=False, truncation=False)["input_ids"]
    for gap in (1, 2):
        if made == [cls, *a, *[sep] * gap, *b, sep]:
            return gap
    raise InputError(
        f"{name} encodes a pair neither as [CLS] a [SEP] b [SEP] nor as [CLS] a [SEP] [SEP] b "
        "[SEP]; use a BERT's or an MPNet's"
    )


def _ids(tokenizer: Any, texts: Sequence[str], limit: int, kind: str) -> list[np.ndarray]:
    """The first `limit` ids of each text, int32, without special tokens."""
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{kind} {number} is {type(text).__name__}, expected a text")
    found: list[np.ndarray] = []
    for start in range(0, len(texts), _CHUNK):
        try:  # padding and truncation off: some tokenizers carry lengths of their own
            made = tokenizer(
                list(texts[start : start + _CHUNK]),
                add_special_tokens=False,
                padding=False,
                truncation=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )["input_ids"]
        except TypeError as error:  # what the tokenizer says of half a surrogate pair
            raise InputError(f"a {kind} is not valid Unicode; clean it") from error
        found.extend(np.array(ids[:limit], dtype=np.int32) for ids in made)
    return found
