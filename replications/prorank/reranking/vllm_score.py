"""The relevance score s = z("1") - z("0") through vLLM, for large collections on a GPU.

vLLM's page "Scoring Usages" (docs.vllm.ai, models/pooling_models/scoring) loads mxbai-rerank-v2 as
a classifier with the overrides of `_overrides`: the head becomes the one row w1 - w0 (method
from_2_way_softmax), kept in float32 (ModelConfig.head_dtype) and applied to the last state, which
is PairScorer's own path. The sigmoid on top is switched off with use_activation=False, as the page
"Classification Usages" has it; in half precision it makes ties.

Two other routes are worse. One generated token with its log-probabilities takes the difference of
two logits that bfloat16 has rounded apart (up to 1/16 each at 20), and the most likely tokens that
vLLM reports need not hold both answers. LLM.score makes the prompt from texts, and one string has
other tokens than the pieces of prompt.py; vLLM's issue 22983 is of scores that differ.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.prorank.method.prompt import MAX_LENGTH, Pairs, PromptTokenizer, answer_ids
from ir_replications.prorank.method.score import finite
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.models.folder import check_texts, loading
from ir_replications.shared.models.references import ModelFiles, fetch_model, load_causal_lm
from ir_replications.shared.training.adapters import load_adapter

# Their logits are the product of head and state and nothing else; the conversion assumes that.
ARCHITECTURES = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")


class VllmScorer:
    """Scores (query, document) pairs with a causal language model in a vLLM engine.

    `ref` is a model reference (shared.models.references), `lora` the folder of an adapter trained
    on that model. The adapter is merged before vLLM sees the weights, in a temporary copy of the
    model: what vLLM does with adapters of classifiers has changed between its versions.
    `max_length` is in tokens, as in PromptTokenizer; `dtype` is the engine's; `options` go to
    vllm.LLM.

    Scores are those of PairScorer up to rounding, which in half precision varies with the batch.

    Raises MissingDependencyError where vLLM is absent or too old, InputError for a model whose
    head is not a plain product, a tokenizer without tokens for "0" and "1", an adapter of another
    model, and a prompt that leaves no room for a document.
    """

    def __init__(
        self,
        ref: str,
        *,
        max_length: int = MAX_LENGTH,
        lora: Path | str | None = None,
        dtype: str = "bfloat16",
        **options: Any,
    ) -> None:
        vllm = _vllm()
        self._raw = _raw_scores(vllm)
        files = fetch_model(ref)
        config, tokenizer = _config_and_tokenizer(files.path)
        overrides = _overrides(ref, config)
        _check_answers(tokenizer)
        positions = getattr(config, "max_position_embeddings", None)
        self.prompts = PromptTokenizer(tokenizer, max_length, positions)
        with tempfile.TemporaryDirectory(prefix="merged-") as scratch:
            weights = files.path
            if lora is not None:
                weights = Path(scratch)
                _save_merged(files, Path(lora), dtype, weights)
            self._llm = vllm.LLM(
                model=str(weights),
                tokenizer=str(files.path),
                runner="pooling",
                hf_overrides=overrides,
                dtype=dtype,
                max_model_len=self.prompts.template_length + self.prompts.max_length,
                trust_remote_code=False,
                **options,
            )

    def score(self, pairs: Pairs, instruction: str | None = None) -> np.ndarray:
        """s of each pair, float32 (n,), in the order of the pairs.

        All prompts are handed over at once; vLLM makes the batches. Raises InputError, naming the
        pair, where a score is not finite, and RuntimeError where vLLM scored other prompts.
        """
        rows = self.prompts.encode_pairs(pairs, instruction)
        if not rows:
            return np.empty(0, dtype=np.float32)
        inputs = [{"prompt_token_ids": row} for row in rows]
        done = self._llm.classify(inputs, pooling_params=self._raw, use_tqdm=False)
        if len(done) != len(rows):
            raise RuntimeError(f"vLLM returned {len(done)} of {len(rows)} scores")
        scores = np.empty(len(rows), dtype=np.float32)
        for i, (row, request) in enumerate(zip(rows, done, strict=True)):
            if list(request.prompt_token_ids) != row:
                raise RuntimeError(f"vLLM scored another prompt than that of pair {i + 1}")
            if len(request.outputs.probs) != 1:
                raise RuntimeError(f"vLLM returned {len(request.outputs.probs)} classes, not one")
            scores[i] = request.outputs.probs[0]
        return finite(scores, pairs)

    def cut(self, pairs: Pairs, instruction: str | None = None) -> np.ndarray:
        """Whether each pair loses tokens to `max_length` or the model's context: bool (n,)."""
        return self.prompts.cut(pairs, instruction)


def _overrides(ref: str, config: Any) -> dict[str, Any]:
    """What turns the configuration of a causal language model into that of a classifier."""
    found = list(getattr(config, "architectures", None) or ["none"])
    if found[0] not in ARCHITECTURES:
        raise InputError(
            f"{ref}: {found[0]} is not among {', '.join(ARCHITECTURES)}, whose head vLLM can turn "
            "into a classifier's without loss; score it with PairScorer"
        )
    return {
        "architectures": [found[0].replace("ForCausalLM", "ForSequenceClassification")],
        "classifier_from_token": ["0", "1"],  # the first is subtracted
        "method": "from_2_way_softmax",
    }


def _check_answers(tokenizer: Any) -> None:
    """Raise InputError unless vLLM's look-up of the two answers finds the tokens that they are."""
    expected = list(answer_ids(tokenizer))
    found = list(tokenizer.convert_tokens_to_ids(["0", "1"]))
    if found != expected:
        raise InputError(
            f"vLLM takes the tokens {found} for '0' and '1', which are {expected}; score this "
            "model with PairScorer"
        )


def _save_merged(files: ModelFiles, lora: Path, dtype: str, target: Path) -> None:
    """Write the model with its adapter merged to `target`: merged in float32, then rounded."""
    import torch

    model, _ = load_causal_lm(files.ref)
    merged = load_adapter(model, lora, files.sha256)
    merged.to(getattr(torch, dtype)).save_pretrained(str(target))


def _config_and_tokenizer(path: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoTokenizer

    options = {"local_files_only": True, "trust_remote_code": False}
    check_texts(path)
    with loading(path, "no model of transformers"):
        config = AutoConfig.from_pretrained(str(path), **options)
        return config, AutoTokenizer.from_pretrained(str(path), **options)


def _raw_scores(vllm: Any) -> Any:
    """vLLM's parameters for the head's product without the sigmoid."""
    try:
        return vllm.PoolingParams(use_activation=False)
    except TypeError as error:
        raise MissingDependencyError(
            "this vllm cannot leave out the activation: pip install 'vllm>=0.12'"
        ) from error


def _vllm() -> Any:
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise MissingDependencyError(
            "vllm is not installed: pip install vllm (Linux with a GPU), or score with PairScorer"
        ) from error
