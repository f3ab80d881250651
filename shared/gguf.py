"""Weights in GGUF files, turned into safetensors that can be trained and saved."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from shared.model_libraries import hide_progress, require


def convert_gguf(weights: Path, target: Path) -> None:
    """Write a GGUF file's model as float32 safetensors with its tokenizer into `target`.

    transformers can neither save nor train what it loads from GGUF, since the config still says
    quantised: the weights move to a fresh model of the same config without that entry.
    """
    transformers = require("transformers")
    for module in ("gguf", "accelerate"):  # transformers reads GGUF with both
        require(module)
    hide_progress()
    torch = require("torch")
    source = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
    # The bar over GGUF tensors ignores transformers' own switch for progress bars.
    shown = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with contextlib.redirect_stderr(shown):
        loaded = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    config = type(loaded.config)(
        **{k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
    )
    fresh = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(str(target))
    tokenizer.save_pretrained(str(target))
