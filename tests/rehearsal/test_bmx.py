"""BMX: every experiment of the paper tier on stand-ins of all its collections."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ir_replications.bmx.experiments.e5_augmentation import MODEL
from ir_replications.bmx.experiments.testbeds import BEIR, MULTILINGUAL, PRINTED_LANGUAGES
from ir_replications.engine.jobs import plan_jobs
from tests.hub import LoopbackHub
from tests.rehearsal import collections, models
from tests.rehearsal.repositories import serve_beir, serve_bright
from tests.rehearsal.stage import Stage

pytestmark = pytest.mark.slow


def test_the_paper_tier(hub: LoopbackHub, tmp_path: Path) -> None:
    pytest.importorskip("janome")
    serve_beir(hub, tmp_path, *BEIR, *PRINTED_LANGUAGES)
    serve_bright(hub, tmp_path / "bright")
    stage = Stage(tmp_path / "stage", hub)
    for name in MULTILINGUAL:
        collections.write_root(stage.root, name, dev=4)
    stage.stand_in(MODEL, partial(models.chat, seed=0, kind="Llama"))
    stage.replicate("bmx", "--tier", "paper")
    records = stage.records("bmx")
    assert len(records) == len(plan_jobs("bmx", "paper"))
    assert {record.status for record in records} == {"ok"}
    page = stage.page("bmx")
    assert "Rehearsal." in page and "rehearsal: on the real thing" in page
