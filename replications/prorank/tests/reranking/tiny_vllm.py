"""Stands for vllm: an engine that turns a tiny model into a classifier as vLLM documents it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import torch


class PoolingParams:
    """vllm.PoolingParams with the one switch that matters here."""

    def __init__(self, *, use_activation: bool | None = None) -> None:
        self.use_activation = use_activation


class Engine:
    """vllm.LLM for one converted model: w1 - w0 on the last state, then a sigmoid if wanted.

    Keeps what the last engine was made with and given; `alter` changes what it returns.
    """

    made: ClassVar[dict[str, Any]] = {}
    calls: ClassVar[list[list[dict[str, Any]]]] = []
    alter: ClassVar[Callable[[list[Any]], list[Any]]] = list

    def __init__(self, **options: Any) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        Engine.made, Engine.calls = options, []
        overrides, dtype = options["hf_overrides"], getattr(torch, options["dtype"])
        assert options["runner"] == "pooling" and overrides["method"] == "from_2_way_softmax"
        tokenizer = AutoTokenizer.from_pretrained(options["tokenizer"])
        model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=dtype).eval()
        tokens = overrides["classifier_from_token"]
        first, second = (tokenizer.convert_tokens_to_ids(token) for token in tokens)
        rows = model.get_output_embeddings().weight.float()
        self.model, self.head = model, rows[second] - rows[first]

    @torch.inference_mode()
    def classify(
        self, prompts: list[dict[str, Any]], *, pooling_params: PoolingParams, use_tqdm: bool
    ) -> list[Any]:
        """One ClassificationRequestOutput for each prompt."""
        Engine.calls.append(prompts)
        done = []
        for prompt in prompts:
            assert set(prompt) == {"prompt_token_ids"}
            ids = prompt["prompt_token_ids"]
            state = self.model.model(torch.tensor([ids])).last_hidden_state[0, -1]
            score = state.float() @ self.head
            score = score if pooling_params.use_activation is False else score.sigmoid()
            outputs = SimpleNamespace(probs=[score.item()])
            done.append(SimpleNamespace(prompt_token_ids=list(ids), outputs=outputs))
        return Engine.alter(done)


def fake_vllm() -> Any:
    """A module to put in the place of vllm."""
    module: Any = ModuleType("vllm")
    module.LLM, module.PoolingParams = Engine, PoolingParams
    return module
