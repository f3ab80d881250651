"""LoRA adapters in peft's format, tied to the base model they were trained on."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.extras import remedy
from ir_replications.shared.files import atomic_write, sha256_file
from ir_replications.shared.printable import printable
from ir_replications.shared.reading import read_json

_BASE = "base.json"  # sha256 of the base weights; peft keeps only a name or a path


def adapter_sha256(folder: Path | str) -> str:
    """Hex sha256 of an adapter's weights. Raises InputError when there are none."""
    weights = Path(folder) / "adapter_model.safetensors"
    if not weights.is_file():
        raise InputError(f"{folder}: no adapter_model.safetensors; expected a LoRA adapter")
    return sha256_file(weights)


def note_base(folder: Path | str, ref: str, sha256: str) -> None:
    """Write beside an adapter which base model it belongs to."""
    with atomic_write(Path(folder) / _BASE) as handle:
        handle.write(json.dumps({"ref": ref, "sha256": sha256}) + "\n")


def check_targets(model: Any, targets: Sequence[str], name: str) -> None:
    """Raise InputError, starting with `name`, for a target that no layer of the model is.

    peft trains those that it finds and says nothing of the others.
    """
    layers = [layer for layer, _ in model.named_modules()]
    for target in targets:
        if not any(layer == target or layer.endswith(f".{target}") for layer in layers):
            raise InputError(f"{name}: lora: no layer of the model is named {target!r:.60}")


def load_adapter(model: Any, folder: Path | str, base_sha256: str | None = None) -> Any:
    """Merge the adapter in `folder` into `model` and return the merged model, in eval mode.

    Raises InputError when `base.json` there names other base weights than `base_sha256`, when
    a tensor's shape or name fits no layer of the model, when it changes weights that two layers
    share (a head tied to the word embeddings), and when the folder holds no adapter.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingDependencyError(f"{folder}: adapters need peft: {remedy('peft')}") from error
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    adapter_sha256(folder)
    check_base(folder, base_sha256)
    read_json(folder / "adapter_config.json")  # peft takes NaN, and the last of a key's values
    try:
        with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
            names = list(weights.keys())
            saved = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
            strange = [name for name in names if not weights.get_tensor(name).isfinite().all()]
        if strange:
            raise InputError(f"{folder}: {strange[0]} holds numbers that are not finite")
        with warnings.catch_warnings():  # peft asks transformers by a name that is about to change
            warnings.simplefilter("ignore", FutureWarning)
            loaded = PeftModel.from_pretrained(model, str(folder))
    except InputError:
        raise
    except (
        OSError, ValueError, TypeError, AttributeError, LookupError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: does not fit this model ({reason:.150})") from error
    if tied := _tied(loaded):
        raise InputError(
            f"{folder}: changes {tied}, whose weights another layer shares: merging would change "
            "both; train the adapter on other layers"
        )
    have = {
        name.replace(".default", ""): tuple(value.shape)
        for name, value in loaded.state_dict().items()
        if ".default" in name
    }
    if strange := sorted(name for name, shape in saved.items() if have.get(name) != shape):
        raise InputError(
            f"{folder}: {strange[0]} and {len(strange) - 1} more tensors fit no layer of this model"
        )
    try:
        return loaded.merge_and_unload().eval()
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: cannot be merged ({reason:.150})") from error


def _tied(loaded: Any) -> str:
    """The name of an adapted layer whose weights are another layer's as well, "" if none is."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    users = Counter(id(value) for _, value in loaded.named_parameters(remove_duplicate=False))
    for name, layer in loaded.named_modules():
        if isinstance(layer, BaseTunerLayer) and users[id(layer.get_base_layer().weight)] > 1:
            return name.removeprefix("base_model.model.")
    return ""


def check_base(folder: Path | str, base_sha256: str | None) -> None:
    """Raise InputError when `base.json` beside an adapter names other base weights."""
    note = Path(folder) / _BASE
    if base_sha256 is None or not note.is_file():
        return
    base = read_json(note)
    ref, sha256 = (base.get(k) for k in ("ref", "sha256")) if isinstance(base, dict) else (0, 0)
    if not isinstance(ref, str) or not isinstance(sha256, str):
        raise InputError(f"{note}: expected ref and sha256 of the base")
    if sha256 != base_sha256:
        raise InputError(
            f"{folder}: the adapter was trained on {printable(ref)} ({printable(sha256[:12])}), "
            f"not on this model ({base_sha256[:12]}); load it with its own base"
        )
