"""Batched text generation for chat prompts, fixed by a seed, with a cache that survives a kill.

Each text has random numbers of its own, drawn from (seed, prompt, number of the sample): what is
generated for a prompt depends neither on the other prompts nor on the batch it falls into, up
to the rounding of logits, which batch size and padding move in the last bits. The sampling
defaults that a model ships (penalties, top-k) are not applied: `Sampling` says all there is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.sampling import Sampling, Seen, choose, uniforms
from ir_replications.shared.own_code import code_of
from ir_replications.shared.reading import is_cut_line, parse_json, read_bytes, user_path

Prompt = str | Sequence[Mapping[str, str]]

# What a text depends on, whichever way it is made.
_CODE = (
    __name__,
    "ir_replications.shared.models.vllm_generation",
    "ir_replications.shared.models.references",
    "ir_replications.shared.training.adapters",
)
_BATCH_TOKENS = 16_384  # padded tokens in a batch: long prompts must not cost memory without bound

# (model, tokenizer, prompts, rows, sampling, batch size) -> (row, text), batch by batch
Produce = Callable[
    [Any, Any, Sequence[Prompt], Sequence["Row"], Sampling, int], Iterator[tuple["Row", str]]
]

Done = Callable[[bool], None]
"""Told of each text that is there: whether an earlier run had made it."""

__all__ = [
    "CachedGenerator", "Done", "Produce", "Prompt", "Row", "Sampling", "encode", "generate",
    "messages_of",
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One text to generate: the index of its prompt and the number of the sample."""

    prompt: int
    sample: int


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    top_k: int = 0,
    repetition_penalty: float = 1.0,
    num_return_sequences: int = 1,
    batch_size: int = 16,
) -> list[list[str]]:
    """Generate `num_return_sequences` texts per prompt, in the order of the prompts.

    A prompt is the user's message, or chat messages ({"role", "content"}); the tokenizer's chat
    template is applied to it. `batch_size` counts texts. A text ends at an end token, which is
    not part of it, or after `max_new_tokens` tokens. Equal prompts get equal texts. Raises
    InputError for a tokenizer without chat template and for a prompt beyond the model's context.
    """
    sampling = Sampling(max_new_tokens, temperature, top_p, seed, top_k, repetition_penalty)
    rows = _rows(len(prompts), num_return_sequences, sampling)
    texts = dict(_generate_rows(model, tokenizer, prompts, rows, sampling, batch_size))
    return [[texts[Row(i, j)] for j in range(num_return_sequences)] for i in range(len(prompts))]


