"""Weights that a hub repository has in pickles alone, turned once into safetensors.

torch's weights-only reader makes tensors and containers of a pickle and nothing else: no code of
the file runs. It is asked for by name (`replicate models convert`), never done on the way.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from shared.errors import InputError
from shared.files import sha256_file
from shared.model_libraries import require

PICKLES = "pytorch_model*.bin"
ORIGIN = "converted.json"  # in the converted folder: the sha256 of the published weights


def convert_pickles(snapshot: Path, target: Path, ref: str) -> None:
    """Write the weights of `snapshot` as one safetensors file into `target`, with its texts.

    Raises InputError where there are none, and for pickles that hold more than tensors.
    """
    torch, safetensors = require("torch"), require("safetensors.torch")
    files = sorted(snapshot.glob(PICKLES))
    if not files:
        raise InputError(f"{ref}: no {PICKLES} at this revision; there is nothing to convert")
    tensors: dict[str, Any] = {}
    for path in files:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # the unpickler raises many kinds
            reason = (str(error).strip().splitlines() or [""])[0]
            raise InputError(f"{path}: is no file of plain tensors ({reason:.150})") from error
        if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
            raise InputError(f"{path}: holds more than named tensors; it is not converted")
        tensors |= found
    # Tied weights are one tensor under two names, which safetensors refuses: each has its own.
    own = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    safetensors.save_file(own, target / "model.safetensors", {"format": "pt"})
    for path in snapshot.iterdir():
        if path.is_file() and path.suffix in (".json", ".txt", ".model") and "bin" not in path.name:
            shutil.copyfile(path, target / path.name)
    sums = {path.name: sha256_file(path) for path in files}
    (target / ORIGIN).write_text(json.dumps(sums, indent=1) + "\n", "utf-8")
