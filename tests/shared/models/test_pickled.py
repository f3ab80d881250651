"""Pickled weights of the hub: read as plain tensors once, on demand, and never otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("safetensors")

from ir_replications.__main__ import main
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import sha256_file
from ir_replications.shared.models.references import convert_model, fetch_model

REF = f"hub:org/name@{'0123456789' * 4}"


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's repository: the client brings its texts, and its pickles where asked for them."""
    repository, found = tmp_path / "repository", tmp_path / "snapshot"
    repository.mkdir()
    found.mkdir()
    (repository / "config.json").write_text("{}")
    (repository / "vocab.txt").write_text("[PAD]\n")

    def download(name: str, *, allow_patterns: list[str], **_: Any) -> str:
        for path in repository.iterdir():
            if any(path.match(pattern) for pattern in allow_patterns):
                (found / path.name).write_bytes(path.read_bytes())
        return str(found)

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr("ir_replications.shared.models.hub.check_network", lambda: None)
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    return repository


def test_converted_once_they_serve_like_any_other(
    snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    tied = torch.arange(6.0).reshape(2, 3)
    published = {"a": tied, "b": tied, "c": tied.t()}  # shared, and not contiguous
    torch.save(published, snapshot / "pytorch_model.bin")
    with pytest.raises(InputError, match=f"replicate models convert {REF}") as caught:
        fetch_model(REF)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "snapshot" / "pytorch_model.bin").exists(), "fetched without being asked"
    assert main(["models", "convert", REF]) == 0
    sha256 = sha256_file(snapshot / "pytorch_model.bin")
    assert capsys.readouterr().out == f"{REF}: sha256 {sha256}\n"
    files = fetch_model(REF, download=False)
    assert files.sha256 == sha256, "that of the published file"
    found = load_file(files.path / "model.safetensors")
    assert found.keys() == published.keys()
    assert all(torch.equal(found[name], published[name]) for name in published)
    assert (files.path / "vocab.txt").is_file() and (files.path / "config.json").is_file()
    (files.path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="was altered"):
        fetch_model(REF)


def test_a_pickle_that_runs_code_is_refused(snapshot: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"a": Evil()}, snapshot / "pytorch_model.bin")
    with pytest.raises(InputError, match="no file of plain tensors"):
        convert_model(REF)
    assert not (tmp_path / "ran").exists()
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "content",
    [{"a": [1, 2]}, [torch.zeros(1)], {3: torch.zeros(1)}, {"a": torch.eye(2).to_sparse()}],
)
def test_other_content_is_refused(snapshot: Path, content: Any) -> None:
    torch.save(content, snapshot / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"more than named (dense )?tensors"):
        convert_model(REF)


def test_nothing_to_convert_is_one_line(snapshot: Path) -> None:
    with pytest.raises(InputError, match="there is nothing to convert"):
        convert_model(REF)


def test_damaged_pickles_are_one_line(snapshot: Path) -> None:
    for content, said in ((b"", "no file of plain"), (b"\x80\x02", "no file of plain")):
        (snapshot / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(InputError, match=said) as caught:
            convert_model(REF)
        assert "\n" not in str(caught.value)
    torch.save({"a": torch.tensor([float("nan")])}, snapshot / "pytorch_model.bin")
    with pytest.raises(InputError, match="a holds NaN"):
        convert_model(REF)
    torch.save({"a": torch.zeros(1)}, snapshot / "pytorch_model.bin")
    torch.save({"a": torch.ones(1)}, snapshot / "pytorch_model-2.bin")
    with pytest.raises(InputError, match="another a than in a file before it"):
        convert_model(REF)