class CachedGenerator:
    """`generate` that keeps every text in a JSON Lines file, so that a killed run resumes.

    Texts are keyed by the sha256 of weights, dtype, prompt, sampling parameters, number of the
    sample and code, and are written and flushed to disk batch by batch. A last line cut off by a
    kill is dropped and generated again; damage anywhere else is an InputError with `path:line`.
    `load` is called for (model, tokenizer) only when a text is missing. One process at a time may
    write.
    `produce` is another way than this module's to make the texts, which `dtype` should then name.
    """

    def __init__(
        self,
        path: Path | str,
        load: Callable[[], tuple[Any, Any]],
        model_sha256: str,
        sampling: Sampling,
        *,
        dtype: str = "float32",
        batch_size: int = 16,
        produce: Produce | None = None,
    ) -> None:
        self.path = user_path(path)
        self.generated = 0  # texts that were not in the file
        self._load = load
        self._loaded: tuple[Any, Any] | None = None
        self._identity = [model_sha256, dtype, sampling.identity(), code_of(*_CODE)]
        self._sampling = sampling
        self._batch_size = batch_size
        self._produce = produce or _generate_rows
        self._texts, self._cut = _read_texts(self.path)

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_return_sequences: int = 1,
        done: Done | None = None,
    ) -> list[list[str]]:
        """Texts per prompt as `generate` gives them, from the file where it has them."""
        rows = _rows(len(prompts), num_return_sequences, self._sampling)
        keys = {row: self._key(prompts[row.prompt], row.sample) for row in rows}
        missing: dict[str, Row] = {}  # by key: equal prompts are generated once
        for row in rows:
            if keys[row] not in self._texts:
                missing.setdefault(keys[row], row)
        for _ in range(len(set(keys.values())) - len(missing)):
            if done:
                done(True)
        if missing:
            self._loaded = self._loaded or self._load()
            self._fill(prompts, list(missing.values()), keys, done)
        return [
            [self._texts[keys[Row(i, j)]] for j in range(num_return_sequences)]
            for i in range(len(prompts))
        ]

    def _fill(
        self,
        prompts: Sequence[Prompt],
        rows: list[Row],
        keys: Mapping[Row, str],
        done: Done | None,
    ) -> None:
        assert self._loaded is not None
        results = self._produce(*self._loaded, prompts, rows, self._sampling, self._batch_size)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._cut is not None:
                os.truncate(self.path, self._cut)
                self._cut = None
            handle = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed below)
        except OSError as error:
            raise self._not_written(error) from error
        with handle:
            for row, text in results:
                try:
                    handle.write(_line(keys[row], text))
                    handle.flush()
                    os.fsync(handle.fileno())
                except OSError as error:
                    raise self._not_written(error) from error
                self._texts[keys[row]] = text
                self.generated += 1
                if done:
                    done(False)

    def _not_written(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: cannot be written ({error.strerror or error}); mend that and run the "
            "same command again, it goes on"
        )

    def _key(self, prompt: Prompt, sample: int) -> str:
        content = json.dumps([*self._identity, messages_of(prompt), sample], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _line(key: str, text: str) -> str:
    return json.dumps({"key": key, "text": text}) + "\n"


_START = _line("", "").partition('""')[0].encode()


def _read_texts(path: Path) -> tuple[dict[str, str], int | None]:
    """(texts by key, where the last line begins if a killed write left it without its end)."""
    if not os.path.exists(path):
        return {}, None
    if not os.path.isfile(path):
        raise InputError(f"{path}: is no regular file; name one to keep the texts in")
    content = read_bytes(path)
    complete = content.rfind(b"\n") + 1
    texts: dict[str, str] = {}
    for number, line in enumerate(content[:complete].split(b"\n")[:-1], start=1):
        where = f"{path}:{number}"
        try:
            entry = parse_json(line.decode("utf-8"), where)
            key, text = entry["key"], entry["text"]
            if not isinstance(key, str) or not isinstance(text, str):
                raise TypeError("key and text are texts")
        except (ValueError, TypeError, LookupError) as error:
            raise InputError(
                f"{where}: not a generated text; delete this line and run again"
            ) from error
        if texts.setdefault(key, text) != text:
            raise InputError(
                f"{where}: another text than an earlier line has for this key; delete one of the "
                "two and run again"
            )
    rest = content[complete:]
    if not is_cut_line(rest, _START):
        raise InputError(
            f"{path}: its last line is no generated text, nor the start of one; name another file"
        )
    return texts, complete if rest else None


def _rows(n_prompts: int, samples: int, sampling: Sampling) -> list[Row]:
    if samples < 1 or (samples > 1 and sampling.temperature == 0):
        raise InputError(
            f"{samples} texts per prompt at temperature {sampling.temperature}: expected one or "
            "more, and a temperature above 0 for more than one"
        )
    return [Row(i, j) for i in range(n_prompts) for j in range(samples)]


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """Chat messages of a prompt: a text is the user's message."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [dict(message) for message in prompt]


def _generate_rows(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    sampling: Sampling,
    batch_size: int,
) -> Iterator[tuple[Row, str]]:
    """Yield each row with its text, batch by batch, long prompts first."""
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected a positive number of texts")
    context = getattr(model.config, "max_position_embeddings", None)
    rendered, encoded = encode(tokenizer, prompts, rows, sampling, context)
    # Equal lengths side by side waste no work on padding; the longest first fails early, if at all.
    ordered = sorted(rows, key=lambda row: (-len(encoded[row.prompt]), row.prompt, row.sample))
    for batch in _batches(ordered, encoded, sampling.max_new_tokens, batch_size):
        draws = np.stack([uniforms(rendered[r.prompt], r.sample, sampling) for r in batch])
        places = {i: place for place, i in enumerate(dict.fromkeys(r.prompt for r in batch))}
        tokens = _decode(
            model,
            [encoded[i] for i in places],
            [places[r.prompt] for r in batch],
            draws,
            sampling,
            _end_tokens(model, tokenizer),
        )
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        yield from zip(batch, texts, strict=True)


def _batches(
    ordered: Sequence[Row], encoded: Mapping[int, list[int]], new_tokens: int, batch_size: int
) -> Iterator[list[Row]]:
    """Split rows, longest prompt first, into batches of bounded number and padded length."""
    start = 0
    while start < len(ordered):
        longest = len(encoded[ordered[start].prompt]) + new_tokens
        size = min(batch_size, max(1, _BATCH_TOKENS // longest))
        yield list(ordered[start : start + size])
        start += size


def encode(
    tokenizer: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    sampling: Sampling,
    context: int | None,
) -> tuple[dict[int, str], dict[int, list[int]]]:
    """Text and tokens of each prompt that `rows` name, by index, as the chat template makes them.

    Raises InputError for a tokenizer without chat template and where a prompt and its new tokens
    exceed `context`.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise InputError("the tokenizer has no chat template; use an instruction-tuned model")
    rendered = {
        i: tokenizer.apply_chat_template(
            messages_of(prompts[i]), tokenize=False, add_generation_prompt=True
        )
        for i in sorted({row.prompt for row in rows})
    }
    encoded = {
        i: tokenizer(text, add_special_tokens=False)["input_ids"] for i, text in rendered.items()
    }
    for i, ids in encoded.items():
        if context and len(ids) + sampling.max_new_tokens > context:
            raise InputError(
                f"prompt {i}: {len(ids)} tokens and {sampling.max_new_tokens} new ones exceed the "
                f"model's context of {context}; shorten it"
            )
    return rendered, encoded


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    ends: set[int] = set()
    for value in (tokenizer.eos_token_id, model.generation_config.eos_token_id):
        ends.update([value] if isinstance(value, int) else value or [])
    return ends


def _decode(
    model: Any,
    prompts: list[list[int]],
    rows: list[int],
    draws: np.ndarray,
    sampling: Sampling,
    ends: set[int],
) -> list[list[int]]:
    """New tokens of each row; `rows` (B,) says which of `prompts` it continues, draws (B, T).

    What all prompts begin with is computed once, a prompt once for all its rows, and rows that
    have ended leave the batch.
    """
    import torch

    shared = shared_prefix(prompts) if full_attention(model) else 0
    rests = [prompt[shared:] for prompt in prompts]
    length = max(map(len, rests))
    ids = torch.zeros((len(prompts), length), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, rest in enumerate(rests):  # left padding, so that the next token is at the end
        ids[i, length - len(rest) :] = torch.tensor(rest)
        mask[i, length - len(rest) :] = 1
    mask = torch.cat([mask.new_ones((len(prompts), shared)), mask], dim=1)
    ids, mask = ids.to(model.device), mask.to(model.device)
    new: list[list[int]] = [[] for _ in rows]
    with torch.inference_mode():
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
        options: dict[str, Any] = {"use_cache": True, "logits_to_keep": 1}
        if shared:
            first = torch.tensor([prompts[0][:shared]], device=ids.device)
            past = model(first, **options).past_key_values
            past.batch_repeat_interleave(len(prompts))
            options["past_key_values"] = past
        out = model(ids, attention_mask=mask, position_ids=positions, **options)
        cache, start = out.past_key_values, torch.tensor(rows, device=ids.device)
        cache.batch_select_indices(start)
        logits, mask, positions = out.logits[start, -1], mask[start], positions[start, -1:]
        alive, seen = np.arange(len(rows)), None
        if sampling.repetition_penalty != 1:
            seen = Seen([prompts[row] for row in rows], logits.shape[-1], ids.device)
        for step in range(sampling.max_new_tokens):
            shares = torch.from_numpy(draws[alive, step]).to(logits.device)
            tokens = choose(logits, shares, sampling, seen)
            chosen = tokens.tolist()
            for row, token in zip(alive, chosen, strict=True):
                new[row].append(token)
            going = [i for i, token in enumerate(chosen) if token not in ends]
            if not going or step + 1 == sampling.max_new_tokens:
                break
            if seen is not None:
                seen.add(tokens)
            if len(going) < len(alive):
                kept = torch.tensor(going, device=ids.device)
                cache.batch_select_indices(kept)
                alive, tokens = alive[going], tokens[kept]
                mask, positions = mask[kept], positions[kept]
                if seen is not None:
                    seen.keep(kept)
            mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=1)
            positions = positions + 1
            out = model(
                tokens[:, None],
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
            logits = out.logits[:, -1]
    return [tokens[:-1] if tokens and tokens[-1] in ends else tokens for tokens in new]


def shared_prefix(prompts: Sequence[list[int]]) -> int:
    """How many first tokens to compute once for all prompts; 0 where that saves under an eighth.

    Of every prompt at least the last token is left.
    """
    first, last = min(prompts), max(prompts)  # what these two share, all between them share
    shared = 0
    while shared < min(map(len, prompts)) - 1 and first[shared] == last[shared]:
        shared += 1
    return shared if len(prompts) > 1 and 8 * shared >= max(map(len, prompts)) else 0


def full_attention(model: Any) -> bool:
    """Whether every layer attends to all earlier tokens.

    A window would count the padding that stands between a shared prefix and the rest.
    """
    layers = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    return layers == {"full_attention"} and not getattr(model.config, "sliding_window", None)
