"""Readers of claims and of kinds of numbers."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from ir_replications.reports.claims.kinds import load_numbers
from ir_replications.reports.claims.reader import load_paper
from tests.campaign import independent as own
from tests.campaign.campaign import Reader
from tests.reports.example import CLAIMS

NUMBERS = """
[all]
exact = ["documents", "notes.#"]
float64 = ["nDCG@*"]
[E1]
error-bound = ["max_error"]
trained = ["R@100"]
[E1.bounds]
base_error = 1e-9
[[E1.float32]]
names = ["loss"]
relative = 1e-4
reason = "sums in float32"
"""


def make_claims(folder: Path) -> None:
    claims = CLAIMS.replace('id = "C2"\n', 'id = "C2"\nrequires = ["C1"]\n')
    (folder / "claims.toml").write_text(claims)


def numbers_in(value: Any, path: str = "") -> Any:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from numbers_in(item, f"{path}.{key}")
    elif type(value) in (int, float):
        yield path, value


def confirm_claims(folder: Path, paper: Any) -> None:
    data = tomllib.loads(own.text_of(folder / "claims.toml"))
    for path, value in numbers_in(data):
        own.finite(value, path)
        assert abs(value) < 2**63, f"{path} {value!r:.40}"
        key = path.rpartition(".")[2]
        if key in ("tolerance", "sesoi", "decimals", "bound", "seeds", "year"):
            assert value >= 0, f"{path} {value}"
        if key == "scale":
            assert value > 0, f"{path} {value}"
        if key == "decimals":
            assert value <= 30, f"{path} {value}"
    claims = {claim["id"]: claim for claim in data.get("claim", [])}
    assert [claim.id for claim in paper.claims] == list(claims), "other claims"
    lines = (line.strip() for line in data["paper"]["title"].split("\n"))
    assert paper.title == " ".join(filter(None, lines)), "another title"
    assert [table.id for table in paper.tables] == [
        t["id"].strip() for t in data.get("table", [])
    ], "tables"

    def reach(name: str, above: tuple[str, ...] = ()) -> None:
        assert name not in above, f"{name} requires itself"
        for other in claims[name].get("requires", []):
            reach(other, (*above, name))

    for name in claims:
        reach(name)
    for claim in paper.claims:
        stated = claims[claim.id]["check"]
        assert claim.check.kind == stated["kind"], "another kind"
        if "value" in stated:
            assert claim.check.value == stated["value"], "another value"


def make_numbers(folder: Path) -> None:
    (folder / "numbers.toml").write_text(NUMBERS)
    spreads = {"measured": [], "left_out": 2.5, "spreads": {"small": {"E1": {"R@100": 0.01}}}}
    (folder / "spreads.json").write_text(json.dumps(spreads, indent=1))


def confirm_numbers(folder: Path, found: Any) -> None:
    data = tomllib.loads(own.text_of(folder / "numbers.toml"))
    for path, value in numbers_in(data):
        assert own.finite(value, path) > 0, f"{path} {value}"
    assert set(found.tables) == set(data), "other tables"
    for name, table in data.items():
        bounds = table.get("bounds", {})
        for rule, limit in bounds.items():
            assert found.tables[name][rule].limit == limit, "another bound"
    spreads = {}
    if (folder / "spreads.json").exists():
        spreads = own.json_of(own.text_of(folder / "spreads.json"))["spreads"]
    _confirm_spreads(spreads)
    assert json.loads(json.dumps(found.spreads)) == spreads, "other spreads"


def _confirm_spreads(spreads: Any) -> None:
    assert isinstance(spreads, dict), "spreads are no object"
    for tier in spreads.values():
        for experiment in tier.values():
            for name, value in experiment.items():
                own.finite(value, name, least=0)


READERS = (
    Reader(
        "claims.toml",
        make_claims,
        {"claims.toml": "settings"},
        load_paper,
        confirm_claims,
        ("load_paper", "load_papers"),
        share=3,
    ),
    Reader(
        "numbers.toml",
        make_numbers,
        {"numbers.toml": "settings"},
        load_numbers,
        confirm_numbers,
        ("load_numbers",),
    ),
    Reader(
        "spreads.json",
        make_numbers,
        {"spreads.json": "json"},
        load_numbers,
        confirm_numbers,
        ("load_numbers",),
    ),
)
