"""Damaged model folders and GGUF files: one line that names the file, and no weights of NaN."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.gguf import check_header
from ir_replications.shared.models.references import fetch_model, load_causal_lm

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gguf")

from tests.shared.models.test_gguf import write_gguf
from tests.shared.models.tiny_model import tiny_model, tiny_tokenizer

NAN, INFINITY = struct.pack("<f", float("nan")), struct.pack("<f", float("inf"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    tiny_model().save_pretrained(str(folder))
    tiny_tokenizer().save_pretrained(str(folder))
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "m"))


def refused(folder: Path, what: str) -> None:
    """It is one line that begins with the folder or a file of it, by every way in."""
    with pytest.raises(InputError, match=what) as caught:
        load_causal_lm(str(folder))
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def edit(folder: Path, name: str = "config.json", **changes: Any) -> None:
    content = json.loads((folder / name).read_text("utf-8"))
    (folder / name).write_text(json.dumps(content | changes), "utf-8")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[1]", "list, expected a JSON object"),
        (b"", "malformed JSON"),
        (b"null", "NoneType, expected"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a": 1, "a": 2}', "given twice"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "too many digits"),
    ],
)
def test_texts_beside_the_weights(folder: Path, name: str, content: bytes, what: str) -> None:
    (folder / name).write_bytes(content)
    refused(folder, rf"m/{name}.*{what}")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": None}, {"hidden_size": "16"}, {"hidden_size": 10**30}, {"vocab_size": -1},
        {"vocab_size": 10**9}, {"num_hidden_layers": 0}, {"num_hidden_layers": 1},
        {"num_hidden_layers": 10**12}, {"num_attention_heads": 0}, {"num_attention_heads": True},
        {"head_dim": 0}, {"head_dim": 10**6}, {"intermediate_size": 1.5}, {"intermediate_size": 31},
        {"max_position_embeddings": 0}, {"max_position_embeddings": [1, -2]}, {"model_type": 3},
        {"model_type": "evil"}, {"rms_norm_eps": "1e-6"}, {"rms_norm_eps": 1e308},
        {"rope_theta": -1}, {"attention_dropout": 1.5}, {"hidden_act": "evil"}, {"hidden_act": 1},
        {"rope_parameters": [1]}, {"rope_parameters": {"rope_type": "evil"}}, {"dtype": "x"},
        {"pad_token_id": 10**6}, {"quantization_config": {"quant_method": "evil"}},
        {"quantization_config": [1]}, {"text_config": [1]},
    ],
)  # fmt: skip
def test_configs_that_are_not_this_models(folder: Path, change: dict[str, Any]) -> None:
    edit(folder, **change)
    refused(folder, r"config\.json|cannot be loaded|transformers does not know")


def test_a_config_without_sizes_is_not_taken_for_one_of_billions_of_weights(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}')
    refused(folder, r"config\.json: hidden_size 4096, and the weights hold \d+ tensors")


@pytest.mark.parametrize(
    ("file", "change", "what"),
    [
        ("tokenizer_config.json", {"model_max_length": "x"}, "expected a number of tokens"),
        ("tokenizer_config.json", {"model_max_length": 0}, "expected a number of tokens"),
        ("tokenizer_config.json", {"added_tokens_decoder": [1]}, "cannot be loaded"),
        ("tokenizer_config.json", {"eos_token": None, "pad_token": None}, "neither a padding"),
        ("tokenizer_config.json", {"eos_token": "new", "pad_token": None}, "is number 32, and"),
        ("tokenizer.json", {"model": {"type": "evil"}}, "cannot be loaded"),
        ("generation_config.json", {"eos_token_id": "2"}, "expected the number of a token"),
    ],
)
def test_tokenizers_and_ends(folder: Path, file: str, change: dict[str, Any], what: str) -> None:
    edit(folder, file, **change)
    refused(folder, what)


@pytest.mark.parametrize(
    "damage",
    [lambda w: b"", lambda w: w[:7], lambda w: w[:-1], lambda w: bytes(len(w)),
     lambda w: (2**60).to_bytes(8, "little") + w[8:], lambda w: w[:9] + b"\xff" + w[10:]],
)  # fmt: skip
def test_weights_that_are_no_safetensors(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    refused(folder, r"m/model\.safetensors: cannot be loaded")


@pytest.mark.parametrize("number", [NAN, INFINITY])
def test_weights_that_are_not_finite(folder: Path, number: bytes) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + number)
    refused(folder, r"m: model\.norm\.weight holds NaN or infinity \(as float32\)")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_folder_where_a_file_should_be(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, rf"m/{name}.*is a folder")


def test_hidden_files_are_not_weights(folder: Path, sound: Path, tmp_path: Path) -> None:
    (folder / "._model.safetensors").write_bytes(b"a Mac's")
    (folder / "._model.gguf").write_bytes(b"a Mac's")
    assert fetch_model(str(folder)).sha256 == fetch_model(str(sound)).sha256
    load_causal_lm(str(folder))
    (folder / "model.safetensors").unlink()
    refused(folder, "no weights found")


@pytest.mark.parametrize(
    "index",
    [{}, {"metadata": {}, "weight_map": [1]}, {"metadata": 1, "weight_map": {}},
     {"metadata": {}, "weight_map": {"a": "../m/part.safetensors"}},
     {"metadata": {}, "weight_map": {"a": 1}}, {"metadata": {}, "weight_map": {"a": "absent"}}],
)  # fmt: skip
def test_an_index_of_anything_but_the_folders_files(folder: Path, index: Any) -> None:
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, r"index\.json: (expected the objects|a in )")


# --- GGUF -----------------------------------------------------------------------------------


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    folder = tmp_path / "g"
    folder.mkdir()
    write_gguf(folder / "m.gguf")
    return folder


def counts(tensors: int, keys: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


def entry(kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"k" + struct.pack("<I", kind) + value


@pytest.mark.parametrize("kept", [0, 3, 4, 20, 24, 100, 500, -1, -2000])
def test_a_cut_gguf(gguf: Path, kept: int) -> None:
    path = gguf / "m.gguf"
    path.write_bytes(path.read_bytes()[:kept])
    refused(gguf, r"m\.gguf: ")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (b"GGML" + bytes(60), "does not begin with GGUF"),
        (bytes(60), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (counts(2**50, 0), "1125899906842624 entries"),
        (counts(0, 2**50), "1125899906842624 entries"),
        (counts(0, 1) + struct.pack("<Q", 2**62) + bytes(40), "entries, more than"),
        (counts(0, 1) + entry(9, struct.pack("<IQ", 5, 2**40)), "1099511627776 entries"),
        (counts(0, 1) + entry(9, struct.pack("<IQ", 8, 2**40)), "1099511627776 entries"),
        (counts(0, 1) + entry(99, bytes(8)), "type 99"),
        (counts(0, 1) + entry(9, struct.pack("<IQ", 9, 1) * 9 + bytes(8)), "type 9"),
        (counts(0, 2) + 2 * entry(4, bytes(4)), "'k' is given twice"),
    ],
)
def test_counts_of_a_gguf_are_not_believed(gguf: Path, header: bytes, what: str) -> None:
    (gguf / "m.gguf").write_bytes(header)
    refused(gguf, what)


def test_sizes_of_a_gguf_are_not_believed(gguf: Path) -> None:
    path = gguf / "m.gguf"
    sound = path.read_bytes()
    check_header(path)
    key = b"llama.block_count" + struct.pack("<I", 4)
    assert key in sound
    path.write_bytes(sound.replace(key + b"\x01\0\0\0", key + b"\xff\xff\xff\x7f"))
    refused(gguf, "num_hidden_layers 2147483647, and the weights hold 11 tensors")
    shape = b"output_norm.weight" + struct.pack("<IQ", 1, 16)
    assert shape in sound
    path.write_bytes(sound.replace(shape, shape[:-8] + struct.pack("<Q", 2**40)))
    refused(gguf, r"'output_norm\.weight' reaches past the end")


def test_a_gguf_without_some_weights_is_refused(gguf: Path) -> None:
    path = gguf / "m.gguf"
    path.write_bytes(path.read_bytes().replace(b"blk.0.attn_q.weight", b"blk.0.attn_Q.weight"))
    refused(gguf, r"m\.gguf: lacks model\.layers\.0\.self_attn\.q_proj\.weight and 0 more")
    assert not list((gguf.parent / "cache").rglob("*.safetensors"))


def test_a_gguf_with_nan_is_refused(gguf: Path) -> None:
    path = gguf / "m.gguf"
    path.write_bytes(path.read_bytes()[:-4] + NAN)
    refused(gguf, r"m\.gguf: model\..* holds NaN or infinity")
