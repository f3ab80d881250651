"""TongSearch QR: BRIGHT's table and the released training, on stand-ins."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from ir_replications.engine.jobs import plan_jobs
from ir_replications.shared.rehearsal import KEY, VARIABLE
from ir_replications.tongsearch_qr.rewriting.released_files import MIRROR
from ir_replications.tongsearch_qr.training.recipe import Recipe, load_recipe
from tests.hub import LoopbackHub
from tests.rehearsal import collections, models
from tests.rehearsal.repositories import serve_bright, write_github
from tests.rehearsal.stage import Stage, log_of, serving

PAPER = "tongsearch_qr"
pytestmark = pytest.mark.slow


def test_the_bright_table(hub: LoopbackHub, tmp_path: Path) -> None:
    github = write_github(tmp_path / "github", serve_bright(hub, tmp_path / "bright"))
    stage = Stage(tmp_path / "stage", hub)
    with serving(github) as stage.environment[MIRROR]:
        stage.replicate(PAPER, "--tier", "paper", "--experiment", "E2")
    records = stage.records(PAPER)
    assert len(records) == len(plan_jobs(PAPER, "paper", only=["E2"]))
    assert {record.status for record in records} == {"ok"}
    assert all(record.provenance["data_mismatch"] for record in records)
    page = stage.page(PAPER)
    assert "Rehearsal." in page and "rehearsal: on the real thing" in page


def serve_training(hub: LoopbackHub, folder: Path, recipe: Recipe) -> None:
    """The policy and the reward's embedder that the recipe pins."""
    for ref, made in (
        (recipe.model, models.chat(folder / "policy", seed=1)),
        (recipe.embedder, models.embedder(folder / "embedder", seed=2)),
    ):
        hub.add_model(*ref.removeprefix("hub:").split("@"), made)


SHORT = (
    "max_steps=2,per_device_batch=4,accumulation=2,processes=1,group_size=4,"
    "max_completion_tokens=8,vllm=off"
)


def test_the_released_training(hub: LoopbackHub, tmp_path: Path) -> None:
    recipe = load_recipe("released-1.5b")
    serve_training(hub, tmp_path / "models", recipe)
    stage = Stage(tmp_path / "stage", hub)
    collections.write_stack_exchange(stage.root / "qa" / "stackexchange")
    train = ("ir_replications", "train", "tongsearch_qr", "released-1.5b")
    assert "accelerate launch --num_processes 3" in stage.python(*train, code=2)
    stage.environment[VARIABLE] = SHORT.replace("vllm=off", "vllm=server")
    if find_spec("vllm") is None:
        assert "vllm: off" in stage.python(*train, code=2)
    stage.environment[VARIABLE] = SHORT
    assert "weights in" in stage.python(*train)
    (folder,) = (stage.cache / "training").glob("tongsearch_qr-released-1.5b-grpo-*")
    finished = json.loads((folder / "finished.json").read_text())["result"]
    assert finished["provenance"][KEY] == SHORT
    assert finished["outputs"]["scored"] > 0
    assert [line["step"] for line in log_of(folder) if "loss" in line] == [1, 2]
