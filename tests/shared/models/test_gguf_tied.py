"""A GGUF of Qwen2's kind whose one matrix is there twice: a tied model, and Qwen's tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.gguf import convert_gguf

WORDS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "0", "1", "a", "b", "?", ".", "Ċ", "Ġ", "ab",
    "?Ċ", "ĠĠ",
]  # fmt: skip
WIDTH, INNER, HEADS, KEYS = 32, 64, 4, 2


def write_qwen(path: Path, *, other_head: bool = False) -> dict[str, Any]:
    """A random Qwen2 of two layers, embeddings of 5 bits, head of 8; the tensors they came from.

    `other_head`: a head of its own.
    """
    gguf = pytest.importorskip("gguf")
    import numpy as np

    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(WORDS), WIDTH),
        "output_norm.weight": (WIDTH,),
    }
    for layer in ("blk.0", "blk.1"):
        kept = WIDTH // HEADS * KEYS
        for name, rows in (("attn_q", WIDTH), ("attn_k", kept), ("attn_v", kept)):
            shapes |= {f"{layer}.{name}.weight": (rows, WIDTH), f"{layer}.{name}.bias": (rows,)}
        shapes |= {
            f"{layer}.attn_norm.weight": (WIDTH,),
            f"{layer}.ffn_norm.weight": (WIDTH,),
            f"{layer}.attn_output.weight": (WIDTH, WIDTH),
            f"{layer}.ffn_gate.weight": (INNER, WIDTH),
            f"{layer}.ffn_up.weight": (INNER, WIDTH),
            f"{layer}.ffn_down.weight": (WIDTH, INNER),
        }
    tensors = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    head = tensors["token_embd.weight"]
    tensors["output.weight"] = rng.normal(size=head.shape).astype("f4") if other_head else head
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(2)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(WORDS)
    writer.add_token_types([3] * 3 + [1] * (len(WORDS) - 3))
    writer.add_token_merges(["a b", "? Ċ", "Ġ Ġ"])
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_bos_token_id(0)
    kinds = gguf.GGMLQuantizationType
    for name, tensor in tensors.items():
        kind = {"token_embd.weight": kinds.Q5_0, "output.weight": kinds.Q8_0}.get(name)
        if kind is None:
            writer.add_tensor(name, tensor)
        else:
            writer.add_tensor(name, gguf.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def converted(tmp_path: Path, **options: Any) -> tuple[Any, Any]:
    """(model, tokenizer) as they are loaded from the folder that the GGUF became."""
    transformers = pytest.importorskip("transformers")
    convert_gguf(tmp_path / "tiny.gguf", tmp_path, **options)
    (tmp_path / "tiny.gguf").unlink()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    return transformers.AutoModelForCausalLM.from_pretrained(tmp_path), tokenizer


def test_one_matrix_that_is_there_twice_becomes_one_again(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    gguf = pytest.importorskip("gguf")
    tensors = write_qwen(tmp_path / "tiny.gguf")
    model, _ = converted(tmp_path, tied=True)
    kind = gguf.GGMLQuantizationType.Q8_0
    finer = gguf.dequantize(gguf.quantize(tensors["output.weight"], kind), kind)
    found = model.get_input_embeddings().weight
    assert found is model.get_output_embeddings().weight
    assert np.array_equal(found.detach().numpy(), finer), "the head's copy has more bits"
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is True
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    bias = weights["model.layers.1.self_attn.q_proj.bias"]
    assert np.array_equal(bias, tensors["blk.1.attn_q.bias"])
    from safetensors import safe_open

    with safe_open(tmp_path / "model.safetensors", "np") as stored:
        assert "lm_head.weight" not in set(stored.keys()), "the file holds the matrix once"


def test_two_matrices_stay_two_unless_told(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    write_qwen(tmp_path / "tiny.gguf")
    model, _ = converted(tmp_path)
    assert model.get_input_embeddings().weight is not model.get_output_embeddings().weight


def test_a_head_of_its_own_is_not_tied(tmp_path: Path) -> None:
    write_qwen(tmp_path / "tiny.gguf", other_head=True)
    with pytest.raises(InputError, match=r"embeddings and head differ by 1\.\d\d of their norm"):
        converted(tmp_path, tied=True)
    assert not (tmp_path / "model.safetensors").exists()


def test_the_tokenizer_is_qwens(tmp_path: Path) -> None:
    from ir_replications.prorank.method.prompt import answer_ids

    write_qwen(tmp_path / "tiny.gguf")
    _, tokenizer = converted(tmp_path, tied=True)
    assert answer_ids(tokenizer) == (3, 4)
    whole = tokenizer("ab?\n<|im_end|>", add_special_tokens=False)["input_ids"]
    assert whole == [11, 12, 2], "'?' and the line end are one token with Qwen's pre-tokenizer"
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 0)
