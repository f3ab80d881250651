"""Scores of many pairs: batches of like length, as many pairs as a budget of tokens allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.shared.errors import InputError

if TYPE_CHECKING:
    from ir_replications.bert_distill_losses.ranker.model import Ranker

BATCH_TOKENS = 8_192  # padding included


def score_pairs(
    ranker: Ranker,
    tokens: PairTokens,
    query: np.ndarray,
    document: np.ndarray,
    *,
    batch_tokens: int = BATCH_TOKENS,
    bf16: bool = False,
) -> np.ndarray:
    """Scores, float32 (n,), of the pairs (query[i], document[i]), numbers within `tokens`.

    Without dropout; every module is afterwards in the mode that it was in. Batches depend on
    which pairs there are and not on their order, so the order changes no bit of a score. `bf16`
    computes the states in bfloat16. Raises InputError for arrays that are not two of (n,), a
    budget below one token, and, naming the pair, a score that is not finite.
    """
    import torch

    query, document = np.asarray(query), np.asarray(document)
    if query.ndim != 1 or query.shape != document.shape:
        raise InputError(
            f"queries {query.shape} and documents {document.shape}: expected two arrays (n,)"
        )
    # Each pair once: a second copy in another batch could differ in its last bit.
    pairs, place = np.unique(np.stack([query, document]), axis=1, return_inverse=True)
    found = np.empty(pairs.shape[1], dtype=np.float32)
    half = torch.autocast(ranker.device.type, torch.bfloat16) if bf16 else nullcontext()
    # Autocast around all batches: weights are then cast once, not once a batch.
    with torch.inference_mode(), evaluating(ranker), half:
        for chosen in plan_batches(tokens, pairs[0], pairs[1], batch_tokens):
            found[chosen] = ranker(tokens.batch(pairs[0, chosen], pairs[1, chosen])).cpu().numpy()
    scores = found[place.ravel()]
    for i in np.flatnonzero(~np.isfinite(scores))[:1]:
        raise InputError(
            f"pair {i} (query {query[i]}, document {document[i]}): the score is {scores[i]}; "
            "check the ranker's weights"
        )
    return scores


def plan_batches(
    tokens: PairTokens, query: np.ndarray, document: np.ndarray, batch_tokens: int = BATCH_TOKENS
) -> Iterator[np.ndarray]:
    """Places of the pairs of each batch, the longest first: rows times longest <= `batch_tokens`.

    A pair longer than the budget is a batch of its own. Equal pairs, in whatever order they are
    given, make the same batches. Raises InputError for a budget below one token.
    """
    if batch_tokens < 1:
        raise InputError(f"batch_tokens {batch_tokens}: expected 1 or more")
    if not len(query):
        return
    lengths = tokens.lengths(query, document)
    order = np.lexsort((document, query, -lengths))
    start = 0
    while start < len(order):
        rows = max(1, batch_tokens // int(lengths[order[start]]))
        yield order[start : start + rows]
        start += rows


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Without dropout; each module is afterwards in the mode that it was in."""
    trained = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in trained:
            module.training = True
