"""Reasoned queries: a causal LM, with or without a LoRA adapter, rewrites queries for retrieval.

Sampling is the released code's (question_rewriting.py): temperature 0.7, top-p 0.8, top-k 20,
repetition penalty 1.05, at most 500 tokens, one text per unique query. An output that holds no
reasoned query, because it is empty or lacks the tags of think mode, falls back to the query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.locks import turn_at
from ir_replications.shared.models.folder import check_texts
from ir_replications.shared.models.generation import (
    CachedGenerator,
    Done,
    Produce,
    Prompt,
    Sampling,
    messages_of,
)
from ir_replications.shared.models.references import fetch_model, load_causal_lm
from ir_replications.shared.reading import user_path
from ir_replications.shared.training import adapter_sha256, check_base, load_adapter
from ir_replications.shared.training.folder import check_weights
from ir_replications.tongsearch_qr.method.prompts import extract, instructed, messages

RELEASED: Sampling = Sampling(
    max_new_tokens=500, temperature=0.7, top_p=0.8, seed=0, top_k=20, repetition_penalty=1.05
)
MODES = ("replace", "append")
BACKENDS: tuple[str, ...] = ("transformers", "vllm")
CONTEXT = 16_000  # the released code's max_model_len, for vLLM


@dataclass(frozen=True)
class Rewritten:
    """Reasoned queries, `{query id: text}`, and what was counted on the way.

    `failed` holds the ids of queries that fell back to the original one. `counts`: queries,
    unique, generated (new ones, not from the cache), empty and no_tags (together the failed),
    repeats_prompt, truncated_questions.
    """

    texts: dict[str, str]
    counts: dict[str, int]
    failed: frozenset[str] = frozenset()


def combine(original: str, reasoned: str, mode: str = "replace") -> str:
    """What is searched for: the reasoned query alone (as released), or after the original one."""
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
    return reasoned if mode == "replace" else f"{original}\n{reasoned}"


class QueryRewriter:
    """Rewrites queries with one model, one prompt and one sampling; texts are kept in a file.

    `load` gives (model, tokenizer) and is called once, by the first `rewrite`; `model_sha256`
    stands for its weights in the keys of `cache`, the JSON Lines file of texts, which several
    rewriters may share. `produce` makes the texts in another way than transformers.
    """

    def __init__(
        self,
        load: Callable[[], tuple[Any, Any]],
        model_sha256: str,
        cache: Path | str,
        *,
        prompt: str = "inference",
        think: bool = False,
        sampling: Sampling = RELEASED,
        dtype: str = "float32",
        batch_size: int = 16,
        produce: Produce | None = None,
    ) -> None:
        messages("", prompt, think=think)  # refuses an unknown variant before anything is loaded
        self.model_sha256, self.sampling = model_sha256, sampling
        self.prompt, self.think, self.dtype = prompt, think, dtype
        self._load = load
        self._loaded: tuple[Any, Any] | None = None
        self._cache, self._batch_size, self._produce = user_path(cache), batch_size, produce

    def config(self) -> dict[str, Any]:
        """What decides the texts."""
        return {
            "model_sha256": self.model_sha256,
            "dtype": self.dtype,
            "prompt": self.prompt,
            "think": self.think,
            **self.sampling.identity(),
        }

    def rewrite(self, queries: Mapping[str, str], done: Done | None = None) -> Rewritten:
        """Rewrite `{query id: text}`; a killed call resumes where it was.

        `done` is told of each distinct question: whether its text was there before.
        The end of a question that is too long for the model's context is cut off, and counted.
        Raises InputError for an empty query.
        """
        if empty := [qid for qid, text in queries.items() if not text.strip()]:
            raise InputError(f"query {empty[0]!r}: the text is empty; write one or remove it")
        model, tokenizer = self._model()
        asked = {text: self._fit(text, model, tokenizer) for text in queries.values()}
        prompts: list[Prompt] = [self._messages(question) for question in asked.values()]
        with turn_at(Path(f"{self._cache}.lock")):
            generator = CachedGenerator(
                self._cache,
                lambda: (model, tokenizer),
                self.model_sha256,
                self.sampling,
                dtype=self.dtype,
                batch_size=self._batch_size,
                produce=self._produce,
            )
            outputs = dict(
                zip(
                    asked,
                    (texts[0] for texts in generator.generate(prompts, done=done)),
                    strict=True,
                )
            )
        reasoned = {text: extract(output, think=self.think) for text, output in outputs.items()}
        failed = frozenset(qid for qid, text in queries.items() if reasoned[text] is None)
        texts = {qid: reasoned[text] or text for qid, text in queries.items()}
        return Rewritten(texts, self._count(queries, asked, outputs, failed, generator), failed)

    def _count(
        self,
        queries: Mapping[str, str],
        asked: Mapping[str, str],
        outputs: Mapping[str, str],
        failed: frozenset[str],
        generator: CachedGenerator,
    ) -> dict[str, int]:
        texts = list(queries.values())
        empty = sum(not outputs[queries[qid]].strip() for qid in failed)
        repeats = {text: repeats_prompt(outputs[text], asked[text], self.prompt) for text in asked}
        return {
            "queries": len(queries),
            "unique": len(asked),
            "generated": generator.generated,
            "empty": empty,
            "no_tags": len(failed) - empty,
            "repeats_prompt": sum(repeats[text] for text in texts),
            "truncated_questions": sum(asked[text] != text for text in texts),
        }

    def _model(self) -> tuple[Any, Any]:
        self._loaded = self._loaded or self._load()
        return self._loaded

    def _messages(self, question: str) -> list[dict[str, str]]:
        return messages(question, self.prompt, think=self.think)

    def _fit(self, question: str, model: Any, tokenizer: Any) -> str:
        """The question, or the longest start of it that leaves room for the new tokens."""
        context = getattr(model.config, "max_position_embeddings", None)
        room = (context or 0) - self.sampling.max_new_tokens
        if not context or self._tokens(question, tokenizer) <= room:
            return question
        if self._tokens("", tokenizer) >= room:
            raise InputError(
                f"a context of {context} tokens has no room for the prompt and "
                f"{self.sampling.max_new_tokens} new tokens; ask for fewer"
            )
        fits, exceeds = 0, len(question)
        while exceeds - fits > 1:
            middle = (fits + exceeds) // 2
            if self._tokens(question[:middle], tokenizer) <= room:
                fits = middle
            else:
                exceeds = middle
        return question[:fits].rstrip()

    def _tokens(self, question: str, tokenizer: Any) -> int:
        if not getattr(tokenizer, "chat_template", None):
            raise InputError("the tokenizer has no chat template; use an instruction-tuned model")
        text = tokenizer.apply_chat_template(
            messages_of(self._messages(question)), tokenize=False, add_generation_prompt=True
        )
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def repeats_prompt(output: str, question: str, prompt: str) -> bool:
    """True when an output holds a line of the instructions or begins with the whole question."""
    instructions = instructed("", prompt).splitlines()
    said, asked = _collapsed(output), _collapsed(question)
    return any(len(line) > 20 and _collapsed(line) in said for line in instructions) or (
        bool(asked) and said.startswith(asked)
    )


def _collapsed(text: str) -> str:
    return " ".join(text.casefold().split())


def make_rewriter(
    model: str,
    *,
    adapter: Path | str | None = None,
    cache: Path | str | None = None,
    backend: str = "transformers",
    dtype: str | None = None,
    device: str = "cpu",
    download: bool = True,
    **options: Any,
) -> QueryRewriter:
    """A QueryRewriter for a model reference and, if given, the folder of a LoRA adapter.

    `cache` is the file of texts, by default one per model in the cache folder. `dtype` is
    float32 with transformers and bfloat16 with vLLM, as released, unless it is given. `options`
    go to QueryRewriter.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    files = fetch_model(model, download=download)
    sha256 = files.sha256
    if adapter is not None:
        check_weights(Path(adapter))
        parts = f"{sha256}+{adapter_sha256(adapter)}"
        sha256 = hashlib.sha256(parts.encode()).hexdigest()
    path = cache or find_cache_dir() / "texts" / f"reasoned-{sha256[:12]}.jsonl"
    dtype = dtype or ("float32" if backend == "transformers" else "bfloat16")

    def load() -> tuple[Any, Any]:
        loaded, tokenizer = load_causal_lm(model, dtype=dtype)
        if adapter is not None:
            loaded = load_adapter(loaded, adapter, files.sha256)
        try:
            return loaded.to(device), tokenizer
        except (RuntimeError, AssertionError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise InputError(f"device {device!r}: not usable ({reason:.120}); try cpu") from error

    if backend == "transformers":
        return QueryRewriter(load, sha256, path, dtype=dtype, **options)
    from ir_replications.shared.models.vllm_generation import VllmModel, produce_with_vllm

    def load_engine() -> tuple[Any, Any]:
        if adapter is not None:
            check_base(adapter, files.sha256)
        stated = check_texts(files.path).get("max_position_embeddings")
        context = min(CONTEXT, stated or CONTEXT)
        engine = VllmModel(files.path, dtype=dtype, max_model_len=context, adapter=adapter)
        return engine, engine.tokenizer

    named = f"vllm {dtype}"
    return QueryRewriter(
        load_engine, sha256, path, dtype=named, produce=produce_with_vllm, **options
    )
