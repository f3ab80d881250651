"""Readers of training folders and sealed folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ir_replications.shared.sealed_folder import ensure_sealed
from ir_replications.shared.training.folder import TrainingFolder
from tests.campaign import independent as own
from tests.campaign.campaign import Reader

REQUEST = {"model_sha256": "a" * 64, "steps": 4, "seed": 0, "code_sha256": "b" * 64}
WEIGHTS = bytes(range(256)) * 8


def make_finished(folder: Path) -> None:
    training = TrainingFolder(folder / "run", REQUEST)
    training.start()
    training.log({"step": 1, "loss": 0.5})
    training.log({"step": 2, "loss": 0.25})
    training.final.mkdir()
    (training.final / "adapter_model.safetensors").write_bytes(WEIGHTS)
    (training.final / "adapter_config.json").write_text('{"r": 8}')
    training.finish({"steps": 2, "seconds": 1.5, "loss": 0.25})


def read_finished(folder: Path) -> Any:
    training = TrainingFolder(folder / "run", REQUEST)
    return training.finished(), training.read_log()


def confirm_finished(folder: Path, found: Any) -> None:
    result, log = found
    if result is not None:
        asked = own.json_of(own.text_of(folder / "run" / "run.json"))
        assert asked["request"] == REQUEST, "another request"
        done = own.json_of(own.text_of(folder / "run" / "finished.json"))
        assert result == {"steps": 2, "seconds": 1.5, "loss": 0.25}, "another result"
        assert result in (done, done.get("result")), "another result than in finished.json"
        final = folder / "run" / "final"
        assert (final / "adapter_model.safetensors").read_bytes() == WEIGHTS, "damaged weights"
        assert (final / "adapter_config.json").read_text() == '{"r": 8}', "damaged config"
    _confirm_log(folder / "run" / "log.jsonl", log)


def _confirm_log(path: Path, log: list[Any]) -> None:
    if not path.exists():
        assert log == [], "a log from nowhere"
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1].decode("utf-8")
    entries = [own.json_of(line) for line in whole.split("\n") if line.strip()]
    assert all(isinstance(entry, dict) for entry in entries), "a line is no object"
    for entry in entries:
        assert all(type(v) in (int, float, str, bool, type(None)) for v in entry.values()), "values"
        own.whole(entry.get("step", 0), "step", least=0)
    assert log[: len(entries)] == entries and len(log) <= len(entries) + 1, "another log"


def make_checkpoints(folder: Path) -> None:
    training = TrainingFolder(folder / "run", REQUEST)
    training.start()
    for step in (1, 2, 3, 4):
        training.log({"step": step, "loss": 1 / step})
        if step % 2 == 0:
            place = training.path / f"checkpoint-{step}"
            place.mkdir()
            (place / "state.pt").write_bytes(WEIGHTS + bytes([step]))
            (place / "trainer_state.json").write_text(json.dumps({"global_step": step}))
            training.keep_checkpoint(step)
    training._lock.release()


def read_checkpoints(folder: Path) -> Any:
    training = TrainingFolder(folder / "run", REQUEST)
    place = training.start()
    training._lock.release()
    return place, training.read_log()


def confirm_checkpoints(folder: Path, found: Any) -> None:
    place, log = found
    step = 0
    if place is not None:
        step = int(re.fullmatch(r"checkpoint-([1-9][0-9]*)", place.name)[1])  # type: ignore[index]
        assert step in (2, 4), f"step {step}"
        assert (place / "state.pt").read_bytes() == WEIGHTS + bytes([step]), "damaged weights"
        stated = own.json_of(own.text_of(place / "trainer_state.json"))
        assert stated["global_step"] == step and type(stated["global_step"]) is int, "another step"
    assert all(own.whole(entry.get("step", 0), "step") <= step for entry in log), "a log ahead"
    _confirm_log(folder / "run" / "log.jsonl", log)


def make_sealed(folder: Path) -> None:
    def build(target: Path) -> None:
        (target / "a.txt").write_bytes(WEIGHTS)
        (target / "b.json").write_text("{}")

    ensure_sealed(folder / "sealed", build, "toy")


def read_sealed(folder: Path) -> Any:
    ensure_sealed(folder / "sealed", None, "toy")
    return None


def confirm_sealed(folder: Path, _: Any) -> None:
    assert (folder / "sealed" / "a.txt").read_bytes() == WEIGHTS, "altered"
    assert (folder / "sealed" / "b.json").read_text() == "{}", "altered"


READERS = (
    Reader(
        "finished training",
        make_finished,
        {"run/*.json": "json", "run/log.jsonl": "lines", "run/final/*": "bytes"},
        read_finished,
        confirm_finished,
        ("TrainingFolder.finished",),
        share=1.5,
    ),
    Reader(
        "checkpoints",
        make_checkpoints,
        {
            "run/run.json": "json",
            "run/log.jsonl": "lines",
            "run/checkpoint-*/*.json": "json",
            "run/checkpoint-*/*.pt": "bytes",
        },
        read_checkpoints,
        confirm_checkpoints,
        ("TrainingFolder.start", "TrainingFolder.last_checkpoint"),
    ),
    Reader(
        "sealed folder",
        make_sealed,
        {"sealed/*.json": "json", "sealed/a.txt": "bytes"},
        read_sealed,
        confirm_sealed,
        ("ensure_sealed",),
        share=0.5,
        names_place=False,
    ),
)
