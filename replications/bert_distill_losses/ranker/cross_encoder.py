"""A trained teacher or student at work: `CrossEncoder(folder).rerank(query, documents)`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.ranker.files import READS, load_ranker, read_stated
from ir_replications.bert_distill_losses.ranker.scoring import score_pairs
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.shared.own_code import code_of
from ir_replications.shared.processor import usual_device
from ir_replications.shared.reading import user_path
from ir_replications.shared.retrieval.reranking import Ranked, by_score, checked_documents
from ir_replications.shared.training.folder import check_weights, digest_of, weights_checksums

Pairs = Sequence[tuple[str, str]]  # (query, document)


class CrossEncoder:
    """The ranker in a folder of weights (final/ of a training), with the lengths it was trained at.

    `max_length` limits query, document and special tokens, `query_length` the query alone; both
    are by default those of the training. What is longer is cut at its end, which an InputWarning
    counts. The model is loaded by the first score, on the GPU if there is one. Raises InputError
    for a folder of something else, altered weights, and limits that leave a document no token.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        query_length: int | None = None,
        max_length: int | None = None,
    ) -> None:
        self.folder = user_path(folder)
        stated = read_stated(self.folder)
        check_weights(self.folder)
        given = {"query_length": query_length, "max_length": max_length}
        chosen = {name: value for name, value in given.items() if value is not None}
        self.reads: dict[str, Any] = READS | stated.get("reads", {}) | chosen
        first, both = self.reads["query_length"], self.reads["max_length"]
        if first < 1 or both < first + 4:
            raise InputError(
                f"query_length {first}, max_length {both}: expected 1 or more, and 4 more than "
                "that for three special tokens and one of the document"
            )

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores depend on: weights, limits and code."""
        return {
            "kind": "ranker",
            "weights_sha256": digest_of(weights_checksums(self.folder)),
            "reads": self.reads,
            "ranker_code_sha256": code_of(__name__),
        }

    @cached_property
    def _ranker(self) -> Any:
        return load_ranker(self.folder).to(usual_device())

    def score(self, pairs: Pairs) -> np.ndarray:
        """Scores of (query, document) pairs, float32 (n,), in their order; higher is better.

        A pair's score does not depend on the others, up to the rounding of batches. Raises
        InputError, naming the pair, for what is no text and for a score that is not finite.
        """
        pairs = list(pairs)
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        queries, documents = (list(dict.fromkeys(texts)) for texts in zip(*pairs, strict=True))
        tokens = PairTokens(
            self._ranker.tokenizer,
            queries,
            documents,
            query_length=self.reads["query_length"],
            max_length=self.reads["max_length"],
            types=self.reads["token_types"],
        )
        places = [{text: i for i, text in enumerate(texts)} for texts in (queries, documents)]
        query, document = (
            np.array([place[pair[side]] for pair in pairs]) for side, place in enumerate(places)
        )
        if number := int(self.cut(pairs).sum()):
            warnings.warn(
                f"{number} of {len(pairs)} pairs are longer than the limit of tokens and were cut",
                InputWarning,
                stacklevel=2,
            )
        return score_pairs(self._ranker, tokens, query, document)

    def cut(self, pairs: Pairs) -> np.ndarray:
        """Whether each pair loses tokens to a limit of length: bool (n,)."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        if not texts:
            return np.zeros(0, dtype=bool)
        made = self._ranker.tokenizer(
            texts, add_special_tokens=False, padding=False, truncation=False, verbose=False
        )["input_ids"]
        length = {text: len(ids) for text, ids in zip(texts, made, strict=True)}
        # A second [SEP] takes nothing from the document: see PairTokens.
        limit, room = self.reads["query_length"], self.reads["max_length"] - 3
        return np.array(
            [
                length[query] > limit or min(length[query], limit) + length[text] > room
                for query, text in pairs
            ]
        )

    def rerank(self, query: str, documents: Sequence[str]) -> list[Ranked]:
        """The documents with their numbers (from 0) and scores, the best first.

        Ties stay in the order given. Raises InputError as `score`.
        """
        documents = checked_documents(documents)
        return by_score(documents, self.score([(query, text) for text in documents]).tolist())
