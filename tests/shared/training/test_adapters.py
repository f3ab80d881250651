"""Adapters: merged as peft merges them, and refused on any other base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from ir_replications.shared.errors import InputError
from ir_replications.shared.training import adapter_sha256, load_adapter
from ir_replications.shared.training.adapters import note_base
from tests.shared.models.tiny_model import tiny_model


def with_adapter(model: Any, targets: list[str], seed: int = 1) -> Any:
    torch.manual_seed(seed)
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=targets, task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_B" in name:  # starts at zero, where an adapter changes nothing
                value.normal_(std=0.5)
    return wrapped.eval()


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    with_adapter(tiny_model(), ["q_proj", "v_proj"]).save_pretrained(str(folder))
    note_base(folder, "tiny", "a" * 64)
    return folder


def test_the_merged_model_computes_what_the_adapter_did(adapter: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        expected = with_adapter(tiny_model(), ["q_proj", "v_proj"])(ids).logits
        plain = tiny_model()(ids).logits
        merged = load_adapter(tiny_model(), adapter, "a" * 64)(ids).logits
    torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-5)
    assert (merged - plain).abs().max() > 0.01


def test_another_base_is_refused(adapter: Path) -> None:
    with pytest.raises(InputError, match="trained on tiny"):
        load_adapter(tiny_model(), adapter, "b" * 64)


def test_an_adapter_that_fits_no_layer_is_refused(adapter: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    other = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32,
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
        )
    )
    with pytest.raises(InputError, match="fit"):
        load_adapter(other, adapter)


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings:UserWarning")
def test_an_adapter_of_tied_weights_is_refused(tmp_path: Path) -> None:
    def tied() -> Any:
        model = tiny_model()
        model.config.tie_word_embeddings = True
        model.tie_weights()
        return model

    model = tied()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    adapted = with_adapter(model, ["lm_head"])
    adapted.save_pretrained(str(tmp_path), save_embedding_layers=False)
    with pytest.raises(InputError, match="changes lm_head, whose weights another layer shares"):
        load_adapter(tied(), tmp_path)


def test_a_folder_without_adapter_is_refused(tmp_path: Path) -> None:
    for use in (adapter_sha256, lambda folder: load_adapter(tiny_model(), folder)):
        with pytest.raises(InputError, match="no adapter_model"):
            use(tmp_path)


@pytest.mark.parametrize(
    "text", ["[1]", "null", '{"ref": 1, "sha256": "a"}', '{"ref": "tiny"}', "{", "[" * 100_000]
)
def test_a_damaged_note_of_the_base_is_one_line(adapter: Path, text: str) -> None:
    (adapter / "base.json").write_text(text)
    with pytest.raises(InputError) as caught:
        load_adapter(tiny_model(), adapter, "a" * 64)
    assert str(caught.value).startswith(f"{adapter / 'base.json'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", "null", "{", '{"peft_type": "LORA", "r": "x"}', "{}"])
def test_a_damaged_configuration_is_one_line(adapter: Path, text: str) -> None:
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(InputError) as caught:
        load_adapter(tiny_model(), adapter)
    assert str(caught.value).startswith((f"{adapter}: ", f"{adapter / 'adapter_config.json'}: "))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(adapter: Path, value: float) -> None:
    from safetensors.torch import load_file, save_file

    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name][0, 0] = value
    save_file(tensors, path)
    with pytest.raises(InputError, match=rf"{name} holds numbers that are not finite"):
        load_adapter(tiny_model(), adapter)
