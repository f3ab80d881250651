"""Model references: what is fetched, verified, refused; no network is used."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import sha256_file
from ir_replications.shared.models import hub as hub_models
from ir_replications.shared.models import references as models
from ir_replications.shared.models import wheels
from ir_replications.shared.models.references import (
    EmbeddedModel,
    check_model,
    fetch_model,
    list_models,
)
from ir_replications.shared.models.wheels import Wheel, download_wheel, extract_members

REVISION = "0123456789abcdef0123456789abcdef01234567"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


class Index:
    """Stands in for pip and its index: one wheel with three members."""

    def __init__(self, folder: Path) -> None:
        self.wheel = folder / "toy-1.0-py3-none-any.whl"
        with zipfile.ZipFile(self.wheel, "w") as zipped:
            zipped.writestr("toy/model.safetensors", b"weights")
            zipped.writestr("toy/config.json", b"{}")
            zipped.writestr("toy/__init__.py", b"raise SystemExit")
        self.commands: list[list[str]] = []

    def run(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        target = Path(command[command.index("--dest") + 1]) / self.wheel.name
        target.write_bytes(self.wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    def entry(self) -> EmbeddedModel:
        return EmbeddedModel(
            ref="embedded:toy",
            wheels=(Wheel("toy==1.0", sha256_file(self.wheel), 7),),
            weights="model.safetensors",
            weights_sha256=sha256(b"weights"),
            licence="MIT",
            note="a toy",
            files={
                "model.safetensors": "toy/model.safetensors",
                "config.json": "toy/config.json",
            },
        )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index(tmp_path)
    offer(monkeypatch, index.entry())
    monkeypatch.setattr(wheels.subprocess, "run", index.run)
    return index


def offer(monkeypatch: pytest.MonkeyPatch, entry: EmbeddedModel) -> None:
    monkeypatch.setattr(models, "_catalogue", lambda: {entry.ref: entry})


def test_the_catalogue_pins_every_model() -> None:
    assert [m.ref for m in list_models()] == [
        "embedded:smollm2-135m-instruct",
        "embedded:minilm-l6",
        "embedded:wordllama-256",
        "embedded:all-mpnet-base-v2",
        "embedded:qwen2.5-coder-0.5b-instruct",
    ]
    for model in list_models():
        assert len(model.weights_sha256) == 64
        for wheel in model.wheels:
            assert len(wheel.sha256) == 64
            assert "==" in wheel.requirement
            assert bool(wheel.member) == bool(model.joined)
        assert model.weights in (*model.files, model.joined)
        kept = {"LICENSE", "README.md"} & set(model.files)
        assert kept or "no wheel states the licence" in model.note, "kept beside its weights"
    assert "4-bit" in list_models()[0].note


def test_an_embedded_model_is_fetched_once(index: Index, own_cache: Path) -> None:
    first = fetch_model("embedded:toy")
    assert (first.sha256, first.licence, first.note) == (sha256(b"weights"), "MIT", "a toy")
    assert (first.path / "model.safetensors").read_bytes() == b"weights"
    assert not (first.path / "__init__.py").exists(), "only named members are unpacked"
    assert not list(first.path.glob("*.whl"))
    assert fetch_model("embedded:toy") == first
    assert len(index.commands) == 1
    assert list(own_cache.iterdir()) == [first.path], "nothing else is left in the cache"
    assert check_model("embedded:toy") == []
    command = index.commands[0]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "toy==1.0"} <= set(command)
    assert not [option for option in command if "platform" in option or "python-version" in option]


def test_a_compiled_wheel_is_the_same_file_on_every_machine(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = ("3.11", "manylinux2014_x86_64")
    entry = index.entry()
    wheel = dataclasses.replace(entry.wheels[0], platform=platform)
    offer(monkeypatch, dataclasses.replace(entry, wheels=(wheel,)))
    fetch_model("embedded:toy")
    asked = {"--python-version=3.11", "--platform=manylinux2014_x86_64"}
    assert asked | {"--implementation=cp", "--abi=cp311"} <= set(index.commands[0])


@pytest.mark.parametrize(
    "damage",
    ["altered", "truncated", "file lost", "seal lost", "[1", "[1]", "{}", '{"a/b": "0"}',
     "[" * 9999, '{"config.json": 3}', '{"a\\u0000": "0"}'],
)  # fmt: skip
def test_a_damaged_cached_model_is_noticed_and_fetched_again(index: Index, damage: str) -> None:
    path = fetch_model("embedded:toy").path
    if damage == "altered":
        (path / "model.safetensors").write_bytes(b"Weights")
    elif damage == "truncated":
        (path / "model.safetensors").write_bytes(b"weig")
    elif damage == "file lost":
        (path / "config.json").unlink()
    elif damage == "seal lost":
        (path / "files.sha256.json").unlink()
    else:
        (path / "files.sha256.json").write_text(damage)
    assert len(check_model("embedded:toy")) == 1
    with pytest.raises(InputError, match="run `replicate models fetch embedded:toy`"):
        fetch_model("embedded:toy", download=False)
    assert (fetch_model("embedded:toy").path / "model.safetensors").read_bytes() == b"weights"
    assert len(index.commands) == 2
    assert check_model("embedded:toy") == []


def test_an_absent_model_is_not_downloaded_unless_allowed(index: Index) -> None:
    with pytest.raises(
        InputError, match=r"not .*in the cache; run `replicate models fetch embedded:toy`"
    ):
        fetch_model("embedded:toy", download=False)
    assert len(check_model("embedded:toy")) == 1
    assert index.commands == []


@pytest.mark.parametrize("field", ["wheel", "weights"])
def test_another_checksum_than_the_pinned_one_is_refused(
    index: Index, own_cache: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    wheel = dataclasses.replace(index.entry().wheels[0], sha256="0" * 64)
    changed: dict[str, Any] = {"wheels": (wheel,)}
    if field == "weights":
        changed = {"weights_sha256": "0" * 64}
    offer(monkeypatch, dataclasses.replace(index.entry(), **changed))
    with pytest.raises(InputError, match=r"has sha256 .*, expected 0000"):
        fetch_model("embedded:toy")
    assert not list(own_cache.iterdir()), "nothing unverified may stay"


def test_an_unknown_embedded_model_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="expected one of embedded:smollm2-135m-instruct, emb"):
        fetch_model("embedded:gpt")


def test_a_failed_download_is_one_line(
    index: Index, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "WARNING: retrying\nERROR: Could not find a version of toy\nERROR: No match: toy\n"

    def offline(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", message)

    monkeypatch.setattr(wheels.subprocess, "run", offline)
    with pytest.raises(InputError, match=r"toy==1\.0: cannot .* \(ERROR: No match: toy\)") as error:
        fetch_model("embedded:toy")
    assert "\n" not in str(error.value)
    assert not list(own_cache.iterdir())


def test_without_pip_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="python -m ensurepip"):
        download_wheel(Wheel("toy==1.0", "0" * 64), tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x": "../evil"}, "leaves the archive"),
        ({"x": "/etc/passwd"}, "not a plain file name"),
        ({"../x": "toy/config.json"}, "not a plain file name"),
        ({"..": "toy/config.json"}, "not a plain file name"),
        ({"x": "toy/absent"}, "holds no 'toy/absent'"),
    ],
)
def test_members_outside_the_archive_or_the_folder_are_refused(
    tmp_path: Path, members: dict[str, str], message: str
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(InputError, match=message):
        extract_members(Index(tmp_path).wheel, members, target)
    assert not list(target.iterdir())


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"PK")
    with pytest.raises(InputError, match="damaged archive"):
        extract_members(tmp_path / "x.whl", {"x": "y"}, tmp_path)
    with zipfile.ZipFile(tmp_path / "y.whl", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("y", b"1234567890" * 9)
    content = (tmp_path / "y.whl").read_bytes()
    for place in range(len(content)):
        (tmp_path / "x.whl").write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        with contextlib.suppress(InputError):
            extract_members(tmp_path / "x.whl", {"x": "y"}, tmp_path)
            assert (tmp_path / "x").read_bytes() == b"1234567890" * 9


@pytest.mark.parametrize(
    "ref",
    ["hub:org/name", "hub:org/name@main", f"hub:name@{REVISION}", f"hub:a/b/c@{REVISION}",
     f"hub:org/name@{REVISION[:-1]}", f"hub:../name/x@{REVISION}"],
)  # fmt: skip
def test_a_hub_reference_needs_a_full_revision(ref: str) -> None:
    with pytest.raises(InputError, match="the full revision of 40 hexadecimal digits"):
        fetch_model(ref)


def test_a_hub_model_is_fetched_without_pickles_or_code(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    calls: list[dict[str, Any]] = []
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")

    def snapshot(name: str, **options: Any) -> str:
        calls.append({"name": name, **options})
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    files = fetch_model(f"hub:org/name@{REVISION}")
    assert (files.sha256, files.path) == (sha256(b"weights"), tmp_path)
    assert calls[0]["name"] == "org/name"
    assert calls[0]["revision"] == REVISION
    assert calls[0]["cache_dir"] == str(own_cache / "hub")
    assert calls[0]["allow_patterns"] == ["*.safetensors", "*.json", "*.txt", "*.model"]


def test_a_hub_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def offline(name: str, **_: Any) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    monkeypatch.setattr(hub_models, "check_network", lambda: None)
    with pytest.raises(InputError, match=r"cannot be fetched \(ConnectionError: no route\)") as e:
        fetch_model(f"hub:org/name@{REVISION}")
    assert "\n" not in str(e.value)


def test_the_hub_client_works_in_a_fresh_process_and_its_failure_is_one_line() -> None:
    pytest.importorskip("huggingface_hub")
    code = (
        "from ir_replications.shared.models.references import fetch_model\n"
        "from ir_replications.shared.errors import InputError\n"
        f"try: fetch_model('hub:org/name@{REVISION}')\n"
        "except InputError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(models.__file__).parents[1],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "cannot be fetched" in done.stdout


def test_hub_weights_are_checked_against_the_name_of_their_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    blob, snapshot = tmp_path / "blobs" / sha256(b"weights"), tmp_path / "snapshot"
    blob.parent.mkdir()
    snapshot.mkdir()
    blob.write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to(blob)
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **_: str(snapshot))
    ref = f"hub:org/name@{REVISION}"
    assert check_model(ref) == []
    blob.write_bytes(b"Weights")
    assert [ref in line for line in check_model(ref)] == [True]


def test_folders_without_safe_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    with pytest.raises(InputError, match="no such folder; expected one, hub:"):
        fetch_model(str(folder))
    folder.mkdir()
    with pytest.raises(InputError, match="no weights found"):
        fetch_model(str(folder))
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"pytorch_model\.bin is pickled and could run code"):
        fetch_model(str(folder))
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"no config\.json"):
        fetch_model(str(folder))


def test_several_weight_files_have_one_sha256(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "b.safetensors").write_bytes(b"2")
    (tmp_path / "a.safetensors").write_bytes(b"1")
    lines = f"{sha256(b'1')}  a.safetensors\n{sha256(b'2')}  b.safetensors\n"
    assert fetch_model(str(tmp_path)).sha256 == sha256(lines.encode())
