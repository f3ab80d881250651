"""BMX: every experiment of the paper tier on BEIR, BRIGHT and MIRACL, on stand-ins."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from replications.bmx.e5_augmentation import MODEL
from replications.bmx.testbeds import BEIR, MULTILINGUAL
from shared.data import pinned
from tests.hub import LoopbackHub
from tests.hub.samples import write_mteb
from tests.rehearsal import collections, models
from tests.rehearsal.stage import Stage
from tests.rehearsal.test_tongsearch_qr import serve_bright

pytestmark = pytest.mark.slow


def serve_beir(hub: LoopbackHub, folder: Path, *names: str, **sizes: int) -> None:
    """These collections of BEIR at their pinned revisions."""
    for name in names:
        pin = pinned(name)
        assert pin is not None
        made = write_mteb(folder / name, *collections.mteb(name, **sizes))
        hub.add_dataset(pin.hub, pin.revision, made)


def test_the_paper_tier(hub: LoopbackHub, tmp_path: Path) -> None:
    serve_beir(hub, tmp_path, *BEIR)
    serve_bright(hub, tmp_path / "bright")
    (tmp_path / "stage").mkdir()
    stage = Stage(tmp_path / "stage", hub)
    for name in MULTILINGUAL:
        collections.write_root(stage.root, name, dev=4)
    stage.stand_in(MODEL, partial(models.chat, seed=0, kind="Llama"))
    print(stage.replicate("bmx", "--tier", "paper"))
    records = stage.records("bmx")
    assert {r.status for r in records} == {"ok"}
    page = stage.page("bmx")
    assert "Rehearsal." in page and "rehearsal: on the real thing" in page
