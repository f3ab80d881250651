"""Collections on the stage's hub, at their pinned ids and revisions, and files of GitHub."""

from __future__ import annotations

from pathlib import Path

from ir_replications.shared.data import pinned
from ir_replications.tongsearch_qr.experiments.bright import SUBSETS
from ir_replications.tongsearch_qr.rewriting.released_files import (
    _FIXED_AT,
    _RAW,
    _REASONED_AT,
    CORRECTED,
    MAPS,
)
from tests.hub import LoopbackHub
from tests.hub.samples import write_dataset, write_mteb
from tests.rehearsal import collections


def serve_beir(hub: LoopbackHub, folder: Path, *names: str, **sizes: int) -> None:
    """These collections of BEIR; `sizes` as those of `collections.mteb`."""
    for name in names:
        pin = pinned(name)
        assert pin is not None
        made = write_mteb(folder / name, *collections.mteb(name, **sizes))
        hub.add_dataset(pin.hub, pin.revision, made)


def serve_bright(hub: LoopbackHub, folder: Path) -> collections.Rows:
    """All of BRIGHT in one data set, reasoned queries too; returns the examples of all subsets."""
    made = {subset: collections.bright(subset) for subset in SUBSETS}
    configs = {
        "documents": {subset: documents for subset, (documents, _) in made.items()},
        "examples": {subset: examples for subset, (_, examples) in made.items()},
    }
    for name in collections.REASONED:
        configs[name] = {s: collections.reasoned(rows, name) for s, (_, rows) in made.items()}
    pin = pinned("bright/biology")
    assert pin is not None
    hub.add_dataset(pin.hub, pin.revision, write_dataset(folder, configs))
    return [row for _, examples in made.values() for row in examples]


def write_github(folder: Path, examples: collections.Rows) -> Path:
    """The authors' reasoned queries and the corrected judgements, at their addresses' paths."""
    for file, _ in MAPS.values():
        place = folder / _REASONED_AT.removeprefix(f"{_RAW}/") / file
        collections.write_reasoned_map(place, examples)
    for subset in CORRECTED:
        name = f"qrels.bright-{subset.replace('_', '-')}.fixed.txt"
        _, own = collections.bright(subset)
        collections.write_fixed_qrels(folder / _FIXED_AT.removeprefix(f"{_RAW}/") / name, own)
    return folder
