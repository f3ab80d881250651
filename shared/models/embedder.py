"""Texts -> unit vectors: transformer encoders with CLS or mean pooling, and static token vectors.

As sentence-transformers runs such models: no instruction before a text, rows of length one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.folder import files_in, loading
from ir_replications.shared.models.references import fetch_model, load_encoder
from ir_replications.shared.reading import is_whole, read_json

MINILM = "embedded:minilm-l6"
MPNET = "embedded:all-mpnet-base-v2"
WORDLLAMA = "embedded:wordllama-256"
POOLINGS = ("cls", "mean", "static")

# Pooling and length of models whose folder lacks the files that state them.
_PUBLISHED: dict[str, tuple[str, int]] = {
    MINILM: ("mean", 256),
    MPNET: ("mean", 384),
    WORDLLAMA: ("static", 10**6),
}


class Embedder(Protocol):
    """What a reward needs of an embedding model."""

    ref: str
    sha256: str

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed the texts: float32 (n, d), every row of Euclidean length one."""
        ...


@dataclass
class TransformerEmbedder:
    """A transformer encoder without a head, pooled over its last hidden states."""

    ref: str
    sha256: str
    pooling: str
    max_length: int
    batch_size: int
    device: str
    model: Any
    tokenizer: Any

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed the texts: float32 (n, d) unit rows; longer texts lose what is past max_length."""
        import torch

        width = int(self.model.config.hidden_size)
        found = np.empty((len(texts), width), dtype=np.float32)
        # Texts of like length share a batch, so that little is computed for padding.
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), self.batch_size):
            chosen = order[start : start + self.batch_size]
            batch = self.tokenizer(
                [texts[i] for i in chosen],
                padding="longest",
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            ).to(self.device)
            with torch.inference_mode():
                states = self.model(**batch).last_hidden_state.float()
                pooled = _pooled(states, batch["attention_mask"], self.pooling)
                pooled = torch.nn.functional.normalize(pooled, dim=1)
            found[chosen] = pooled.cpu().numpy()
        return found


@dataclass
class StaticEmbedder:
    """The mean of fixed token vectors: no context, no word order, hence a second opinion."""

    ref: str
    sha256: str
    vectors: np.ndarray  # float32 (vocabulary, d)
    tokenizer: Any

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed the texts: float32 (n, d) unit rows; a text without tokens is an InputError."""
        found = np.empty((len(texts), self.vectors.shape[1]), dtype=np.float32)
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for i, encoding in enumerate(encodings):
            if not encoding.ids:
                raise InputError(f"text {i + 1} has no tokens; expected at least one word")
            mean = self.vectors[encoding.ids].mean(axis=0)
            length = np.linalg.norm(mean)
            if not length > 0:
                raise InputError(f"{self.ref}: the token vectors of text {i + 1} add up to zero")
            found[i] = mean / length
        return found


