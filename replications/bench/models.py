"""The models of a bench: what a reference is, and how a cell finds it, here or on another node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.engine.context import files_sha256
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.embedder import MINILM, MPNET, WORDLLAMA
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.reading import is_whole, read_json, user_path

CAUSAL, CROSS, DISTILLED, EMBEDDER, STATIC = (
    "causal", "cross-encoder", "distilled", "embedder", "static",
)  # fmt: skip
SMOLLM = "embedded:smollm2-135m-instruct"
SIZES = {MINILM: 10.6, MPNET: 85.0, SMOLLM: 106.0}
"""Millions of parameters in the layers of models that need not be on this machine yet."""
FOLDER = "model:"
"""Before the name of a folder of the user's in a cell's config: its path is in the context."""


@dataclass(frozen=True)
class Model:
    """A model for a role: its name in a config, the sha256 of a folder's files, its folder."""

    ref: str
    sha256: str | None = None
    folder: Path | None = None

    def config(self, key: str = "model") -> dict[str, Any]:
        """What a cell's config says of it."""
        return {key: self.ref} | ({f"{key}_sha256": self.sha256} if self.sha256 else {})


def named_model(role: str, ref: str) -> Model:
    """The model that a user names for a role: a folder, embedded:..., hub:...@revision.

    Raises InputError for a folder that is none.
    """
    if ref.startswith(("embedded:", "hub:")):
        return Model(ref)
    folder = user_path(ref)
    if not folder.is_dir():
        raise InputError(
            f"--models {role}={ref}: no such folder; expected one, "
            "hub:<org>/<name>@<revision> or embedded:<name> (`replicate models list`)"
        )
    folder = folder.resolve()
    return Model(f"{FOLDER}{role}:{folder.name}", files_sha256(folder), folder)


def place_of(ref: str, folders: Mapping[str, Path]) -> str:
    """What `fetch_model` takes for the model of a config: the folder's path, or the reference."""
    return str(folders[ref]) if ref.startswith(FOLDER) else ref


def kind_of(place: str, *, download: bool = True) -> str:
    """What a model is, from its files: CAUSAL, CROSS, DISTILLED, EMBEDDER or STATIC.

    Raises InputError as `fetch_model`, and for a folder that does not say.
    """
    if place == WORDLLAMA:
        return STATIC
    if not place.startswith(("embedded:", "hub:")) and (Path(place) / "ranker.json").is_file():
        return DISTILLED
    path = fetch_model(place, download=download).path / "config.json"
    stated = read_json(path)
    named = stated.get("architectures") if isinstance(stated, dict) else None
    if not isinstance(named, list) or not named or not isinstance(named[0], str):
        raise InputError(f'{path}: no "architectures"; expected the config of a transformer')
    if named[0].endswith("ForSequenceClassification"):
        return CROSS
    return CAUSAL if named[0].endswith(("ForCausalLM", "LMHeadModel")) else EMBEDDER


def size_of(place: str) -> float | None:
    """Millions of parameters in a transformer's layers, about; None where it is not known yet.

    What its time grows with. Reads the config of a model that is on this machine.
    """
    if place in SIZES:
        return SIZES[place]
    try:
        stated = read_json(fetch_model(place, download=False).path / "config.json")
    except InputError:
        return None
    shape: list[Any] = [
        stated.get(name) if isinstance(stated, dict) else None
        for name in ("num_hidden_layers", "hidden_size", "intermediate_size")
    ]
    if not all(is_whole(value, 1) for value in shape):
        return None
    layers, width, inner = shape
    return float(layers * width * (4 * width + 2 * inner) / 1e6)
