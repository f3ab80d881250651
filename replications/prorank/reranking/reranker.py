"""A scorer by reference: a language model, trained or not, or a cross-encoder; its candidates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ir_replications.prorank.method.prompt import PREFIX, SUFFIX, TASK, Pairs
from ir_replications.prorank.reranking.released import Model
from ir_replications.prorank.reranking.score_file import Done, ScoreFile
from ir_replications.prorank.reranking.space import spread
from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import find_cache_dir, sha256_file
from ir_replications.shared.models.folder import check_finite, check_texts, loading
from ir_replications.shared.models.references import fetch_model, load_causal_lm
from ir_replications.shared.own_code import code_of
from ir_replications.shared.processor import usual_device
from ir_replications.shared.training import digest_of
from ir_replications.shared.training.adapters import check_base, load_adapter
from ir_replications.shared.training.folder import check_weights

SPACE = 20  # candidates of a query whose last hidden states are compared


class Scorer(Protocol):
    """Whatever scores pairs: PairScorer, CrossEncoderScorer, VllmScorer."""

    def score(self, pairs: Pairs) -> np.ndarray:
        """A float32 score for each (query, document)."""

    def cut(self, pairs: Pairs) -> np.ndarray:
        """Whether each pair loses tokens to a limit of length: bool (n,)."""


@dataclass(frozen=True)
class LazyScorer:
    """A scorer, loaded when it is first needed, and all that its scores depend on."""

    identity: Mapping[str, Any]
    load: Callable[[], Scorer]

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer itself."""
        return self.load()


def causal_reranker(
    ref: str,
    weights: Path | None = None,
    *,
    max_length: int = 8192,
    bf16: bool = False,
    batch_size: int = 32,
    download: bool = True,
) -> LazyScorer:
    """The model `ref`, with the adapter or the whole trained model in `weights` if given.

    Raises InputError for an unknown reference, and for an adapter that was trained on another
    base model.
    """
    base = fetch_model(ref, download=download).sha256
    trained = None if weights is None else weights_sha256(weights)
    if weights is not None:
        check_weights(weights)
        check_base(weights, base)
    prompt = hashlib.sha256((PREFIX + TASK + SUFFIX).encode()).hexdigest()
    identity = {
        "kind": "causal",
        "model_sha256": base,
        "weights_sha256": trained,
        "prompt_sha256": prompt,
        "max_length": max_length,
        "bf16": bf16,
    }

    def load() -> Scorer:
        from ir_replications.prorank.method.score import PairScorer

        model, tokenizer = trained_model(ref, weights, "bfloat16" if bf16 else "float32")
        return PairScorer(model, tokenizer, max_length=max_length, batch_size=batch_size)

    return LazyScorer(identity, load)


def cross_encoder_reranker(ref: str, *, max_length: int = 512, bf16: bool = False) -> LazyScorer:
    """A cross-encoder with a score head, for comparison. Raises InputError for another model."""

    def load() -> Scorer:
        from ir_replications.prorank.reranking.cross_encoder import (
            CrossEncoderScorer,
            load_cross_encoder,
        )

        model, tokenizer = load_cross_encoder(ref)
        return CrossEncoderScorer(model, tokenizer, max_length=max_length, bf16=bf16)

    base = fetch_model(ref).sha256
    kind = {"kind": "cross-encoder", "model_sha256": base, "max_length": max_length, "bf16": bf16}
    return LazyScorer(kind, load)


