"""Models loaded from local folders: ready to use, whole, and without code of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.models.libraries import require
from ir_replications.shared.models.references import (
    load_causal_lm,
    load_cross_encoder,
    load_encoder,
)


def save_tiny(folder: Path) -> Any:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

    model = tiny_model()
    model.save_pretrained(str(folder))
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(str(folder))
    return model


def test_a_local_folder_is_loaded_ready_to_generate(tmp_path: Path) -> None:
    saved = save_tiny(tmp_path)
    model, tokenizer = load_causal_lm(str(tmp_path))
    assert not model.training
    assert (tokenizer.padding_side, tokenizer.pad_token) == ("left", "<end>")
    for name, value in saved.state_dict().items():
        assert bool((model.state_dict()[name] == value).all()), name


def test_an_encoder_is_loaded_in_the_dtype_asked_for(tmp_path: Path) -> None:
    save_tiny(tmp_path)
    encoder, _ = load_encoder(str(tmp_path), "bfloat16")
    assert str(encoder.dtype) == "torch.bfloat16"
    assert not hasattr(encoder, "lm_head")
    with pytest.raises(InputError, match="dtype 'int8': expected float32"):
        load_encoder(str(tmp_path), "int8")


def test_a_cross_encoder_needs_the_weights_of_its_head(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    safetensors = pytest.importorskip("safetensors.torch")
    from tests.shared.models.tiny_model import tiny_tokenizer

    config = transformers.DebertaV2Config(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1,
    )  # fmt: skip
    saved = transformers.AutoModelForSequenceClassification.from_config(config)
    saved.save_pretrained(str(tmp_path))
    tiny_tokenizer().save_pretrained(str(tmp_path))
    model, _ = load_cross_encoder(str(tmp_path))
    assert not model.training
    for name, value in saved.state_dict().items():
        assert bool((model.state_dict()[name] == value).all()), name
    weights = tmp_path / "model.safetensors"
    kept = {k: v for k, v in safetensors.load_file(weights).items() if "pooler" not in k}
    safetensors.save_file(kept, weights, metadata={"format": "pt"})
    load_encoder(str(tmp_path))
    with pytest.raises(InputError, match=r"the weights lack pooler\.dense\.bias and 1 more"):
        load_cross_encoder(str(tmp_path))


def test_code_that_a_model_brings_is_not_run(tmp_path: Path) -> None:
    save_tiny(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_type"] = "mine"
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_causal_lm(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_unreadable_weights_are_one_line(tmp_path: Path) -> None:
    save_tiny(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_causal_lm(str(tmp_path))


def test_weights_that_would_be_made_up_are_refused(tmp_path: Path) -> None:
    from_headless = save_tiny(tmp_path).model
    from_headless.config.tie_word_embeddings = False
    from_headless.save_pretrained(str(tmp_path))
    load_encoder(str(tmp_path))
    with pytest.raises(InputError, match=r"the weights lack lm_head\.weight"):
        load_causal_lm(str(tmp_path))


def test_an_absent_library_names_the_install_line() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'ir-replications\[all\]'"):
        require("no_such_library")
