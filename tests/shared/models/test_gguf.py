"""GGUF weights become safetensors that give the same tensors and can be trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import sha256_file
from ir_replications.shared.models.references import fetch_model, load_causal_lm


def write_gguf(path: Path) -> dict[str, Any]:
    """A random Llama of one layer in GGUF, float32; returns its tensors by GGUF name."""
    gguf = pytest.importorskip("gguf")
    import numpy as np

    rng = np.random.default_rng(0)
    words = ["<unk>", "<end>", *(chr(c) for c in range(97, 107)), "ab"]
    shapes = {
        "token_embd.weight": (len(words), 16),
        "output_norm.weight": (16,),
        "blk.0.attn_norm.weight": (16,),
        "blk.0.ffn_norm.weight": (16,),
        "blk.0.attn_q.weight": (16, 16),
        "blk.0.attn_k.weight": (8, 16),
        "blk.0.attn_v.weight": (8, 16),
        "blk.0.attn_output.weight": (16, 16),
        "blk.0.ffn_gate.weight": (24, 16),
        "blk.0.ffn_up.weight": (24, 16),
        "blk.0.ffn_down.weight": (16, 24),
    }
    tensors = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(1)
    writer.add_feed_forward_length(24)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3, 3] + [1] * (len(words) - 2))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(0)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def test_a_gguf_folder_is_converted_once_and_can_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "m"
    folder.mkdir()
    tensors = write_gguf(folder / "tiny.gguf")
    files = fetch_model(str(folder))
    assert files.sha256 == sha256_file(folder / "tiny.gguf")
    assert files.path.parent == tmp_path / "cache" / "models"
    assert "dequantised" in files.note
    stamp = (files.path / "model.safetensors").stat().st_mtime_ns
    assert fetch_model(str(folder)) == files
    assert (files.path / "model.safetensors").stat().st_mtime_ns == stamp
    assert "quantization_config" not in json.loads((files.path / "config.json").read_text())
    model, tokenizer = load_causal_lm(str(folder))
    assert tokenizer.encode("ab", add_special_tokens=False) == [12]
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    assert (weights["model.embed_tokens.weight"] == tensors["token_embd.weight"]).all()
    layer = "model.layers.0"
    assert (weights[f"{layer}.mlp.down_proj.weight"] == tensors["blk.0.ffn_down.weight"]).all()
    assert (weights[f"{layer}.self_attn.v_proj.weight"] == tensors["blk.0.attn_v.weight"]).all()
    assert all(parameter.requires_grad for parameter in model.parameters())
    (folder / "second.gguf").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 \.gguf files"):
        fetch_model(str(folder))
