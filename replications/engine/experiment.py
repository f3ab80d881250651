"""What a paper writes: an experiment lists the cells of a plan, and runs one to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ir_replications.engine.context import Context
    from ir_replications.shared.evaluation.metrics import Scores
    from ir_replications.shared.retrieval.runs import Run

TIERS = ("embedded", "small", "paper")

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What was asked for: the tier and the collections that its cells are made for."""

    tier: str
    collections: tuple[str, ...]
    chosen: bool = False  # True: the user named the collections


@dataclass
class Outcome:
    """What one cell measured; `run` is kept as a TREC file beside the record when given."""

    scores: Scores | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None
    models: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """One experiment of a paper: `cells(plan)` lists configs, `run(config, context)` does one."""

    id: str
    title: str
    cells: Callable[[Plan], list[dict[str, Any]]]
    run: Callable[[Config, Context], Outcome]
    cost: Mapping[str, str]
    needs_model: bool = False  # left out on a user's own collection unless asked for by id
    measures_time: bool = False  # times and speeds, which no two machines share
