"""BERT distillation: MS MARCO with every student model, and the small tier, on stand-ins."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ir_replications.bert_distill_losses.experiments.e2_arms import PAPER_RECIPES
from ir_replications.bert_distill_losses.training.recipe import load_recipe
from ir_replications.engine.jobs import plan_jobs
from ir_replications.shared.rehearsal import VARIABLE
from tests.hub import LoopbackHub
from tests.rehearsal import collections, models
from tests.rehearsal.repositories import serve_beir
from tests.rehearsal.stage import Stage

PAPER = "bert_distill_losses"
pytestmark = pytest.mark.slow

SHORT = ",".join(
    f"{kind}.{setting}"
    for kind in ("teacher", "student")
    for setting in ("steps=2", "groups_per_step=4", "save_steps=1", "probe_steps=1")
)
# Layers, width, kind and whether the hub has pickles alone; the teacher's twelve can be shared out.
MODELS = {
    "google-bert/bert-base-uncased": (12, 32, "Bert", False),
    "huawei-noah/TinyBERT_General_4L_312D": (4, 24, "Bert", True),
    "huawei-noah/TinyBERT_General_6L_768D": (6, 32, "Bert", True),
    "microsoft/MiniLM-L12-H384-uncased": (12, 16, "Bert", True),
    "distilbert/distilbert-base-uncased": (6, 32, "DistilBert", False),
}


def serve_models(hub: LoopbackHub, folder: Path) -> list[str]:
    """Teacher and students of the paper tier's recipes; returns those with pickles alone."""
    recipes = [load_recipe(name) for name in PAPER_RECIPES]
    refs = {ref for each in recipes for ref in (each.teacher_model, each.student_model)}
    pickled = []
    for ref in sorted(refs):
        name, revision = ref.removeprefix("hub:").split("@")
        layers, width, kind, old = MODELS[name]
        made = models.bert(folder / name, seed=len(name), layers=layers, width=width, kind=kind)
        if old:
            pickled.append(ref)
            models.pickled(made)
        elif kind == "Bert":
            models.with_old_names(made)
        hub.add_model(name, revision, made)
    return pickled


def test_the_paper_tier(hub: LoopbackHub, tmp_path: Path) -> None:
    serve_beir(hub, tmp_path, "beir/msmarco", documents=60)
    pickled = serve_models(hub, tmp_path / "models")
    stage = Stage(tmp_path / "stage", hub)
    stage.environment[VARIABLE] = SHORT
    command = (PAPER, "--tier", "paper")
    refused = stage.replicate(*command, "--where", "recipe=msmarco-minilm-12l", code=1)
    assert "replicate models convert hub:microsoft/MiniLM" in refused
    stage.python("ir_replications", "models", "convert", *pickled)
    stage.replicate(*command)
    records = stage.records(PAPER)
    assert {r.status for r in records} == {"ok"}
    assert {r.config["recipe"] for r in records} == set(PAPER_RECIPES)
    assert len(records) == len(plan_jobs(PAPER, "paper"))
    page = stage.page(PAPER)
    assert "Rehearsal." in page and "rehearsal: on the real thing" in page


def test_the_rest_of_the_small_tier(hub: LoopbackHub, tmp_path: Path) -> None:
    """What the data root must hold, and one seed of two arms of every experiment."""
    stage = Stage(tmp_path, hub)
    stage.environment[VARIABLE] = SHORT
    root = stage.root
    collections.write_root(root, "beir/nfcorpus", train=16, dev=4, test=4)
    collections.write_root(root, "beir/scifact", train=16, test=4)
    collections.write_root(root, "derived/msmarco-mini", dev=16, dl19=4)
    for name in ("rerank/dl19", "rerank/dl21"):
        collections.write_root(root, name, test=12)
    for name in ("cranfield", "cacm", "npl-vaswani"):
        collections.write_root(root, f"classic/{name}", test=4)
    for recipe in ("small", "mpnet"):
        stage.stand_in(
            load_recipe(recipe).teacher_model, partial(models.bert, seed=0, layers=6, width=32)
        )
    narrow = ("--where", "arm=A8,A13", "--where", "seed=1")
    stage.replicate(PAPER, "--tier", "small", *narrow)
    records = stage.records(PAPER)
    assert {r.status for r in records} == {"ok"}
    assert {r.experiment for r in records} == {"E2", "E3", "E4", "E5"}
    assert "rehearsal: on the real thing" in stage.page(PAPER)
