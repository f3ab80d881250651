"""Text generation by vLLM, for `CachedGenerator`: the same prompts, sampling and file of texts.

vLLM draws its own random numbers from the seed that each text gets, so its texts are others than
transformers'; they can also differ with the batch, since it computes with other kernels.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.models.generation import Prompt, Row, encode
from ir_replications.shared.models.sampling import Sampling, text_seed
from ir_replications.shared.reading import is_whole, read_json

_RANKS = (8, 16, 32, 64, 128, 256)


class VllmModel:
    """A vLLM engine, with a LoRA adapter where `adapter` is the folder of one.

    `max_model_len` is the context, prompt and new tokens together; `options` go to vllm.LLM.
    Raises MissingDependencyError where vLLM is not installed.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        dtype: str = "bfloat16",
        max_model_len: int = 16_000,
        adapter: Path | str | None = None,
        **options: Any,
    ) -> None:
        self._vllm = _vllm()
        self.config = SimpleNamespace(max_position_embeddings=max_model_len)
        lora: dict[str, Any] = {}
        self._adapter = None
        if adapter is not None:
            lora = {"enable_lora": True, "max_lora_rank": _room_for_rank(Path(adapter))}
            request = importlib.import_module("vllm.lora.request").LoRARequest
            self._adapter = request("adapter", 1, str(adapter))
        self._llm = self._vllm.LLM(
            model=str(path),
            dtype=dtype,
            max_model_len=max_model_len,
            trust_remote_code=False,
            **lora,
            **options,
        )

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, with its chat template."""
        return self._llm.get_tokenizer()

    def generate(self, prompts: list[list[int]], seeds: list[int], sampling: Sampling) -> list[str]:
        """One text for each tokenised prompt."""
        parameters = [
            self._vllm.SamplingParams(
                max_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k or -1,
                repetition_penalty=sampling.repetition_penalty,
                seed=seed,
            )
            for seed in seeds
        ]
        inputs = [{"prompt_token_ids": prompt} for prompt in prompts]
        done = self._llm.generate(inputs, parameters, use_tqdm=False, lora_request=self._adapter)
        if len(done) != len(prompts):
            raise RuntimeError(f"vLLM returned {len(done)} of {len(prompts)} texts")
        return [request.outputs[0].text for request in done]


def produce_with_vllm(
    model: VllmModel,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    sampling: Sampling,
    batch_size: int,
) -> Iterator[tuple[Row, str]]:
    """Yield each row with its text; `batch_size` texts are handed to the engine at a time."""
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected a positive number of texts")
    context = model.config.max_position_embeddings
    rendered, encoded = encode(tokenizer, prompts, rows, sampling, context)
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        # torch takes seeds of 64 bits with a sign.
        seeds = [text_seed(rendered[r.prompt], r.sample, sampling) % 2**63 for r in batch]
        texts = model.generate([encoded[r.prompt] for r in batch], seeds, sampling)
        yield from zip(batch, texts, strict=True)


def _room_for_rank(adapter: Path) -> int:
    """The least of the maximal ranks that vLLM knows which holds the adapter's."""
    path = adapter / "adapter_config.json"
    config = read_json(path) if path.is_file() else None
    rank = config.get("r") if isinstance(config, dict) else None
    for size in _RANKS:
        if is_whole(rank, at_least=1) and size >= rank:  # type: ignore[operator]
            return size
    raise InputError(f"{path}: expected a LoRA adapter of rank <= {_RANKS[-1]}")


def _vllm() -> Any:
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise MissingDependencyError(
            "vllm is not installed: pip install vllm (Linux with a GPU), or leave the backend at "
            "transformers"
        ) from error
