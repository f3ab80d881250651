"""Readers of models: folders, GGUF files, adapters, rankers, embedders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ir_replications.bert_distill_losses.checks.tiny_ranker import tiny_ranker
from ir_replications.bert_distill_losses.ranker.files import load_ranker, save_ranker
from ir_replications.shared.models.embedder import load_embedder, stated_length, stated_pooling
from ir_replications.shared.models.references import load_causal_lm
from ir_replications.shared.training.adapters import load_adapter, note_base
from tests.campaign import independent as own
from tests.campaign.campaign import Reader
from tests.campaign.collection_readers import write
from tests.shared.models.test_embedder import static
from tests.shared.models.test_gguf import write_gguf
from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

IDS = [[3, 5, 6, 2]]


def make_model(folder: Path) -> None:
    tiny_model().save_pretrained(str(folder / "m"))
    tiny_tokenizer().save_pretrained(str(folder / "m"))


def read_model(folder: Path) -> Any:
    import torch

    model, tokenizer = load_causal_lm(str(folder / "m"))
    with torch.inference_mode():
        logits = model(torch.tensor(IDS)).logits.numpy()
    batch = tokenizer(["w1 w2", "w3"], padding=True)["input_ids"]
    return {k: v.numpy() for k, v in model.state_dict().items()}, logits, batch


def _tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    found = load_file(path)
    for name, values in found.items():
        assert np.isfinite(values).all(), f"{name} is not finite"
    return found


def confirm_model(folder: Path, found: Any) -> None:
    weights, logits, batch = found
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        path = folder / "m" / name
        assert not path.exists() or isinstance(own.json_of(own.text_of(path)), dict), name
    stored = _tensors(folder / "m" / "model.safetensors")
    tied = own.json_of(own.text_of(folder / "m" / "config.json")).get("tie_word_embeddings")
    for name, values in weights.items():
        if name == "lm_head.weight" and tied:
            continue
        assert np.array_equal(stored[name], values), f"other values of {name}"
    assert set(weights) == set(stored), "other tensors"
    assert np.isfinite(logits).all() and logits.shape[:2] == (1, 4), "logits"
    assert len(batch) == 2 and len(batch[0]) == len(batch[1]), "no padding"


def make_gguf(folder: Path) -> None:
    (folder / "m").mkdir()
    write_gguf(folder / "m" / "a.gguf")


def read_gguf(folder: Path) -> Any:
    with mock.patch.dict(os.environ, {"IR_REPLICATIONS_CACHE": str(folder / "cache")}):
        model, _ = load_causal_lm(str(folder / "m"))
    return {k: v.numpy() for k, v in model.state_dict().items()}


def confirm_gguf(folder: Path, found: dict[str, np.ndarray]) -> None:
    import gguf

    reader = gguf.GGUFReader(str(folder / "m" / "a.gguf"))
    stored = {t.name: np.asarray(gguf.dequantize(t.data, t.tensor_type)) for t in reader.tensors}
    assert all(np.isfinite(values).all() for values in stored.values()), "not finite"
    expected = stored["token_embd.weight"]
    assert np.array_equal(found["model.embed_tokens.weight"], expected), "other embeddings"
    down = stored["blk.0.ffn_down.weight"]
    assert np.array_equal(found["model.layers.0.mlp.down_proj.weight"], down), "other weights"
    assert all(np.isfinite(values).all() for values in found.values()), "not finite"


def make_adapter(folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(tiny_model(), config).save_pretrained(str(folder / "a"))
    note_base(folder / "a", "tiny", "a" * 64)


def read_adapter(folder: Path) -> Any:
    import torch

    merged = load_adapter(tiny_model(), folder / "a", "a" * 64)
    with torch.inference_mode():
        return merged(torch.tensor(IDS)).logits.numpy()


def confirm_adapter(folder: Path, logits: np.ndarray) -> None:
    tensors = _tensors(folder / "a" / "adapter_model.safetensors")
    assert len(tensors) == 8 and np.isfinite(logits).all(), "not finite"
    assert isinstance(own.json_of(own.text_of(folder / "a" / "adapter_config.json")), dict)
    path = folder / "a" / "base.json"
    if path.exists():
        assert own.json_of(own.text_of(path))["sha256"] == "a" * 64, "another base"


def make_ranker(folder: Path) -> None:
    save_ranker(tiny_ranker(layers=1), folder / "r")


def read_ranker(folder: Path) -> Any:
    ranker = load_ranker(folder / "r")
    return {k: v.detach().numpy() for k, v in ranker.head.state_dict().items()}


def confirm_ranker(folder: Path, found: dict[str, np.ndarray]) -> None:
    stated = own.json_of(own.text_of(folder / "r" / "ranker.json"))
    assert type(stated["version"]) is int and type(stated["head"]) is str, "version or head"
    stored = _tensors(folder / "r" / "head.safetensors")
    assert set(found) == set(stored), "other tensors"
    assert all(np.array_equal(stored[name], found[name]) for name in found), "other weights"
    _tensors(folder / "r" / "encoder" / "model.safetensors")


def make_static(folder: Path) -> None:
    (folder / "e").mkdir()
    static(folder / "e")


def read_static(folder: Path) -> Any:
    return load_embedder(str(folder / "e"), pooling="static").encode(["a", "c b"])


def confirm_static(folder: Path, found: np.ndarray) -> None:
    (vectors,) = _tensors(folder / "e" / "model.safetensors").values()
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5), "no unit vectors"
    assert found.shape == (2, vectors.shape[1]), "another shape"


def make_pooling(folder: Path) -> None:
    layers = [("", "Transformer"), ("1_Pooling", "Pooling")]
    kind = "sentence_transformers.models"
    write(folder / "modules.json", [{"path": p, "type": f"{kind}.{t}"} for p, t in layers])
    write(folder / "1_Pooling" / "config.json",
          {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})  # fmt: skip
    write(folder / "sentence_bert_config.json", {"max_seq_length": 256})


def confirm_pooling(folder: Path, found: Any) -> None:
    pooling, length = found
    assert pooling in ("cls", "mean"), "pooling"
    path = folder / "sentence_bert_config.json"
    stated = own.json_of(own.text_of(path)).get("max_seq_length") if path.exists() else None
    assert length == stated and (length is None or own.whole(length, "length", least=1)), "length"


MODEL = {"m/config.json": "json", "m/generation_config.json": "json", "m/tokenizer*.json": "json",
         "m/*.safetensors": "bytes"}  # fmt: skip
READERS = (
    Reader(
        "model folder",
        make_model,
        MODEL,
        read_model,
        confirm_model,
        ("load_causal_lm", "load_encoder", "load_cross_encoder", "fetch_model"),
        apart=True,
    ),
    Reader(
        "GGUF",
        make_gguf,
        {"m/*.gguf": "bytes"},
        read_gguf,
        confirm_gguf,
        ("convert_gguf",),
        apart=True,
    ),
    Reader(
        "adapter",
        make_adapter,
        {"a/*.json": "json", "a/*.safetensors": "bytes"},
        read_adapter,
        confirm_adapter,
        ("load_adapter", "check_base"),
        apart=True,
        share=0.5,
    ),
    Reader(
        "ranker",
        make_ranker,
        {"r/ranker.json": "json", "r/head.safetensors": "bytes"},
        read_ranker,
        confirm_ranker,
        ("load_ranker", "read_stated"),
        apart=True,
        share=0.5,
    ),
    Reader(
        "static embedder",
        make_static,
        {"e/tokenizer.json": "json", "e/*.safetensors": "bytes"},
        read_static,
        confirm_static,
        ("load_embedder",),
        apart=True,
        share=0.5,
    ),
    Reader(
        "pooling",
        make_pooling,
        {"*.json": "json", "1_Pooling/*.json": "json"},
        lambda f: (stated_pooling(f), stated_length(f)),
        confirm_pooling,
        ("stated_pooling",),
        share=0.5,
    ),
)