def load_embedder(
    ref: str,
    *,
    pooling: str | None = None,
    max_length: int = 512,
    dtype: str = "float32",
    batch_size: int = 64,
    device: str = "cpu",
) -> Embedder:
    """Load an embedding model by its reference (shared.models.references).

    `pooling` is "cls", "mean" or "static"; None takes what the model's own sentence-transformers
    files say. `max_length` in tokens is lowered to what the model was published with. Raises
    InputError for an unknown pooling, and where none is given and none is stated by the folder.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise InputError(f"pooling {pooling!r}: expected one of {', '.join(POOLINGS)}")
    if max_length < 3 or batch_size < 1:
        raise InputError(f"max_length {max_length}, batch_size {batch_size}: expected 3, 1 or more")
    files = fetch_model(ref)
    known_pooling, known_length = _PUBLISHED.get(ref, (None, None))
    pooling = pooling or known_pooling or stated_pooling(files.path)
    if pooling == "static":
        return _load_static(ref, files.path, files.sha256)
    model, tokenizer = load_encoder(ref, dtype)
    limits = (known_length, stated_length(files.path), tokenizer.model_max_length)
    length = min([max_length, *(limit for limit in limits if limit)])
    length = min(length, model.config.max_position_embeddings)
    model = model.to(device)
    return TransformerEmbedder(
        ref, files.sha256, pooling, length, batch_size, device, model, tokenizer
    )


def stated_pooling(folder: Path) -> str:
    """The pooling, "cls" or "mean", in a model folder's sentence-transformers files.

    Raises InputError where there are none, and where they ask for another pooling or for further
    layers (modules.json), which are not applied here.
    """
    path = folder / "1_Pooling" / "config.json"
    if os.path.lexists(folder / "modules.json"):
        for kind, place in _modules(folder / "modules.json"):
            if kind == "Pooling":
                path = folder / place / "config.json"
            elif kind not in ("Transformer", "Normalize"):
                raise InputError(f"{folder / 'modules.json'}: layer {kind:.60} is not supported")
    if not os.path.lexists(path):
        raise InputError(f"{folder}: no 1_Pooling/config.json; pass pooling='cls' or 'mean'")
    stated = read_json(path)
    if not isinstance(stated, dict):
        raise InputError(f"{path}: expected a JSON object")
    modes = [key for key, on in stated.items() if key.startswith("pooling_mode_") and on is True]
    if "pooling_mode" in stated:  # how newer releases of sentence-transformers write it
        modes = [str(stated["pooling_mode"])]
    known = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    known |= {"cls": "cls", "mean": "mean"}
    if len(modes) != 1 or modes[0] not in known:
        raise InputError(f"{path}: pooling {modes or 'unstated'}; expected cls or mean alone")
    return known[modes[0]]


def stated_length(folder: Path) -> int | None:
    """The greatest text length in tokens by sentence_bert_config.json, None where unstated."""
    path = folder / "sentence_bert_config.json"
    if not os.path.lexists(path):
        return None
    stated = read_json(path)
    length = stated.get("max_seq_length") if isinstance(stated, dict) else 0
    if length is not None and not is_whole(length, at_least=3):
        raise InputError(f"{path}: expected max_seq_length, a number of tokens from 3 on, or null")
    return length


def _modules(path: Path) -> Iterator[tuple[str, str]]:
    """(kind, folder below) of each layer of a modules.json."""
    modules = read_json(path)
    for module in modules if isinstance(modules, list) else [modules]:
        kind, place = (
            (module.get(key) if isinstance(module, dict) else None) for key in ("type", "path")
        )
        if not isinstance(kind, str) or not isinstance(place, str):
            raise InputError(f"{path}: expected a list of layers, each with type and path")
        if "\0" in place or Path(place).is_absolute() or ".." in Path(place).parts:
            raise InputError(f"{path}: the path {place!r:.60} leads out of the model's folder")
        yield kind.rpartition(".")[2], place


def _pooled(states: Any, mask: Any, pooling: str) -> Any:
    """Pool hidden states (n, length, d) under the 0/1 mask (n, length) to (n, d)."""
    if pooling == "cls":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def _load_static(ref: str, folder: Path, sha256: str) -> StaticEmbedder:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = files_in(folder, "*.safetensors")
    texts = folder / "tokenizer.json"
    if len(weights) != 1 or not texts.is_file():
        raise InputError(f"{folder}: expected one *.safetensors and tokenizer.json")
    with loading(weights[0], "no safetensors"):
        tables = list(load_file(weights[0]).values())
    if len(tables) != 1 or tables[0].ndim != 2 or not tables[0].size > 0:
        raise InputError(f"{weights[0]}: expected one matrix, tokens x dimensions")
    vectors = tables[0].astype(np.float32)
    if tables[0].dtype.kind != "f" or not np.isfinite(vectors).all():
        raise InputError(f"{weights[0]}: holds NaN, infinity or whole numbers; expected vectors")
    with loading(texts, "no tokenizer"):
        tokenizer = Tokenizer.from_file(str(texts))
        tokenizer.no_padding()
        tokenizer.no_truncation()
    if (last := max(tokenizer.get_vocab().values(), default=-1)) >= len(vectors):
        raise InputError(f"{texts}: a token {last}, and {weights[0].name} has {len(vectors)} rows")
    return StaticEmbedder(ref, sha256, vectors, tokenizer)
