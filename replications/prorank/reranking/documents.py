"""Rerank texts from Python: `Reranker(model).rerank(query, documents)`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ir_replications.prorank.method.prompt import Pairs
from ir_replications.prorank.reranking.released import MODELS
from ir_replications.prorank.reranking.reranker import any_reranker
from ir_replications.shared.errors import InputWarning
from ir_replications.shared.reading import user_path
from ir_replications.shared.retrieval.reranking import Ranked, by_score, checked_documents


class Reranker:
    """A language model that puts documents in the order of their relevance to a query.

    `model` is a reference (shared.models.references: "embedded:<name>", a folder,
    "hub:<org>/<name>@<revision>") or a short name of released.MODELS, such as
    "mxbai-rerank-base-v2"; a sequence classifier with one label serves too. `weights` is the
    final/ folder of a training (`replicate train prorank`): an adapter, or a whole model.
    `max_length` limits query and document together, in tokens, by default 8192, of cross-encoders
    512; the end of a longer document is cut, which an InputWarning counts. `bf16` computes in
    bfloat16. `engine` is "transformers", or "vllm" on a GPU. The model is loaded by the first
    score, on the GPU if there is one.

    Raises InputError for an unknown model, weights of another one, and what the engine cannot do;
    MissingDependencyError where a package is absent.
    """

    def __init__(
        self,
        model: str,
        weights: Path | str | None = None,
        *,
        max_length: int | None = None,
        bf16: bool = False,
        engine: str = "transformers",
    ) -> None:
        self._lazy = any_reranker(
            MODELS.get(model, model),
            None if weights is None else user_path(weights),
            max_length=max_length,
            bf16=bf16,
            engine=engine,
        )

    def score(self, pairs: Pairs) -> np.ndarray:
        """Scores of (query, document) pairs, float32 (n,), in their order; higher is better.

        Those of a language model are the log-odds of the answer "1" against "0", those of a
        cross-encoder its raw logits. A pair's score does not depend on the others, up to the
        rounding of batches. Raises InputError, naming the pair, for what is no text and for a
        score that is not finite.
        """
        pairs = list(pairs)
        scores = self._lazy.scorer.score(pairs)
        if number := int(self._lazy.scorer.cut(pairs).sum()):
            warnings.warn(
                f"{number} of {len(pairs)} pairs are longer than the limit of tokens and were cut",
                InputWarning,
                stacklevel=2,
            )
        return scores

    def rerank(self, query: str, documents: Sequence[str]) -> list[Ranked]:
        """The documents with their numbers (from 0) and scores, the best first.

        Ties stay in the order given. Raises InputError as `score`.
        """
        documents = checked_documents(documents)
        return by_score(documents, self.score([(query, text) for text in documents]).tolist())
