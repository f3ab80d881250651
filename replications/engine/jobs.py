"""The cells that a request stands for, each with its key, its label and its command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_replications.engine import registry
from ir_replications.engine.experiment import Plan
from ir_replications.reports.records.commands import run_command
from ir_replications.reports.records.record import Record, config_hash
from ir_replications.shared.errors import InputError


@dataclass(frozen=True)
class Job:
    """One cell to run, in this process or another."""

    paper: str
    tier: str
    experiment: str
    config: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of this cell's record."""
        hashed = config_hash(
            self.config, paper=self.paper, experiment=self.experiment, tier=self.tier
        )
        return (self.paper, self.experiment, self.tier, hashed)

    @property
    def label(self) -> str:
        """Short name, also of its files: texts of the config as they are, numbers by name."""
        values = {k: v for k, v in self.config.items() if v is not None and k != "seed"}
        return " ".join(v if isinstance(v, str) else f"{k}={v}" for k, v in values.items())

    def command(self, folders: Mapping[str, Path] | None = None) -> str:
        """The command that runs this cell; a folder of the user's is named from where it lies."""
        own = {name: f"./{folder.name}" for name, folder in (folders or {}).items()}
        selector = {"experiment": self.experiment, **self.config}
        return run_command(self.paper, self.tier, [selector], own)


def told(cell: Job | Record) -> str:
    """How a line for a person names a cell: by its seed too, which labels leave out."""
    seed = cell.config.get("seed")
    return f"{cell.experiment} {cell.label}" + ("" if seed is None else f" seed={seed}")


def plan_jobs(
    paper: str,
    tier: str,
    *,
    collections: Sequence[str] | None = None,
    only: Sequence[str] = (),
    splits: Mapping[str, str] | None = None,
) -> list[Job]:
    """The cells that a request stands for, in order, without loading any data.

    `splits` names the split to evaluate of collections where it is not their default one.
    """
    known = registry.experiments(paper)
    for name in only:
        if name not in known:
            raise InputError(
                f"{paper} has no experiment {name!r}; its experiments are: {', '.join(known)}"
            )
    chosen = bool(collections)
    plan = Plan(tier, tuple(collections or registry.default_collections(paper, tier)), chosen)
    return [
        Job(paper, tier, experiment.id, _with_split(config, splits or {}))
        for experiment in known.values()
        if (experiment.id in only if only else not (chosen and experiment.needs_model))
        for config in experiment.cells(plan)
    ]


def _with_split(config: dict[str, Any], splits: Mapping[str, str]) -> dict[str, Any]:
    split = splits.get(config.get("collection", ""))
    return config if split is None else {**config, "split": split}
