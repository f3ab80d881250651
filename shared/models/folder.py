"""A model's folder, opened and checked: what is said of it in one line, not by its libraries.

Damage that the libraries do not notice is looked for as well: weights that are not finite, sizes
that the weights do not have, and texts beside them that are no JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.libraries import require
from ir_replications.shared.printable import printable
from ir_replications.shared.reading import is_finite, is_whole, read_json

INDEX = "model.safetensors.index.json"
_JSON = (
    "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "adapter_config.json", INDEX,
)  # fmt: skip
_WIDTHS = ("hidden_size", "intermediate_size", "vocab_size")
_COUNTS = ("num_hidden_layers", "num_attention_heads", "max_position_embeddings")
_HEADS = ("num_key_value_heads", "head_dim")  # null: as the others say
_EPS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon")
_SHARES = 8  # layers for each tensor, at most, where layers share their weights (ALBERT)


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder by a pattern, sorted, without hidden ones (a Mac's `._NAME`).

    Raises InputError for what has such a name and is no file.
    """
    found = sorted(p for p in folder.glob(pattern) if not p.name.startswith("."))
    for path in found:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "a link to nothing" if path.is_symlink() else ""
            raise InputError(f"{path}: is {what or 'no file'}; expected a file")
    return found


def check_texts(folder: Path) -> dict[str, Any]:
    """The config of a model's folder, once each JSON file beside the weights has been read.

    Raises InputError for one that is no JSON object, sizes and numbers of the config that no
    model has, and an index of weights that names anything but files of the folder.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _JSON:
        path = folder / name
        if path.exists() or path.is_symlink():
            value = read_json(path)
            if not isinstance(value, dict):
                raise InputError(f"{path}: {type(value).__name__}, expected a JSON object")
            found[name] = value
    if "config.json" not in found:
        raise InputError(f"{folder}: no config.json beside the weights; expected both")
    _check_config(found["config.json"], folder / "config.json")
    if INDEX in found:
        _check_index(found[INDEX], folder / INDEX)
    longest = found.get("tokenizer_config.json", {}).get("model_max_length")
    if longest is not None and not (type(longest) in (int, float) and longest >= 1):
        path = folder / "tokenizer_config.json"
        raise InputError(f"{path}: model_max_length {longest!r:.40}, expected a number of tokens")
    _check_ends(found.get("generation_config.json", {}), folder / "generation_config.json")
    return found["config.json"]


def _check_config(config: Mapping[str, Any], path: Path) -> None:
    parts = [config, *(v for k, v in config.items() if k.endswith("_config") and type(v) is dict)]
    for part in parts:
        for key, value in part.items():
            bad = False
            if key in (*_WIDTHS, *_COUNTS):
                whole = value if isinstance(value, list) else [value]  # one for each layer
                bad = not whole or not all(is_whole(v, at_least=1) for v in whole)
            elif key in _HEADS and value is not None and not isinstance(value, list):
                bad = not is_whole(value, at_least=1)
            elif key in _EPS:
                bad = not is_finite(value) or not 0 < value < 1
            elif key == "rope_theta":
                bad = value is not None and (not is_finite(value) or value <= 0)
            elif key.endswith(("dropout", "dropout_prob")):
                bad = value is not None and (not is_finite(value) or not 0 <= value < 1)
            if bad:
                raise InputError(f"{path}: {key} {value!r:.40}, which no model has; correct it")


def _check_index(index: Mapping[str, Any], path: Path) -> None:
    names = index.get("weight_map")
    if not isinstance(names, dict) or not isinstance(index.get("metadata"), dict):
        raise InputError(f"{path}: expected the objects weight_map and metadata")
    here = {found.name for found in files_in(path.parent, "*.safetensors")}
    for tensor, name in names.items():
        if name not in here:
            raise InputError(f"{path}: {tensor} in {name!r:.60}, which is no file of the folder")


def _check_ends(generation: Mapping[str, Any], path: Path) -> None:
    for key in ("eos_token_id", "pad_token_id", "bos_token_id"):
        value = generation.get(key)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(is_whole(i, at_least=-1) for i in ids):
            raise InputError(f"{path}: {key} {value!r:.40}, expected the number of a token")


def check_weights(folder: Path) -> None:
    """Read the headers of the weights and compare the config's sizes with them.

    Sizes that no weights have would be made up, at any expense, also those that the config leaves
    to its kind of model. Raises InputError for a config that transformers refuses, a file that is
    no safetensors, and more layers, or a wider one, than the files have.
    """
    with loading(folder / "config.json", "cannot be loaded"):
        options = {"local_files_only": True, "trust_remote_code": False}
        made = require("transformers").AutoConfig.from_pretrained(str(folder), **options)
        text = made.get_text_config()
    config = {key: getattr(text, key, None) for key in (*_WIDTHS, *_HEADS, "num_hidden_layers")}
    shapes = {}
    for path in files_in(folder, "*.safetensors"):
        with loading(path), require("safetensors").safe_open(path, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (no mapping)
                shapes[name] = weights.get_slice(name).get_shape()
    check_sizes(list(shapes.values()), config, folder / "config.json")


def check_sizes(shapes: Sequence[Sequence[int]], config: Mapping[str, Any], where: Path) -> None:
    """Raise InputError, naming `where`, for sizes of a config that no tensor has."""
    widest = max((size for shape in shapes for size in shape), default=0)
    limits = dict.fromkeys((*_WIDTHS, *_HEADS), widest)
    limits["num_hidden_layers"] = _SHARES * len(shapes)
    for key, limit in limits.items():
        value = config.get(key)
        if is_whole(value) and value > limit:  # type: ignore[operator]
            raise InputError(
                f"{where}: {key} {value}, and the weights hold {len(shapes)} tensors, the widest "
                f"of {widest}; config and weights are of two models, or one is damaged"
            )


@contextmanager
def loading(where: Path | str, note: str = "cannot be loaded") -> Iterator[None]:
    """Make what a library raises for damaged files one InputError: "where: note (reason)".

    transformers, tokenizers, safetensors and gguf raise nearly every kind of exception, Rust's
    panics among them: put nothing but the loading call inside.
    """
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        words = " ".join(str(error).split()) or type(error).__name__
        if "ignore_mismatched_sizes" in words:  # transformers' advice, which nobody can follow here
            words = "the shapes of its weights are not those that config.json says"
        raise InputError(f"{where}: {note} ({printable(words[:150])})") from error


def check_finite(tensors: Mapping[str, Any], where: Path | str) -> None:
    """Raise InputError, naming the tensor, for weights with NaN or infinity; one pass over them."""
    torch = require("torch")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.is_meta:
            continue
        # Both are NaN where one number is; torch has no order of numbers of eight bits.
        low, high = torch.aminmax(
            (tensor if tensor.element_size() > 1 else tensor.float()).detach()
        )
        if not bool(torch.isfinite(low) & torch.isfinite(high)):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InputError(
                f"{where}: {name} holds NaN or infinity (as {kind}); the weights are damaged, "
                "or their training diverged"
            )


def check_used(model: Any, unused: Sequence[str], where: Path | str) -> None:
    """Raise InputError where a loaded model is not what its folder holds.

    That is where the weights have layers that the config does not count, and where the config
    says quantised in a way that transformers does not know, which it then leaves out.
    """
    quantised = getattr(model.config, "quantization_config", None)
    if quantised is not None and getattr(model, "hf_quantizer", None) is None:
        raise InputError(
            f"{where}: config.json has a quantization_config that transformers does not know "
            f"({quantised!r:.60}); save the model without it"
        )
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if not isinstance(layers, int) or getattr(model.config, "is_encoder_decoder", False):
        return
    for name in sorted(unused):
        number = re.search(r"\.(\d+)\.", name)
        if number is not None and int(number[1]) >= layers:
            raise InputError(
                f"{where}: the weights hold {name}, and config.json says {layers} layers; "
                "config and weights are of two models, or one is damaged"
            )
