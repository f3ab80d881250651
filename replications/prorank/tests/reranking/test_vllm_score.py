"""Scores through vLLM: a stand-in engine converts a tiny model as vLLM's documentation says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, inputs, tiny_llama
from ir_replications.prorank.method.prompt import PromptTokenizer, prompt_text
from ir_replications.prorank.method.score import PairScorer, score_pairs_plain
from ir_replications.prorank.reranking.vllm_score import VllmScorer
from ir_replications.prorank.tests.reranking.tiny_vllm import Engine, fake_vllm
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.training.adapters import load_adapter, note_base
from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

PAIRS = [(query, document) for query, document, _ in inputs(12, seed=5)]
# Of transformers, called by peft.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


@pytest.fixture(autouse=True)
def vllm(monkeypatch: pytest.MonkeyPatch) -> Any:
    fake = fake_vllm()
    monkeypatch.setitem(sys.modules, "vllm", fake)
    return fake


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer("qwen")


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return tiny_llama(len(tokenizer))


@pytest.fixture(scope="module")
def saved(tokenizer: Any, model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), model, tokenizer)


def save(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def test_scores_are_the_logit_differences(tokenizer: Any, model: Any, saved: Path) -> None:
    scorer = VllmScorer(str(saved), dtype="float32", seed=3)
    for instruction in (None, "prefer maps."):
        found = scorer.score(PAIRS, instruction)
        plain = score_pairs_plain(model, tokenizer, PAIRS, instruction=instruction)
        assert found.dtype == np.float32 and plain.std() > 0.1
        assert np.abs(found - plain).max() <= 1e-5
        expected = PromptTokenizer(tokenizer).encode_pairs(PAIRS, instruction)
        assert [each["prompt_token_ids"] for each in Engine.calls[-1]] == expected
    # The ids are of the pieces: one string has others where a text ends in punctuation.
    whole = [tokenizer(prompt_text(q, d, instruction))["input_ids"] for q, d in PAIRS]
    assert sum(a != b for a, b in zip(whole, expected, strict=True)) >= 3


def test_the_engine_is_asked_for_the_documented_conversion(saved: Path) -> None:
    scorer = VllmScorer(str(saved), max_length=100, gpu_memory_utilization=0.5)
    assert Engine.made == {
        "model": str(saved),
        "tokenizer": str(saved),
        "runner": "pooling",
        "hf_overrides": {
            "architectures": ["LlamaForSequenceClassification"],
            "classifier_from_token": ["0", "1"],
            "method": "from_2_way_softmax",
        },
        "dtype": "bfloat16",
        "max_model_len": 100 + scorer.prompts.template_length,
        "trust_remote_code": False,
        "gpu_memory_utilization": 0.5,
    }
    scorer.score([("q", "word " * 400)])
    assert len(Engine.calls[0][0]["prompt_token_ids"]) == Engine.made["max_model_len"]
    assert scorer.score([]).shape == (0,) and len(Engine.calls) == 1
    VllmScorer(str(saved))
    assert Engine.made["max_model_len"] == 1024, "the positions of the model"


def adapter(folder: Path, model: Any, base: str, *targets: str) -> Path:
    """A LoRA adapter with random weights for these layers of the model of sha256 `base`."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    config = peft.LoraConfig(
        r=4, task_type="CAUSAL_LM", target_modules=list(targets), init_lora_weights=False
    )
    wrapped = peft.get_peft_model(model, config)
    wrapped.save_pretrained(str(folder), save_embedding_layers=False)
    note_base(folder, "tiny", base)
    return folder


def test_an_adapter_is_merged_into_the_weights(tokenizer: Any, saved: Path, tmp_path: Path) -> None:
    base = fetch_model(str(saved)).sha256
    lora = adapter(tmp_path / "lora", tiny_llama(len(tokenizer)), base, "q_proj", "v_proj")
    found = VllmScorer(str(saved), lora=lora, dtype="float32").score(PAIRS)
    merged = load_adapter(tiny_llama(len(tokenizer)), lora, base)
    assert np.abs(found - PairScorer(merged, tokenizer).score(PAIRS)).max() <= 1e-5
    assert np.abs(found - VllmScorer(str(saved), dtype="float32").score(PAIRS)).max() > 0.01
    VllmScorer(str(saved), lora=lora)
    assert Engine.made["tokenizer"] == str(saved) != Engine.made["model"]
    assert not Path(Engine.made["model"]).exists(), "the merged copy is not kept"


@pytest.mark.filterwarnings("ignore:Model .*tie_word_embeddings")
def test_adapters_that_do_not_fit_are_refused(tokenizer: Any, saved: Path, tmp_path: Path) -> None:
    other = adapter(tmp_path / "other", tiny_llama(len(tokenizer)), "0" * 64, "q_proj")
    with pytest.raises(InputError, match="the adapter was trained on tiny"):
        VllmScorer(str(saved), lora=other)
    base = fetch_model(str(saved)).sha256
    head = adapter(tmp_path / "head", tiny_llama(len(tokenizer)), base, "q_proj", "lm_head")
    with pytest.raises(InputError, match="changes lm_head, whose weights another layer shares"):
        VllmScorer(str(saved), lora=head)
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        VllmScorer(str(saved), lora=tmp_path)


def with_scores(i: int, *scores: float) -> Callable[[list[Any]], list[Any]]:
    """Change what the engine returns for prompt `i`."""

    def change(done: list[Any]) -> list[Any]:
        done[i].outputs.probs = list(scores)
        return done

    return change


def test_bad_answers_of_the_engine(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Callable[[list[Any]], list[Any]]] = {
        r"pair 2 \(query 'b'\): the score is nan": with_scores(1, float("nan")),
        "returned 2 classes": with_scores(0, 1.0, 2.0),
        "another prompt than that of pair 1": lambda done: done[::-1],
        "another prompt than that of pair 2": lambda done: [done[0], done[0]],
        "returned 1 of 2 scores": lambda done: done[1:],
    }
    for message, change in changes.items():
        monkeypatch.setattr(Engine, "alter", staticmethod(change))
        kind = InputError if "nan" in message else RuntimeError
        with pytest.raises(kind, match=message) as caught:
            VllmScorer(str(saved)).score([("a", "x"), ("b", "y")])
        assert "\n" not in str(caught.value)


def test_models_that_the_conversion_would_change_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one known token"):
        VllmScorer(str(save(tmp_path, tiny_model(), tiny_tokenizer())))
    config = json.loads((saved / "config.json").read_text())
    for name in (["GraniteForCausalLM"], None):  # its logits are divided
        (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": name}))
        with pytest.raises(InputError, match="is not among Llama") as caught:
            VllmScorer(str(tmp_path))
        assert "\n" not in str(caught.value)


def test_another_token_for_an_answer_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedTokenizerFast

    look_up: Any = PreTrainedTokenizerFast.convert_tokens_to_ids

    def swapped(self: Any, tokens: Any) -> Any:
        return look_up(self, tokens[::-1] if tokens == ["0", "1"] else tokens)

    monkeypatch.setattr(PreTrainedTokenizerFast, "convert_tokens_to_ids", swapped)
    with pytest.raises(InputError, match="vLLM takes the tokens"):
        VllmScorer(str(saved))


def test_without_vllm_or_with_an_old_one_the_install_line_is_said(
    saved: Path, vllm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm.PoolingParams = lambda softmax=None: None
    with pytest.raises(MissingDependencyError, match=r"pip install 'vllm>=0\.12'"):
        VllmScorer(str(saved))
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingDependencyError, match="pip install vllm") as caught:
        VllmScorer(str(saved))
    assert "\n" not in str(caught.value)
