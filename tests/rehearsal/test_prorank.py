"""ProRank: the released models on BEIR, comparisons and re-training, on stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.engine.jobs import plan_jobs
from ir_replications.prorank.experiments.e5_paper import BEIR, GIANT, RETRAINED
from ir_replications.prorank.reranking.released import MODELS
from ir_replications.shared.rehearsal import VARIABLE
from tests.hub import LoopbackHub
from tests.rehearsal import models
from tests.rehearsal.repositories import serve_beir
from tests.rehearsal.stage import Stage

pytestmark = pytest.mark.slow

SHORT = "warmup.steps=2,warmup.save_steps=1,fine_grained.steps=2,fine_grained.save_steps=1"
UNPINNED = "mxbai-rerank-large-v1"  # no source at hand pins a revision of it


def serve_models(hub: LoopbackHub, folder: Path) -> None:
    """Every model of released.py that has a revision; the largest in several files."""
    for seed, (name, model) in enumerate(MODELS.items()):
        if model.kind == "causal":
            shard = "16KB" if name == GIANT else None
            made = models.chat(folder / name, seed=seed, shard=shard)
        elif model.revision:
            made = models.xlm_roberta(folder / name, seed=seed)
        else:
            continue
        hub.add_model(model.name, model.revision, made)


def test_the_paper_tier(hub: LoopbackHub, tmp_path: Path) -> None:
    serve_beir(hub, tmp_path, *BEIR, "beir/msmarco", documents=14, queries=2)
    serve_models(hub, tmp_path / "models")
    stage = Stage(tmp_path / "stage", hub)
    stage.environment[VARIABLE] = SHORT
    stage.replicate("prorank", "--tier", "paper", "--experiment", "E5", code=1)
    records = stage.records("prorank")
    assert len(records) == len(plan_jobs("prorank", "paper", only=["E5"]))
    failed = [record for record in records if record.status == "error"]
    assert {record.config["model"] for record in failed} == {UNPINNED}
    assert all("no source at hand pins a revision" in str(record.error) for record in failed)
    trained = [r for r in records if r.config["system"] in RETRAINED]
    assert len(trained) == len(RETRAINED) * len(BEIR)
    assert all(len(curve) >= 2 for r in trained for curve in r.facts["curves"].values())
    page = stage.page("prorank")
    assert "Rehearsal." in page and "rehearsal: on the real thing" in page
