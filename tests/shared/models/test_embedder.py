"""Embedders: pooling, length and batching against plain one-by-one encoding and other libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.embedder import (
    MINILM,
    WORDLLAMA,
    StaticEmbedder,
    load_embedder,
    stated_length,
    stated_pooling,
)
from ir_replications.shared.models.references import check_model, fetch_model

TEXTS = ["w1 w2 w3", "w4", "w5 " * 20, "w2 w1 w3", "w6 w7 w8 w9 w10 w11", "w1 w2 w3"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers in a folder, with sentence-transformers' file of its length."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tests.shared.models.tiny_model import WORDS, tiny_tokenizer

    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    transformers.BertModel(config).save_pretrained(str(folder))
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(2)  # what a tokenizer carries must not count
    tokenizer.backend_tokenizer.enable_padding(length=30)
    tokenizer.save_pretrained(str(folder))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    return folder


def plain(folder: Path, text: str, pooling: str, length: int) -> np.ndarray:
    """One text without padding, in the simplest way."""
    import torch
    from transformers import AutoModel

    from tests.shared.models.tiny_model import WORDS

    ids = [WORDS.index(word) for word in text.split()][:length]
    model = AutoModel.from_pretrained(str(folder)).eval()
    with torch.inference_mode():
        states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    vector = (states[0] if pooling == "cls" else states.mean(0)).numpy()
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_batches_equal_texts_one_by_one(encoder: Path, pooling: str, batch_size: int) -> None:
    embedder = load_embedder(str(encoder), pooling=pooling, batch_size=batch_size)
    found = embedder.encode(TEXTS)
    assert found.dtype == np.float32
    assert found.shape == (6, 16)
    expected = np.stack([plain(encoder, text, pooling, 10) for text in TEXTS])
    assert np.abs(found - expected).max() < 1e-6
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(6), abs=1e-6)
    assert np.abs(found[0] - found[3]).max() > 1e-3, "word order counts"


def test_texts_are_cut_at_the_lesser_length(encoder: Path) -> None:
    for asked, expected in ((512, 10), (5, 5)):
        embedder: Any = load_embedder(str(encoder), pooling="mean", max_length=asked)
        assert embedder.max_length == expected
        long, cut = embedder.encode(
            [" ".join(["w1", "w2"] * 9), " ".join((["w1", "w2"] * 9)[:expected])]
        )
        assert np.abs(long - cut).max() < 1e-6
    assert embedder.encode([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode_max_tokens": True}, None),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, None),
        ({"pooling_mode": ["cls", "mean"]}, None),
        ({}, None),
    ],
)
def test_pooling_is_read_from_the_folder(
    tmp_path: Path, config: dict[str, Any], expected: str | None
) -> None:
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "pool", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "config.json").write_text(json.dumps(config))
    if expected is None:
        with pytest.raises(InputError, match="expected cls or mean alone"):
            stated_pooling(tmp_path)
    else:
        assert stated_pooling(tmp_path) == expected


def test_folders_that_state_nothing_or_too_much_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pass pooling='cls' or 'mean'"):
        stated_pooling(tmp_path)
    assert stated_length(tmp_path) is None
    dense = [{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]
    (tmp_path / "modules.json").write_text(json.dumps(dense))
    with pytest.raises(InputError, match="layer Dense is not supported"):
        stated_pooling(tmp_path)
    for content, said in (
        ("{", "malformed JSON"),
        ("3", "expected a list of layers"),
        ('[{"type": "a.Pooling"}]', "expected a list of layers"),
        ('[{"type": 3, "path": ""}]', "expected a list of layers"),
        ('[{"type": "a.Pooling", "path": "../other"}]', "leads out of the model's folder"),
        ('[{"type": "a.Pooling", "path": "/tmp"}]', "leads out of the model's folder"),
    ):
        (tmp_path / "modules.json").write_text(content)
        with pytest.raises(InputError, match=rf"modules\.json: .*{said}"):
            stated_pooling(tmp_path)
    (tmp_path / "sentence_bert_config.json").mkdir()
    with pytest.raises(InputError, match=r"sentence_bert_config\.json: .*is a folder"):
        stated_length(tmp_path)
    (tmp_path / "sentence_bert_config.json").rmdir()
    for content in ("[]", '{"max_seq_length": "256"}', '{"max_seq_length": 0}', "{", "[" * 10**5):
        (tmp_path / "sentence_bert_config.json").write_text(content)
        with pytest.raises(InputError, match=r"sentence_bert_config\.json: "):
            stated_length(tmp_path)


@pytest.mark.parametrize(
    "options", [{"pooling": "max"}, {"pooling": "mean", "max_length": 0}, {"batch_size": 0}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        load_embedder(MINILM, **options)


def static(folder: Path) -> StaticEmbedder:
    """Six token vectors of two dimensions and a word-level tokenizer, from files."""
    tokenizers = pytest.importorskip("tokenizers")
    save = pytest.importorskip("safetensors.numpy").save_file
    vectors = np.array([[0, 0], [3, 4], [1, 0], [0, 1], [-1, 0]], dtype=np.float16)
    save({"embedding.weight": vectors}, str(folder / "model.safetensors"))
    words = {"<unk>": 0, "a": 1, "b": 2, "c": 3, "d": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(1)
    tokenizer.enable_padding(length=9, pad_id=4)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text("{}")
    embedder = load_embedder(str(folder), pooling="static")
    assert isinstance(embedder, StaticEmbedder)
    return embedder


def test_static_vectors_are_averaged(tmp_path: Path) -> None:
    found = static(tmp_path).encode(["a", "b c", "b b c", "c b"])
    root2, root5 = 2**0.5, 5**0.5
    expected = [[0.6, 0.8], [1 / root2, 1 / root2], [2 / root5, 1 / root5], [1 / root2, 1 / root2]]
    assert found == pytest.approx(np.array(expected), abs=1e-6)
    with pytest.raises(InputError, match="text 2 has no tokens"):
        static(tmp_path).encode(["a", " "])
    with pytest.raises(InputError, match="the token vectors of text 1 add up to zero"):
        static(tmp_path).encode(["b d"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (np.full((5, 2), np.nan, np.float32), "holds NaN, infinity"),
        (np.full((5, 2), np.inf, np.float16), "holds NaN, infinity"),
        (np.ones((5, 2), np.int64), "whole numbers"),
        (np.ones((4, 2), np.float32), r"a token 4, and model\.safetensors has 4 rows"),
        (np.ones(5, np.float32), "expected one matrix"),
        (b"damaged", "no safetensors"),
    ],
)
def test_damaged_static_vectors_are_refused(tmp_path: Path, table: Any, said: str) -> None:
    static(tmp_path)
    path = tmp_path / "model.safetensors"
    if isinstance(table, bytes):
        path.write_bytes(table)
    else:
        pytest.importorskip("safetensors.numpy").save_file({"e": table}, str(path))
    with pytest.raises(InputError, match=said):
        load_embedder(str(tmp_path), pooling="static")
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(InputError, match=r"tokenizer\.json: no tokenizer|safetensors: "):
        load_embedder(str(tmp_path), pooling="static")


def present(ref: str, library: str = "torch") -> None:
    """Skip without the model, or without what reads it."""
    pytest.importorskip(library)
    if problems := check_model(ref):
        pytest.skip(problems[0])


SENTENCES = [
    "How do plants turn light into sugar?",
    "Photosynthesis converts light energy into chemical energy stored in glucose.",
    "The stock market fell by three percent on Tuesday.",
    "",
    "naïve café — 東京 🙂 \n\n tabs\tand   spaces",
    "word " * 400,
]  # fmt: skip


def test_minilm_is_what_sentence_transformers_computes() -> None:
    present(MINILM)
    library = pytest.importorskip("sentence_transformers")
    embedder: Any = load_embedder(MINILM)
    # A folder without modules.json: the library pools by the mean, which is MiniLM's pooling.
    model = library.SentenceTransformer(str(fetch_model(MINILM).path), device="cpu")
    model.max_seq_length = 256
    expected = model.encode(SENTENCES, normalize_embeddings=True)
    assert np.abs(embedder.encode(SENTENCES) - expected).max() < 1e-6


def test_minilm_batches_equal_texts_one_by_one() -> None:
    present(MINILM)
    embedder = load_embedder(MINILM)
    alone = np.concatenate([embedder.encode([text]) for text in SENTENCES])
    assert np.abs(embedder.encode(SENTENCES) - alone).max() < 1e-6
    cosines = alone @ alone.T
    assert cosines[0, 1] > 0.5 > 0.2 > cosines[0, 2]


def test_wordllama_by_its_own_formula() -> None:
    """Mean over the tokens that padding does not mask, then unit length (its inference.py)."""
    present(WORDLLAMA, "safetensors.numpy")
    texts = [text for text in SENTENCES if text]
    embedder: Any = load_embedder(WORDLLAMA)
    encodings = [embedder.tokenizer.encode(text, add_special_tokens=False) for text in texts]
    width = max(len(encoding.ids) for encoding in encodings)
    ids = np.array([e.ids + [0] * (width - len(e.ids)) for e in encodings])
    mask = np.array([[1.0] * len(e.ids) + [0.0] * (width - len(e.ids)) for e in encodings])
    means = (embedder.vectors[ids] * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    found = embedder.encode(texts)
    assert found.shape == (5, 256)
    assert np.abs(found - expected).max() < 1e-6
    assert found[0] @ found[1] > 0.4 > found[0] @ found[2]


def test_wordllama_is_what_its_package_computes() -> None:
    present(WORDLLAMA, "safetensors.numpy")
    inference = pytest.importorskip("wordllama.inference").WordLlamaInference
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = fetch_model(WORDLLAMA).path
    (vectors,) = load_file(folder / "model.safetensors").values()
    library = inference(vectors, Tokenizer.from_file(str(folder / "tokenizer.json")))
    texts = [text for text in SENTENCES if text]
    expected = library.embed(texts, norm=True)
    assert np.abs(load_embedder(WORDLLAMA).encode(texts) - expected).max() < 1e-6
