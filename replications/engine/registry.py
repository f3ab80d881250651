"""The papers, and what each one's experiments/registry.py says: experiments and collections."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import ir_replications
from ir_replications.engine.experiment import Experiment
from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable

PAPERS_FOLDER = Path(ir_replications.__file__).resolve().parent
BENCH = "bench"
"""No paper: the pipelines of `replicate bench`, whose cells run and are recorded as any other's."""

T = TypeVar("T")


def papers() -> list[str]:
    """Every folder that holds a claims.toml is a paper."""
    return sorted(p.parent.name for p in PAPERS_FOLDER.glob("*/claims.toml"))


def experiments(paper: str) -> dict[str, Experiment]:
    """The paper's experiments by id, from its experiments/registry.py.

    Raises InputError for a paper that is none, and for a registry that cannot be used.
    """
    if paper != BENCH and paper not in papers():
        raise InputError(f"no paper named {paper!r}; the papers are: {', '.join(papers())}")
    return _of_registry(paper, lambda module: {each.id: each for each in module.EXPERIMENTS})


def default_collections(paper: str, tier: str) -> tuple[str, ...]:
    """The collections a paper's experiments use at a tier when the user names none.

    Raises InputError for a registry that cannot be used.
    """
    return _of_registry(paper, lambda module: tuple(module.COLLECTIONS[tier]))


def _of_registry(paper: str, read: Callable[[Any], T]) -> T:
    """What `read` finds in a paper's registry; whatever its code raises is one line."""
    try:
        return read(importlib.import_module(f"ir_replications.{paper}.experiments.registry"))
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and not missing.startswith("ir_replications"):
            raise  # a package to install, which is no fault of the paper
        path = PAPERS_FOLDER / paper / "experiments" / "registry.py"
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
        raise InputError(f"{path}: cannot be used ({what}; {place}); correct it") from error
