"""The reranking prompt, and its tokens as the released code makes them.

Every byte and every rule of length is from mixedbread-ai/mxbai-rerank at 8e709dc
(mxbai_rerank_v2.py), whose ids the package mxbai-rerank 0.1.6 gives too. The pieces of the prompt
are tokenised apart: with Qwen's pre-tokenizer the whole string has other ids wherever a query or a
document ends in punctuation, because "?" and the line end after it become one token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ir_replications.shared.errors import InputError

PREFIX = (
    "<|im_start|>system\n"
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n"
)
TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. "
    "For each query-document pair, carefully analyze the semantic relationship between them, then "
    "provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
SEPARATOR = "\n"
MAX_LENGTH = 8192  # tokens of instruction, query and document together

Pairs = Sequence[tuple[str, str]]  # (query, document)


def query_text(query: str, instruction: str | None = None) -> str:
    """The query's piece of the prompt; an empty instruction is none, as in the released code."""
    asked = f"query: {query}"
    return f"instruction: {instruction}{SEPARATOR}{asked}" if instruction else asked


def document_text(document: str) -> str:
    """The document's piece of the prompt."""
    return f"document: {document}"


def prompt_text(query: str, document: str, instruction: str | None = None) -> str:
    """The whole prompt; the answer, "0" or "1", is the first token after it.

    For reading: its tokens are those of PromptTokenizer, not those of this string.
    """
    pieces = [query_text(query, instruction), document_text(document), TASK]
    return PREFIX + SEPARATOR.join(pieces) + SUFFIX


def answer_ids(tokenizer: Any) -> tuple[int, int]:
    """Token ids of "0" and "1", without a space before them.

    The released code takes the first token of each, which is the same one for both where a
    tokenizer puts a space in front, and then every score is 0. Raises InputError unless each is
    one token of its own.
    """
    found = {}
    for answer in ("0", "1"):
        ids = list(tokenizer(answer, add_special_tokens=False)["input_ids"])
        if len(ids) != 1 or ids[0] == getattr(tokenizer, "unk_token_id", None):
            raise InputError(
                f"the tokenizer makes {answer!r} the ids {ids}; expected one known token, "
                "since the score compares the logits of two tokens; use another model"
            )
        found[answer] = int(ids[0])
    if found["0"] == found["1"]:
        raise InputError(f"'0' and '1' are the same token ({found['0']}); use another model")
    return found["0"], found["1"]


class PromptTokenizer:
    """(query, document) -> token ids of the prompt.

    `max_length` limits instruction, query, separator and document together; the template comes on
    top and is never cut. `model_max`, the positions of the model, lowers it where template and
    texts would not fit; None means no limit. The query keeps at most 3/4 of it, and then only the
    document is cut, at its end. An empty query or document is a text like any other, as in the
    released code. `task` is what is asked, in other words than the released ones where given.
    Raises InputError when no token of a document would fit.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_length: int = MAX_LENGTH,
        model_max: int | None = None,
        task: str | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        pieces = self._tokens([PREFIX, SEPARATOR, TASK if task is None else task, SUFFIX])
        self._prefix, self._separator = pieces[0], pieces[1]
        self._end = [*pieces[1], *pieces[2], *pieces[3]]
        self.template_length = len(self._prefix) + len(self._end)
        if max_length < 1:
            raise InputError(f"max_length {max_length}: expected a positive number of tokens")
        self.max_length = max_length
        limit = f"max_length {max_length}"
        if model_max is not None and max_length + self.template_length > model_max:
            self.max_length, limit = model_max - self.template_length, f"a context of {model_max}"
        if self.max_length - self._query_limit - len(self._separator) < 1:
            raise InputError(
                f"{limit} leaves {max(self.max_length, 0)} tokens for query and document beside "
                f"the {self.template_length} of the prompt, which is never cut; expected 5 or more"
            )

    @property
    def _query_limit(self) -> int:
        return self.max_length * 3 // 4

    def encode(self, query: str, document: str, instruction: str | None = None) -> list[int]:
        """Token ids of one prompt, without padding."""
        return self.encode_pairs([(query, document)], instruction)[0]

    def encode_pairs(self, pairs: Pairs, instruction: str | None = None) -> list[list[int]]:
        """Token ids of each pair's prompt; equal queries and documents are tokenised once.

        Raises InputError where a query or document is not a text, naming the pair.
        """
        for number, pair in enumerate(pairs, start=1):
            for kind, text in zip(("query", "document"), pair, strict=True):
                if not isinstance(text, str):
                    name = type(text).__name__
                    raise InputError(f"pair {number}: the {kind} is {name}, expected a text")
        queries = self._table(query_text(query, instruction) for query, _ in pairs)
        documents = self._table(document_text(document) for _, document in pairs)
        prompts = []
        for query, document in pairs:
            first = queries[query_text(query, instruction)][: self._query_limit]
            second = self._separator + documents[document_text(document)]
            second = second[: self.max_length - len(first)]
            prompts.append([*self._prefix, *first, *second, *self._end])
        return prompts

    def cut(self, pairs: Pairs, instruction: str | None = None) -> np.ndarray:
        """Whether a pair's query or document is longer than its place in the prompt: bool (n,)."""
        queries = self._table(query_text(query, instruction) for query, _ in pairs)
        documents = self._table(document_text(document) for _, document in pairs)
        found = np.zeros(len(pairs), dtype=bool)
        for i, (query, document) in enumerate(pairs):
            first = len(queries[query_text(query, instruction)])
            kept = min(first, self._query_limit)
            whole = len(self._separator) + len(documents[document_text(document)])
            found[i] = first > kept or whole > self.max_length - kept
        return found

    def batch(
        self, pairs: Pairs, pad_to_multiple_of: int = 8, instruction: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Left-padded token ids and their 0/1 mask, both int64 (n, L), in the order of the pairs.

        L is the longest prompt, raised to a multiple of `pad_to_multiple_of`.
        """
        return pad_left(self.encode_pairs(pairs, instruction), self.pad_id, pad_to_multiple_of)

    @property
    def pad_id(self) -> int:
        """The id to pad with, 0 where the tokenizer has none: padding is masked in any case."""
        return int(self.tokenizer.pad_token_id or 0)

    def _table(self, texts: Iterable[str]) -> dict[str, list[int]]:
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self._tokens(distinct), strict=True))

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        try:  # not verbose: long documents are cut here, not by the tokenizer
            return self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        except TypeError as error:  # what the tokenizer says of half a surrogate pair
            raise InputError("a query or document is not valid Unicode; clean it") from error


def pad_left(
    rows: Sequence[Sequence[int]], pad_id: int, multiple: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Pad rows of ids on the left: ids and 0/1 mask, int64 (n, L).

    The answer is read at the last position, which must be the prompt's own. L is the greatest
    length raised to a multiple of `multiple`.
    """
    if not rows or multiple < 1:
        raise InputError(f"{len(rows)} rows padded to a multiple of {multiple}: expected 1 or more")
    length = -(-max(map(len, rows)) // multiple) * multiple
    ids = np.full((len(rows), length), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, length - len(row) :] = row
        mask[i, length - len(row) :] = 1
    return ids, mask
