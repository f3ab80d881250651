"""Weights that a hub repository has in pickles alone, turned once into safetensors.

torch's weights-only reader makes tensors and containers of a pickle and nothing else: no code of
the file runs. It is asked for by name (`replicate models convert`), never done on the way.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import sha256_file
from ir_replications.shared.models.folder import check_finite, files_in, loading
from ir_replications.shared.models.libraries import require
from ir_replications.shared.reading import read_json

PICKLES = "pytorch_model*.bin"
ORIGIN = "converted.json"  # in the converted folder: the sha256 of the published weights


def convert_pickles(snapshot: Path, target: Path, ref: str) -> None:
    """Write the weights of `snapshot` as one safetensors file into `target`, with its texts.

    Raises InputError where there are none, and for pickles that hold more than tensors.
    """
    torch, safetensors = require("torch"), require("safetensors.torch")
    files = files_in(snapshot, PICKLES)
    if not files:
        raise InputError(f"{ref}: no {PICKLES} at this revision; there is nothing to convert")
    tensors: dict[str, Any] = {}
    for path in files:
        with loading(path, "is no file of plain tensors"):
            found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
            raise InputError(f"{path}: holds more than named tensors; it is not converted")
        if not all(type(n) is str and t.layout == torch.strided for n, t in found.items()):
            raise InputError(f"{path}: holds more than named dense tensors; it is not converted")
        for name in sorted(tensors.keys() & found.keys()):
            if not torch.equal(tensors[name], found[name]):
                raise InputError(f"{path}: another {name} than in a file before it; keep one")
        check_finite(found, path)
        tensors |= found
    # Tied weights are one tensor under two names, which safetensors refuses: each has its own.
    with loading(target, "not written as safetensors"):
        own = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        safetensors.save_file(own, target / "model.safetensors", {"format": "pt"})
    texts = [path for kind in ("*.json", "*.txt", "*.model") for path in files_in(snapshot, kind)]
    for path in texts:
        if "bin" not in path.name:
            shutil.copyfile(path, target / path.name)
    sums = {path.name: sha256_file(path) for path in files}
    (target / ORIGIN).write_text(json.dumps(sums, indent=1) + "\n", "utf-8")


def converted_sums(folder: Path) -> dict[str, str]:
    """`{file: sha256}` of the published weights, beside their conversion.

    Raises InputError for a file of something else.
    """
    sums = read_json(folder / ORIGIN)
    if not isinstance(sums, dict) or not sums or not all(type(v) is str for v in sums.values()):
        raise InputError(f"{folder / ORIGIN}: expected sha256 by file; convert the model again")
    return sums