def any_reranker(
    model: Model | str,
    weights: Path | None = None,
    *,
    max_length: int | None = None,
    bf16: bool = False,
    engine: str = "transformers",
) -> LazyScorer:
    """A reranker by reference or from released.MODELS, scored by transformers or by vLLM.

    A reference is of a causal language model or of a sequence classifier with one label
    (a cross-encoder), as its config.json says; by default the first reads 8192 tokens of query and
    document, the other 512. Raises InputError for what the engine or the kind
    of model cannot do.
    """
    ref = model if isinstance(model, str) else model.ref
    kind = _kind(ref) if isinstance(model, str) else model.kind
    if kind == "cross-encoder":
        name = ref if isinstance(model, str) else model.name
        if weights is not None or engine != "transformers":
            raise InputError(f"{name}: cross-encoders take no weights and no other engine")
        return cross_encoder_reranker(ref, max_length=max_length or 512, bf16=bf16)
    max_length = max_length or 8192
    causal = causal_reranker(ref, weights, max_length=max_length, bf16=bf16)
    if engine == "transformers":
        return causal

    def load() -> Scorer:
        from ir_replications.prorank.reranking.vllm_score import VllmScorer

        return VllmScorer(ref, max_length=max_length, lora=weights)

    return LazyScorer({**causal.identity, "engine": engine}, load)


def _kind(ref: str) -> str:
    """Cross-encoder or causal model, as the config.json of a model's folder says.

    Raises InputError for an encoder without a head, which scores no pair.
    """
    architectures = check_texts(fetch_model(ref).path).get("architectures")
    found = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    if found.endswith("ForMaskedLM") or (found.endswith("Model") and "LMHead" not in found):
        raise InputError(
            f"{ref}: is a {found:.60}, which scores no pairs; expected a causal language model, a "
            "cross-encoder of one label, or final/ of a training"
        )
    return "cross-encoder" if found.endswith("ForSequenceClassification") else "causal"


def trained_model(ref: str, weights: Path | None = None, dtype: str = "float32") -> tuple[Any, Any]:
    """(model, tokenizer) in `dtype`, on the GPU if there is one; an adapter in `weights` is merged.

    Merged in float32, and rounded afterwards.

    Raises InputError for weights that do not fit the model.
    """
    import torch

    model, tokenizer = load_causal_lm(ref, dtype="float32" if weights else dtype)
    if weights is not None and (weights / "adapter_model.safetensors").is_file():
        model = load_adapter(model, weights, fetch_model(ref).sha256)
    elif weights is not None:
        with loading(weights, "not this model's weights"):
            model = type(model).from_pretrained(str(weights), dtype=model.dtype).eval()
        check_finite(model.state_dict(), weights)
    return model.to(getattr(torch, dtype)).to(usual_device()), tokenizer


def weights_sha256(folder: Path) -> str:
    """One sha256 of the safetensors files in a folder of trained weights."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder}: no weights; expected the final folder of a training run")
    return digest_of({path.name: sha256_file(path) for path in files})


def score_candidates(
    reranker: LazyScorer,
    collection: Collection,
    candidates: Mapping[str, Sequence[str]],
    folder: Path | None = None,
    done: Done | None = None,
) -> ScoreFile:
    """Scores of every candidate of every query, kept in the cache (or `folder`) as they are made.

    `done` is told of each query. Documents are "title text". With a causal model the numbers of a
    query are those of `space.spread` on its first candidates. Raises InputError for a score that
    is not finite.
    """
    request = {
        **reranker.identity,
        "collection": collection.id,
        "data_sha256": collection.sha256,
        "code_sha256": code_of(__name__),
    }
    name = f"prorank-{digest_of(request)[:16]}.jsonl"
    file = ScoreFile((folder or find_cache_dir() / "scores") / name, request)
    texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))

    def produce(qid: str, docids: Sequence[str]) -> tuple[Sequence[float], Mapping[str, float]]:
        pairs = [(collection.queries[qid], texts[docid]) for docid in docids]
        scorer = reranker.scorer
        if getattr(scorer, "path", None) != "row":
            return scorer.score(pairs).tolist(), {}
        scores, states = scorer.score_with_states(pairs)  # type: ignore[attr-defined]
        return scores.tolist(), spread(states[:SPACE], scores[:SPACE])

    file.fill(candidates, produce, done)
    return file
