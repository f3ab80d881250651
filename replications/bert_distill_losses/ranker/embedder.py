"""The pre-trained model as it comes: a sentence embedder that reads query and document apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ir_replications.shared.models.references import load_encoder
from ir_replications.shared.processor import usual_device

BATCH = 64  # texts


def cosines(
    ref: str,
    queries: Sequence[str],
    documents: Sequence[str],
    query: np.ndarray,
    document: np.ndarray,
    *,
    max_length: int,
    bf16: bool = False,
    done: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Cosines, float32, of queries[query] and documents[document], index arrays of one shape.

    Of the mean states of all tokens, each text cut to `max_length` tokens. `done` is told of every
    batch how many texts it had.
    """
    first, second = (
        _embedded(ref, texts, max_length, bf16, done) for texts in (queries, documents)
    )
    return np.einsum("...d,...d->...", first[query], second[document])


def _embedded(
    ref: str, texts: Sequence[str], max_length: int, bf16: bool, done: Callable[[int], None]
) -> np.ndarray:
    """Unit vectors, float32 (n, d), of the texts."""
    import torch

    encoder, tokenizer = load_encoder(ref)
    device = usual_device()
    encoder = encoder.to(device)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.empty((len(texts), encoder.config.hidden_size), np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        inputs = tokenizer(
            [texts[i] for i in rows], padding=True, truncation=True, max_length=max_length,
            return_tensors="pt",
        ).to(device)  # fmt: skip
        half = torch.autocast(device, torch.bfloat16, enabled=bf16)
        with torch.inference_mode(), half:
            states = encoder(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][..., None]
        mean = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
        vectors[rows] = mean.cpu().numpy()
        done(len(rows))
    return vectors
