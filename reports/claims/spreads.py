"""Measure how far float32 training carries a number apart between arithmetics.

    python -m ir_replications.reports.claims.spreads STORE STORE ...
        [--elsewhere STORE --then STORE]

Each store holds the embedded records as one arithmetic gave them, all from one and the same code
(`replicate attest --arithmetic all --store DIR` keeps one per arithmetic); the first is the native
one. `--elsewhere` is another machine's store, by earlier code: its cells count where `--then`, the
records of that code on this machine, equals the first store in every trained number, so that the
code gives the same. Writes spreads.json into the folder of every paper that has trained numbers;
reports/claims/kinds.py says how they are used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ir_replications
from ir_replications.reports.claims.kinds import (
    FLOOR,
    SPREADS,
    Kind,
    Numbers,
    load_numbers,
    numbers_of,
)
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.entry import answered
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write
from ir_replications.shared.reading import is_finite, user_path

PAPERS = Path(ir_replications.__file__).parent

Cells = Mapping[tuple[str, ...], Record]
Spreads = dict[str, dict[str, dict[str, float]]]  # tier -> experiment -> name -> spread


def spreads(numbers: Numbers, stores: Sequence[Cells]) -> Spreads:
    """The largest difference between two stores in any cell and place, per name.

    Of trained numbers alone, and of cells without error. Raises InputError for fewer than two
    stores.
    """
    if len(stores) < 2:
        raise InputError("spreads: one store shows no spread; name two or more")
    found: Spreads = {}
    for key in stores[0]:
        cells = [cells[key] for cells in stores if key in cells and cells[key].status == "ok"]
        if len(cells) < 2:
            continue
        values = [trained(numbers, cell) for cell in cells]
        table = found.setdefault(cells[0].tier, {}).setdefault(cells[0].experiment, {})
        for name, place in set.intersection(*(set(each) for each in values)):
            each = [of_store[name, place] for of_store in values]
            table[name] = max(table.get(name, 0.0), max(each) - min(each))
    return {
        tier: {name: dict(sorted(table.items())) for name, table in of_tier.items() if table}
        for tier, of_tier in found.items()
    }


def left_out(numbers: Numbers, stores: Sequence[Cells]) -> float:
    """How far a store lies from the first at most, in spreads of the stores without it."""
    worst = 0.0
    for number in range(1, len(stores)):
        others = [cells for place, cells in enumerate(stores) if place != number]
        if len(others) < 2:
            continue
        of_others, of_pair = spreads(numbers, others), spreads(numbers, [stores[0], stores[number]])
        for tier, experiments in of_pair.items():
            for experiment, table in experiments.items():
                known = of_others.get(tier, {}).get(experiment, {})
                for name, apart in table.items():
                    worst = max(worst, apart / max(known.get(name, 0.0), FLOOR / SPREADS))
    return worst


def trained(numbers: Numbers, cell: Record) -> dict[tuple[str, str], float]:
    """The trained numbers of a cell: (name, place) -> value."""
    leaves = {**numbers_of(cell.means), **numbers_of(cell.facts)}
    return {
        (name, place): value
        for (name, place), value in leaves.items()
        if is_finite(value) and numbers.rule(cell.experiment, name).kind is Kind.TRAINED
    }


def of_same_numbers(numbers: Numbers, elsewhere: Cells, then: Cells, now: Cells) -> dict[Any, Any]:
    """The cells of `elsewhere` whose code gives here, in `then`, the trained numbers of `now`."""
    return {
        key: cell
        for key, cell in elsewhere.items()
        if key in then
        and key in now
        and trained(numbers, then[key]) == trained(numbers, now[key]) != {}
    }


def main(arguments: Sequence[str]) -> int:
    """Write spreads.json for every paper."""
    parser = argparse.ArgumentParser(prog="python -m ir_replications.reports.claims.spreads")
    parser.add_argument("stores", nargs="+", type=user_path)
    parser.add_argument("--elsewhere", type=user_path)
    parser.add_argument("--then", type=user_path)
    asked = parser.parse_args(arguments)
    if (asked.elsewhere is None) != (asked.then is None):
        parser.error("--elsewhere and --then belong together")
    for folder in sorted(path.parent for path in PAPERS.glob("*/numbers.toml")):
        numbers = load_numbers(folder)
        stores = [_cells(place, folder.name) for place in asked.stores]
        if len({c.provenance.get("code_sha256") for cells in stores for c in cells.values()}) > 1:
            raise InputError(
                f"{folder.name}: the stores were made by different code; make all anew"
            )
        if asked.elsewhere is not None:
            others = _cells(asked.elsewhere, folder.name), _cells(asked.then, folder.name)
            stores.append(of_same_numbers(numbers, *others, stores[0]))
        measured = spreads(numbers, stores)
        if any(measured.values()):
            content = {
                "measured": [_arithmetic(cells) for cells in stores],
                "left_out": round(left_out(numbers, stores), 2),
                "spreads": measured,
            }
            with atomic_write(folder / "spreads.json") as handle:
                handle.write(json.dumps(content, indent=1) + "\n")
            print(f"{folder.name}: left out {content['left_out']}, allowed {SPREADS}")
    return 0


def _cells(store: Path, paper: str) -> Cells:
    if not store.is_dir():
        raise InputError(f"{store}: no such folder of records; name stores that attest kept")
    return {record.key: record for record in Store(store).records(paper, "embedded")}


def _arithmetic(cells: Cells) -> dict[str, Any]:
    """What made a store: processor, instruction set of torch, threads; and cells that count."""
    # A cell that does without torch does not say which instruction set torch would take.
    made: Mapping[str, Any] = min(
        (cell.provenance for cell in cells.values()),
        key=lambda made: made.get("cpu", {}).get("instruction_set") is None,
        default={},
    )
    cpu, threads = made.get("cpu", {}), made.get("threads", {})
    return {
        "processor": cpu.get("model"),
        "instruction_set": cpu.get("instruction_set"),
        "threads": threads.get("OMP_NUM_THREADS"),
        "cells": len(cells),
    }


if __name__ == "__main__":
    sys.exit(answered(lambda: main(sys.argv[1:])))
