"""Measure how far float32 training carries a number apart between arithmetics.

    python -m reports.spreads STORE STORE ...

Each store holds one tier's records as one arithmetic gave them, from one and the same code (those
that `replicate attest --arithmetic all --store` keeps, or another machine's). Writes spreads.json
into the folder of every paper that has trained numbers; reports/kinds.py says how they are used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reports.kinds import Kind, Numbers, load_numbers, numbers_of
from reports.results import Record, Store
from shared.errors import InputError
from shared.files import atomic_write

PAPERS = Path(__file__).resolve().parents[1] / "replications"


def spreads(
    numbers: Numbers, stores: Sequence[Iterable[Record]]
) -> dict[str, dict[str, dict[str, float]]]:
    """{tier: {experiment: {number: largest difference in a cell between two stores}}}.

    Of trained numbers alone, and of cells that every store has without error. Raises InputError
    for fewer than two stores, and for cells made by different code.
    """
    if len(stores) < 2:
        raise InputError("spreads: one store shows no spread; name two or more")
    known = [{record.key: record for record in records} for records in stores]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for key in sorted(set.intersection(*(set(records) for records in known))):
        cells = [records[key] for records in known]
        if any(cell.status != "ok" for cell in cells):
            continue
        if len({cell.provenance.get("code_sha256") for cell in cells}) > 1:
            raise InputError(
                f"spreads: {cells[0].experiment}/{cells[0].label} was made by different code in "
                "two stores; make all of them with this one"
            )
        table = found.setdefault(cells[0].tier, {}).setdefault(cells[0].experiment, {})
        for place, values in _trained(numbers, cells).items():
            table[place] = max(table.get(place, 0.0), max(values) - min(values))
    return {
        tier: {name: dict(sorted(table.items())) for name, table in of_tier.items() if table}
        for tier, of_tier in found.items()
    }


def _trained(numbers: Numbers, cells: Sequence[Record]) -> dict[str, list[float]]:
    """Number -> its value in every store, where each has one."""
    leaves = [{**numbers_of(cell.means), **numbers_of(cell.facts)} for cell in cells]
    return {
        place: [table[name, place] for table in leaves]
        for name, place in leaves[0]
        if numbers.rule(cells[0].experiment, name).kind is Kind.TRAINED
        and all(_is_number(table.get((name, place))) for table in leaves)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def main(places: Sequence[str]) -> int:
    """Write spreads.json for every paper; each place is a folder of records."""
    for folder in sorted(path.parent for path in PAPERS.glob("*/numbers.toml")):
        stores = [Store(place).records(folder.name) for place in places]
        measured = spreads(load_numbers(folder), stores)
        if not any(measured.values()):
            continue
        sets = [_instruction_set(records) for records in stores]
        with atomic_write(folder / "spreads.json") as handle:
            content = {"measured": sets, "spreads": measured}
            handle.write(json.dumps(content, indent=1) + "\n")
        print(
            f"{folder.name}: {sum(len(t) for m in measured.values() for t in m.values())} numbers"
        )
    return 0


def _instruction_set(records: Sequence[Record]) -> str:
    """The processor that made a store, and what its libraries took it for."""
    cpu = records[0].provenance.get("cpu", {}) if records else {}
    threads = records[0].provenance.get("threads", {}).get("OMP_NUM_THREADS") if records else None
    return f"{cpu.get('model')}, {cpu.get('instruction_set')}, {threads} thread(s)"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        sys.exit(f"error: {error}")
