"""Cross-encoders: tiny random models of three kinds against ids put together by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.prorank.reranking.cross_encoder import (
    CrossEncoderScorer,
    load_cross_encoder,
    positions_of,
)
from ir_replications.prorank.tests.reranking.tiny_cross_encoder import (
    KINDS,
    WORDS,
    save_tiny,
    tiny_model,
    tiny_tokenizer,
)
from ir_replications.shared.errors import InputError

PAIRS = [
    (" ".join(f"w{(i + j) % 28}" for j in range(1 + i % 4)),
     " ".join(f"w{(i * i + 3 * j) % 28}" for j in range(i % 13)))
    for i in range(30)
]  # fmt: skip


def by_hand(model: Any, query: str, document: str, types: bool) -> float:
    """The logit of one pair: its words looked up, nothing cut, no padding."""
    first = [1, *(WORDS.index(w) for w in query.split()), 2]
    second = [*(WORDS.index(w) for w in document.split()), 2]
    inputs = {"input_ids": torch.tensor([first + second])}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if types:
        inputs["token_type_ids"] = torch.tensor([[0] * len(first) + [1] * len(second)])
    with torch.inference_mode():
        return float(model(**inputs).logits[0, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_raw_logits_of_each_pair(kind: str, tmp_path: Path) -> None:
    model, tokenizer = load_cross_encoder(str(save_tiny(tmp_path, kind)))
    expected = np.array([by_hand(model, q, d, KINDS[kind][1]) for q, d in PAIRS])
    assert expected.std() > 0.05 and (np.abs(expected) > 1).any(), "no sigmoid, no constant"
    for size in (1, 7, 64):
        found = CrossEncoderScorer(model, tokenizer, batch_size=size).score(PAIRS)
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= 1e-5
    model.train()
    assert np.abs(CrossEncoderScorer(model, tokenizer).score(PAIRS) - expected).max() <= 1e-5
    assert model.training, "dropout was off for the scores alone"
    assert CrossEncoderScorer(model, tokenizer).score([]).shape == (0,)


def test_only_the_document_is_cut_unless_the_query_leaves_it_no_token() -> None:
    model, tokenizer = tiny_model("Bert"), tiny_tokenizer(True)
    scorer = CrossEncoderScorer(model, tokenizer, max_length=11)  # 8 words and 3 special tokens
    seven, nine = " ".join(f"w{i}" for i in range(7)), " ".join(f"w{i}" for i in range(9))
    texts = [("w1 w2", nine), (seven, "w9 w8"), (f"{seven} w7", "w9"), (nine, nine), ("w1", "")]
    cut = [("w1 w2", "w0 w1 w2 w3 w4 w5"), (seven, "w9")]
    rows = scorer.encode_pairs(texts)
    assert [len(row["input_ids"]) for row in rows] == [11, 11, 11, 11, 4]
    for (query, document), row in zip(cut, rows, strict=False):
        words = f"[CLS] {query} [SEP] {document} [SEP]".split()
        assert row["input_ids"] == [WORDS.index(word) for word in words]
    assert [sum(row["token_type_ids"]) - 1 for row in rows[2:]] == [1, 4, 0]
    found = scorer.score(texts)
    expected = [by_hand(model, q, d, True) for q, d in [*cut, (seven, "w9")]]
    assert np.abs(found[:3] - expected).max() <= 1e-5


def test_the_model_and_the_tokenizer_lower_the_length() -> None:
    assert positions_of(tiny_model("Bert")) == 64
    roberta = tiny_model("XLMRoberta")
    assert positions_of(roberta) == 64, "65 positions, counted from the padding's id on"
    assert positions_of(tiny_model("DebertaV2")) is None
    long = [("w1", "w2 " * 300)]
    for model, limit, expected in ((roberta, 10**30, 64), (roberta, 20, 20)):
        scorer = CrossEncoderScorer(model, tiny_tokenizer(False, limit))
        assert scorer.max_length == expected == len(scorer.encode_pairs(long)[0]["input_ids"])
        assert np.isfinite(scorer.score(long)).all()


def test_bfloat16_makes_no_ties() -> None:
    model, tokenizer = tiny_model("XLMRoberta"), tiny_tokenizer(False)
    with torch.no_grad():
        model.classifier.out_proj.bias += 40.0  # bfloat16 knows every fourth of a number there
    exact = CrossEncoderScorer(model, tokenizer).score(PAIRS)
    distinct = len(np.unique(exact))
    for scorer in (
        CrossEncoderScorer(model, tokenizer, bf16=True),
        CrossEncoderScorer(model.bfloat16(), tokenizer),
    ):
        found = scorer.score(PAIRS)
        assert len(np.unique(found)) == distinct > 25
        assert 0 < np.abs(found - exact).max() < 0.1
    model.float()
    again = CrossEncoderScorer(model, tokenizer)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        batch = tokenizer.pad(again.encode_pairs(PAIRS), return_tensors="pt")
        assert len(model(**batch).logits.unique()) < distinct / 2, "the hook is gone"


def test_a_head_that_was_not_saved_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for kind, part in (
        ("Bert", "classifier."),
        ("Bert", "bert.pooler."),
        ("XLMRoberta", "classifier.out_proj."),
        ("DebertaV2", "pooler."),
    ):
        weights = save_tiny(tmp_path, kind) / "model.safetensors"
        kept = {k: v for k, v in load_file(weights).items() if not k.startswith(part)}
        save_file(kept, weights, metadata={"format": "pt"})
        with pytest.raises(InputError, match=rf"the weights lack {part}.* another kind") as error:
            load_cross_encoder(str(tmp_path))
        assert "\n" not in str(error.value)


def test_a_causal_language_model_is_refused(tmp_path: Path) -> None:
    """The released rerankers loaded the wrong way: their head would be random numbers."""
    from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, tiny_llama

    tokenizer = byte_tokenizer("qwen")
    tiny_llama(len(tokenizer)).save_pretrained(str(tmp_path))
    tokenizer.save_pretrained(str(tmp_path))
    with pytest.raises(InputError, match=r"the weights lack score\.weight"):
        load_cross_encoder(str(tmp_path))


def test_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(True)
    with pytest.raises(InputError, match="the model has 2 labels; expected 1"):
        CrossEncoderScorer(tiny_model("Bert", labels=2), tokenizer)
    config = save_tiny(tmp_path, "Bert") / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps(settings | {"id2label": {"0": "no", "1": "yes"}}))
    with pytest.raises(InputError, match="cannot be loaded"):
        load_cross_encoder(str(tmp_path))


def test_scores_that_are_not_finite_name_the_pair() -> None:
    model, tokenizer = tiny_model("Bert"), tiny_tokenizer(True)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[WORDS.index("w20")] = float("nan")
    pairs = [("w1", "w2 w3"), ("w4", "w20"), ("w5", "")]
    with pytest.raises(InputError, match=r"pair 2 \(query 'w4'\): the score is nan") as caught:
        CrossEncoderScorer(model, tokenizer).score(pairs)
    assert "\n" not in str(caught.value)


def test_bad_input_is_one_line() -> None:
    model, tokenizer = tiny_model("Bert"), tiny_tokenizer(True)
    wrong: Any = [("w1", "w2"), ("w1", None)]
    with pytest.raises(InputError, match="pair 2: the document is NoneType, expected a text"):
        CrossEncoderScorer(model, tokenizer).score(wrong)
    with pytest.raises(InputError, match="not valid Unicode"):
        CrossEncoderScorer(model, tokenizer).score([("w1", "\ud800")])
    with pytest.raises(InputError, match="batch_size 0"):
        CrossEncoderScorer(model, tokenizer, batch_size=0)
    with pytest.raises(InputError, match="max_length 4 leaves 1 tokens"):
        CrossEncoderScorer(model, tokenizer, max_length=4)
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="no padding token"):
        CrossEncoderScorer(model, tokenizer)
