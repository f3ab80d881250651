"""Batched text generation for chat prompts, fixed by a seed, with a cache that survives a kill.

Each text has random numbers of its own, drawn from (seed, prompt, number of the sample): what is
generated for a prompt depends neither on the other prompts nor on the batch it falls into, up
to the rounding of logits, which batch size and padding move in the last bits. The sampling
defaults that a model ships (penalties, top-k) are never applied.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.errors import InputError

if TYPE_CHECKING:
    import torch

Prompt = str | Sequence[Mapping[str, str]]

_TOP = 1024  # a nucleus is looked for among so many tokens before all are sorted


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; temperature 0 is greedy. Raises InputError for impossible values."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise InputError(
                f"{self}: expected max_new_tokens > 0, temperature >= 0 and 0 < top_p <= 1"
            )


@dataclass(frozen=True)
class _Row:
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
    num_return_sequences: int = 1,
    batch_size: int = 16,
) -> list[list[str]]:
    """Generate `num_return_sequences` texts per prompt, in the order of the prompts.

    A prompt is the user's message, or chat messages ({"role", "content"}); the tokenizer's chat
    template is applied to it. `batch_size` counts texts. A text ends at an end token, which is
    not part of it, or after `max_new_tokens` tokens. Equal prompts get equal texts. Raises
    InputError for a tokenizer without chat template and for a prompt beyond the model's context.
    """
    sampling = Sampling(max_new_tokens, temperature, top_p, seed)
    rows = _rows(len(prompts), num_return_sequences, sampling)
    texts = dict(_generate_rows(model, tokenizer, prompts, rows, sampling, batch_size))
    return [[texts[_Row(i, j)] for j in range(num_return_sequences)] for i in range(len(prompts))]


class CachedGenerator:
    """`generate` that keeps every text in a JSON Lines file, so that a killed run resumes.

    Texts are keyed by the sha256 of weights, dtype, prompt, sampling parameters and number of the
    sample, and are written and flushed to disk batch by batch. A last line cut off by a kill is
    dropped and generated again; damage anywhere else is an InputError with `path:line`. `load` is
    called for (model, tokenizer) only when a text is missing. One process at a time may write.
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
    ) -> None:
        self.path = Path(path)
        self.generated = 0  # texts that were not in the file
        self._load = load
        self._loaded: tuple[Any, Any] | None = None
        self._identity = [model_sha256, dtype, asdict(sampling)]
        self._sampling = sampling
        self._batch_size = batch_size
        self._texts = _read_texts(self.path)

    def generate(self, prompts: Sequence[Prompt], num_return_sequences: int = 1) -> list[list[str]]:
        """Texts per prompt as `generate` gives them, from the file where it has them."""
        rows = _rows(len(prompts), num_return_sequences, self._sampling)
        keys = {row: self._key(prompts[row.prompt], row.sample) for row in rows}
        missing: dict[str, _Row] = {}  # by key: equal prompts are generated once
        for row in rows:
            if keys[row] not in self._texts:
                missing.setdefault(keys[row], row)
        if missing:
            self._loaded = self._loaded or self._load()
            self._fill(prompts, list(missing.values()), keys)
        return [
            [self._texts[keys[_Row(i, j)]] for j in range(num_return_sequences)]
            for i in range(len(prompts))
        ]

    def _fill(self, prompts: Sequence[Prompt], rows: list[_Row], keys: Mapping[_Row, str]) -> None:
        assert self._loaded is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        results = _generate_rows(*self._loaded, prompts, rows, self._sampling, self._batch_size)
        with open(self.path, "a", encoding="utf-8") as handle:
            for row, text in results:
                handle.write(json.dumps({"key": keys[row], "text": text}) + "\n")
                handle.flush()
                os.fsync(handle.fileno())
                self._texts[keys[row]] = text
                self.generated += 1

    def _key(self, prompt: Prompt, sample: int) -> str:
        content = json.dumps([*self._identity, _messages(prompt), sample], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _read_texts(path: Path) -> dict[str, str]:
    """Texts by key; cuts off a last line that has no line end, which a killed write leaves."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        os.truncate(path, complete)
    texts: dict[str, str] = {}
    for number, line in enumerate(content[:complete].splitlines(), start=1):
        try:
            entry = json.loads(line)
            texts[entry["key"]] = str(entry["text"])
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}:{number}: not a generated text; delete this line and run again"
            ) from error
    return texts


def _rows(n_prompts: int, samples: int, sampling: Sampling) -> list[_Row]:
    if samples < 1 or (samples > 1 and sampling.temperature == 0):
        raise InputError(
            f"{samples} texts per prompt at temperature {sampling.temperature}: expected one or "
            "more, and a temperature above 0 for more than one"
        )
    return [_Row(i, j) for i in range(n_prompts) for j in range(samples)]


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [dict(message) for message in prompt]


def _generate_rows(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[_Row],
    sampling: Sampling,
    batch_size: int,
) -> Iterator[tuple[_Row, str]]:
    """Yield each row with its text, batch by batch, long prompts first."""
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected a positive number of texts")
    if not getattr(tokenizer, "chat_template", None):
        raise InputError("the tokenizer has no chat template; use an instruction-tuned model")
    rendered = {
        i: tokenizer.apply_chat_template(
            _messages(prompts[i]), tokenize=False, add_generation_prompt=True
        )
        for i in sorted({row.prompt for row in rows})
    }
    encoded = {
        i: tokenizer(text, add_special_tokens=False)["input_ids"] for i, text in rendered.items()
    }
    context = getattr(model.config, "max_position_embeddings", None)
    for i, ids in encoded.items():
        if context and len(ids) + sampling.max_new_tokens > context:
            raise InputError(
                f"prompt {i}: {len(ids)} tokens and {sampling.max_new_tokens} new ones exceed the "
                f"model's context of {context}; shorten it"
            )
    # Equal lengths side by side waste no work on padding; the longest first fails early, if at all.
    ordered = sorted(rows, key=lambda row: (-len(encoded[row.prompt]), row.prompt, row.sample))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        uniforms = np.stack([_uniforms(rendered[r.prompt], r.sample, sampling) for r in batch])
        places = {i: place for place, i in enumerate(dict.fromkeys(r.prompt for r in batch))}
        tokens = _decode(
            model,
            [encoded[i] for i in places],
            [places[r.prompt] for r in batch],
            uniforms,
            sampling,
            _end_tokens(model, tokenizer),
        )
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        yield from zip(batch, texts, strict=True)


def _uniforms(prompt: str, sample: int, sampling: Sampling) -> np.ndarray:
    """One uniform random number per token, float64 (max_new_tokens,)."""
    name = json.dumps([sampling.seed, sample, prompt]).encode()
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "big")
    return np.random.default_rng(key).random(sampling.max_new_tokens)


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    ends: set[int] = set()
    for value in (tokenizer.eos_token_id, model.generation_config.eos_token_id):
        ends.update([value] if isinstance(value, int) else value or [])
    return ends


def _decode(
    model: Any,
    prompts: list[list[int]],
    rows: list[int],
    uniforms: np.ndarray,
    sampling: Sampling,
    ends: set[int],
) -> list[list[int]]:
    """New tokens of each row; `rows` (B,) says which of `prompts` it continues, uniforms (B, T).

    A prompt is computed once for all its rows, and rows that have ended leave the batch.
    """
    import torch

    length = max(map(len, prompts))
    ids = torch.zeros((len(prompts), length), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(prompts):  # left padding, so that the next token is at the end
        ids[i, length - len(prompt) :] = torch.tensor(prompt)
        mask[i, length - len(prompt) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    new: list[list[int]] = [[] for _ in rows]
    with torch.inference_mode():
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        out = model(
            ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1
        )
        cache, start = out.past_key_values, torch.tensor(rows, device=ids.device)
        cache.batch_select_indices(start)
        logits, mask, positions = out.logits[start, -1], mask[start], positions[start, -1:]
        alive = np.arange(len(rows))
        for step in range(sampling.max_new_tokens):
            draws = torch.from_numpy(uniforms[alive, step]).to(logits.device)
            tokens = _choose(logits, draws, sampling)
            chosen = tokens.tolist()
            for row, token in zip(alive, chosen, strict=True):
                new[row].append(token)
            going = [i for i, token in enumerate(chosen) if token not in ends]
            if not going or step + 1 == sampling.max_new_tokens:
                break
            if len(going) < len(alive):
                kept = torch.tensor(going, device=ids.device)
                cache.batch_select_indices(kept)
                alive, tokens = alive[going], tokens[kept]
                mask, positions = mask[kept], positions[kept]
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


def _choose(logits: torch.Tensor, uniforms: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Tokens (B,) from logits (B, V): the greatest, or by inverting the cumulated probabilities.

    With top_p < 1 only the fewest, most probable tokens that reach top_p take part, ties included.
    """
    import torch

    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.double() / sampling.temperature, -1)
    if sampling.top_p < 1:
        least = _least_in_nucleus(probabilities, sampling.top_p)
        probabilities = probabilities * (probabilities >= least)
    return _invert(probabilities.cumsum(-1), uniforms)


def _least_in_nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest probability (B, 1) among the fewest tokens that together reach `top_p`."""

    def least(ordered: torch.Tensor) -> torch.Tensor:
        inside = ordered.cumsum(-1) - ordered < top_p
        return ordered.gather(-1, inside.sum(-1, keepdim=True) - 1)

    top = probabilities.topk(min(_TOP, probabilities.shape[-1])).values
    found = least(top)
    flat = top.sum(-1) < top_p
    if bool(flat.any()):  # sorting the whole vocabulary is slow: only for rows that need it
        found[flat] = least(probabilities[flat].sort(descending=True).values)
    return found


def _invert(cumulated: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Index (B,) at which each row's cumulated weight (B, V) first exceeds its share u (B,)."""
    import torch

    targets = uniforms[:, None] * cumulated[:, -1:]
    found = torch.searchsorted(cumulated, targets, right=True)[:, 0]
    # Rounding up to the whole weight must not land behind the last token with any weight.
    last = (cumulated < cumulated[:, -1:]).sum(-1)
    return torch.minimum(found, last)
