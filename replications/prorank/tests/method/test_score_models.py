"""Models of other kinds: architectures, adapters, heads that are no plain product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, inputs, tiny_llama
from ir_replications.prorank.method.score import PairScorer, score_pairs_plain
from ir_replications.shared.errors import InputError

PAIRS = [(query, document) for query, document, _ in inputs(40, seed=5)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer("qwen")


@pytest.fixture
def model(tokenizer: Any) -> Any:
    return tiny_llama(len(tokenizer))


def build(name: str, tokenizer: Any, **settings: Any) -> Any:
    """A random model of another architecture, 2 layers of 32 dimensions."""
    import transformers

    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=1024, head_dim=8)  # fmt: skip
    ids = dict(vocab_size=len(tokenizer), pad_token_id=0, bos_token_id=None, eos_token_id=None)
    config = getattr(transformers, f"{name}Config")(**ids, **sizes, **settings)
    config.initializer_range = 0.15
    return transformers.AutoModelForCausalLM.from_config(config).eval()


OTHERS: dict[str, tuple[dict[str, Any], str, bool]] = {  # settings, path, shares prefixes
    "Qwen2": ({}, "row", True),
    "GPT2": ({}, "row", True),  # absolute positions
    "Mistral": ({"sliding_window": 64}, "row", False),
    "Gemma2": ({"final_logit_softcapping": 2.0}, "logits", False),  # alternating windows
    "Granite": ({"logits_scaling": 4.0}, "logits", True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures(name: str, tokenizer: Any) -> None:
    """Capped and scaled logits are no plain product: the trial finds out, and scores are right."""
    settings, path, shares = OTHERS[name]
    model = build(name, tokenizer, **settings)
    scorer = PairScorer(model, tokenizer, batch_size=7)
    assert (scorer.path, scorer.share_prefix) == (path, shares)
    plain = score_pairs_plain(model, tokenizer, PAIRS, batch_size=7)
    assert np.abs(scorer.score(PAIRS) - plain).max() <= 1e-5 < 0.02 < plain.std()


def adapted(model: Any, **settings: Any) -> Any:
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, lora_dropout=0.5, init_lora_weights=False, **settings)
    return peft.get_peft_model(model, config)


def test_lora_wrapped_and_merged(tokenizer: Any, model: Any) -> None:
    base = PairScorer(model, tokenizer).score(PAIRS)
    wrapped = adapted(model, target_modules=["q_proj", "v_proj", "down_proj"])
    wrapped.train()  # dropout must not reach the scores
    scorer = PairScorer(wrapped, tokenizer)
    found = scorer.score(PAIRS)
    assert scorer.path == "row"
    assert np.abs(found - base).max() > 0.05
    plain = score_pairs_plain(wrapped, tokenizer, PAIRS)
    assert np.abs(found - plain).max() <= 1e-5
    with wrapped.disable_adapter():
        assert np.abs(scorer.score(PAIRS) - base).max() <= 1e-5
    merged = PairScorer(wrapped.merge_and_unload(), tokenizer)
    assert merged.path == "row" and np.abs(merged.score(PAIRS) - plain).max() <= 2e-5


def test_an_adapted_head_takes_the_logits(tokenizer: Any) -> None:
    for settings in ({"target_modules": ["q_proj", "lm_head"]},
                     {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}):  # fmt: skip
        wrapped = adapted(tiny_llama(len(tokenizer), tied=False), **settings)
        scorer = PairScorer(wrapped, tokenizer)
        assert scorer.path == "logits"
        plain = score_pairs_plain(wrapped, tokenizer, PAIRS)
        assert np.abs(scorer.score(PAIRS) - plain).max() <= 1e-5


def test_prompt_tuning_is_refused(tokenizer: Any, model: Any) -> None:
    peft = pytest.importorskip("peft")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    wrapped = peft.get_peft_model(model, config)
    with pytest.raises(InputError, match="adapter 'default' prepends tokens to the prompt"):
        PairScorer(wrapped, tokenizer)


@pytest.mark.parametrize("load", ["LlamaForSequenceClassification", "LlamaModel"])
def test_models_without_a_language_head(load: str, tokenizer: Any, model: Any) -> None:
    import transformers

    model.config.pad_token_id = 0
    other = getattr(transformers, load)(model.config).eval()
    with pytest.raises(InputError, match=f"{load} gives no logits of a vocabulary; load a causal"):
        PairScorer(other, tokenizer)
