"""Weights in GGUF files, turned into safetensors that can be trained and saved."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.folder import check_finite, check_sizes, loading
from ir_replications.shared.models.libraries import hide_progress, require

_QUANTISED = 0.15  # 4 bits to a number leave some .1 of the norm as error; 5 against 8 bits .044
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
            12: "d"}  # fmt: skip
_TEXT, _ARRAY = 8, 9  # types of values by GGUF's specification
_SIZES = {  # the names that a config has in transformers, by the end of the key in GGUF
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "vocab_size": "vocab_size",
}


def convert_gguf(weights: Path, target: Path, *, tied: bool = False) -> None:
    """Write a GGUF file's model as float32 safetensors with its tokenizer into `target`.

    transformers can neither save nor train what it loads from GGUF, since the config still says
    quantised: the weights move to a fresh model of the same config without that entry. `tied`: the
    published model has one matrix for embeddings and head, which the file holds twice, quantised
    in two ways; the head's, which llama.cpp stores the finer, becomes both. Raises InputError for
    a damaged file, one that lacks weights, weights that are not finite, and two matrices that are
    not the same one.
    """
    require_gguf()
    transformers = require("transformers")
    check_header(weights)
    hide_progress()
    torch = require("torch")
    source = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
    options = {"dtype": torch.float32, "output_loading_info": True}
    logging = require("transformers.utils.logging")
    told = logging.get_verbosity()
    logging.set_verbosity_error()  # what is wrong is said below, in one line
    # The bar over GGUF tensors ignores transformers' own switch for progress bars.
    shown = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with contextlib.redirect_stderr(shown), loading(weights, "no model in GGUF"):
            loaded, info = transformers.AutoModelForCausalLM.from_pretrained(**source, **options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    finally:
        logging.set_verbosity(told)
    if missing := sorted(info["missing_keys"]):
        raise InputError(
            f"{weights}: lacks {missing[0]} and {len(missing) - 1} more weights of its model"
        )
    check_finite(loaded.state_dict(), weights)
    if tied:
        _tie(loaded, weights)
    config = type(loaded.config)(
        **{k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
    )
    fresh = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(str(target))
    tokenizer.save_pretrained(str(target))


def require_gguf() -> None:
    """Raise MissingDependencyError unless what transformers reads GGUF with is installed."""
    for module in ("transformers", "gguf", "accelerate"):
        require(module)


def _tie(model: Any, where: Path) -> None:
    """Let the head's matrix be the embeddings' too, where quantisation alone tells them apart."""
    head, embeddings = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    apart = float((head.detach() - embeddings.detach()).norm() / head.detach().norm())
    if not apart < _QUANTISED:
        raise InputError(
            f"{where}: embeddings and head differ by {apart:.2f} of their norm; expected one "
            "matrix, quantised twice"
        )
    model.get_input_embeddings().weight = head
    model.config.tie_word_embeddings = True


def check_header(path: Path) -> None:
    """Walk through a GGUF file's header before a library believes its counts and lengths.

    Raises InputError for another kind of file, counts, lengths and offsets that reach past its
    end, keys and tensors given twice, and sizes of the model that no tensor has.
    """
    with open(path, "rb") as handle:
        header = _Header(path, handle.read(_HEADER), path.stat().st_size)
    if header.content[:4] != b"GGUF":
        raise InputError(f"{path}: does not begin with GGUF; expected a GGUF file")
    header.place = 4
    version, tensors, keys = header.unpack("I"), header.unpack("Q"), header.unpack("Q")
    if version not in (2, 3):
        raise InputError(f"{path}: GGUF of version {version}; expected 2 or 3")
    values: dict[str, Any] = {}
    for _ in range(header.counted(keys, 13)):
        key = header.text()
        if key in values:
            raise InputError(f"{path}: the key {key!r:.60} is given twice")
        values[key] = header.value(header.unpack("I"))
    shapes: dict[str, list[int]] = {}
    for _ in range(header.counted(tensors, 24)):
        name = header.text()
        if name in shapes:
            raise InputError(f"{path}: the tensor {name!r:.60} is given twice")
        shapes[name] = [header.unpack("Q") for _ in range(header.counted(header.unpack("I"), 8))]
        _, offset = header.unpack("I"), header.unpack("Q")
        # Quantised weights have at least a bit each.
        if offset > header.size or math.prod(shapes[name]) > 8 * header.size:
            raise InputError(f"{path}: {name!r:.60} reaches past the end of the file; it is cut")
    config = {
        named: value
        for key, value in values.items()
        if (named := _SIZES.get(key.rpartition(".")[2])) and isinstance(value, int)
    }
    if bad := [key for key, value in config.items() if value < 1]:
        raise InputError(f"{path}: {bad[0]} {config[bad[0]]}, which no model has")
    check_sizes(list(shapes.values()), config, path)


_HEADER = 1 << 28  # bytes, at most: the largest vocabularies have some 20 MB


@dataclass
class _Header:
    """The start of a GGUF file, little-endian, and the place that has been read up to."""

    path: Path
    content: bytes
    size: int  # bytes of the whole file
    place: int = 0

    def unpack(self, kind: str) -> Any:
        end = self.place + struct.calcsize(f"<{kind}")
        if end > len(self.content):
            raise InputError(f"{self.path}: ends within its header; fetch it again")
        (value,) = struct.unpack_from(f"<{kind}", self.content, self.place)
        self.place = end
        return value

    def counted(self, count: int, least: int) -> int:
        """The count of what has at least so many bytes each, if they are there."""
        if count * least > len(self.content) - self.place:
            raise InputError(
                f"{self.path}: its header at byte {self.place} says {count} entries, more than "
                "the file has room for; it is damaged, fetch it again"
            )
        return count

    def text(self) -> str:
        length = self.counted(self.unpack("Q"), 1)
        raw = self.content[self.place : self.place + length]
        self.place += length
        return raw.decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """The value of this type at this place; None for an array, which is walked over."""
        if kind in _SCALARS:
            return self.unpack(_SCALARS[kind])
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY or depth > 4:
            raise InputError(f"{self.path}: a value of type {kind}, which GGUF does not have")
        inner, count = self.unpack("I"), self.unpack("Q")
        if inner in _SCALARS:
            self.place += struct.calcsize(_SCALARS[inner]) * self.counted(
                count, struct.calcsize(_SCALARS[inner])
            )
            return None
        for _ in range(self.counted(count, 8)):
            self.value(inner, depth + 1)
        return None
