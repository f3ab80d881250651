"""A training run in its folder: found finished, or trained, or gone on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.training.folder import TrainingFolder, digest_of, weights_checksums


@dataclass(frozen=True)
class Trained:
    """A finished run: its weights (an adapter or a whole model), its log and its own record."""

    weights: Path
    log: list[dict[str, Any]]
    result: dict[str, Any]

    @property
    def sha256(self) -> str:
        """One sha256 of all files of weights."""
        return digest_of(weights_checksums(self.weights))


def run_folder(name: str, request: Mapping[str, Any], output: Path | None = None) -> TrainingFolder:
    """The folder `output`, else one in the cache named after all that decides the result."""
    named = f"{name}-{digest_of(request)[:12]}"
    return TrainingFolder(output or find_cache_dir() / "training" / named, request)


def finished_or(folder: TrainingFolder, train: Callable[[], dict[str, Any]]) -> Trained:
    """The folder's finished run, or what `train` makes of it; it returns the run's own record.

    Cells side by side may need one run: the others wait, and then find it finished.
    """
    with folder.turn():
        result = folder.finished()
        if result is None:
            result = train()
    return Trained(folder.final, folder.read_log(), result)
