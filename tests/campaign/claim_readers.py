"""Readers of claims and of kinds of numbers."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from ir_replications.reports.claims.kinds import load_numbers
from ir_replications.reports.claims.reader import load_paper
from tests.campaign import independent as own
from tests.campaign.campaign import Reader
from tests.reports.claims.test_printed_values import write_all
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
            points = hundredfold(claim.check.scale, stated)
            assert claim.check.value == points * stated["value"], "another value"


def hundredfold(scale: float, stated: Any) -> float:
    """100 where a measure that is a share, written without a scale, was read in points; else 1."""
    return 100.0 if scale == 100 and stated.get("scale", 1) == 1 else 1.0


def make_short(folder: Path) -> None:
    write_all(folder.parent, name=folder.name)


def confirm_short(folder: Path, paper: Any) -> None:
    """Ids, texts, labels and printed values, expanded once more by hand."""
    claims = tomllib.loads(own.text_of(folder / "claims.toml"))
    beside = folder / "tables.toml"  # may be absent: a paper without tables
    tables = tomllib.loads(own.text_of(beside)) if beside.exists() else {}
    defaults = {**claims.get("defaults", {}), **tables.get("defaults", {})}
    sets = {**claims.get("sets", {}), **tables.get("sets", {})}
    expected = [
        (own_line(one["id"]), own_line(one["text"]))
        for entry in claims.get("claim", [])
        for one in by_hand(merged(entry, defaults))
    ]
    assert [(claim.id, claim.text) for claim in paper.claims] == expected, "other claims"
    assert len({name for name, _ in expected}) == len(expected), "an id twice"
    for claim in paper.claims:
        own.finite(claim.check.value, claim.id)
    stated = [merged(entry, defaults) for entry in tables.get("table", [])]
    assert [table.id for table in paper.tables] == [own_line(entry["id"]) for entry in stated]
    for entry, table in zip(stated, paper.tables, strict=True):
        rows = [one for row in entry["row"] for one in by_hand(row)]
        assert [row.label for row in table.rows] == [own_line(row["label"]) for row in rows]
        columns = [
            column
            for given in entry["columns"]
            for column in (sets[given[1:]] if str(given).startswith("@") else [given])
        ]
        printed = cells_of(folder / entry["values"]) if "values" in entry else {}
        for row, shown in zip(rows, table.rows, strict=True):
            values = row.get("values")
            for n, column in enumerate(columns):
                name = column if isinstance(column, str) else None
                if isinstance(column, list):
                    name = column[0]
                elif isinstance(column, dict):
                    name = column.get("printed", column["label"])
                cell = values[n] if values else printed.get(row["label"], {}).get(name, "")
                if shown.values[n] is not None:
                    own.finite(shown.values[n], "value")
                points = hundredfold(table.columns[n].scale or table.scale, entry)
                expected_value = None if cell == "" else points * float(cell)
                assert shown.values[n] == expected_value, "another value"


def own_line(text: str) -> str:
    return " ".join(part for part in (line.strip() for line in text.split("\n")) if part)


def merged(entry: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The entry over the defaults that it names, as far as ids, texts and rows need it."""
    above = merged(defaults[entry["like"]], defaults) if "like" in entry else {}
    return {**above, **entry}


def by_hand(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One entry for each row of a grid."""
    named = entry.get("across_fields", []), entry.get("fields", [])
    for above, row in product(entry.get("across", [[]]), entry.get("rows", [[]])):
        given = dict(zip(named[0], above, strict=False)) | dict(zip(named[1], row, strict=False))
        one = dict(entry)
        for key in ("id", "text", "label"):
            if key in entry:
                one[key] = filled(entry[key], given)
            if given.get(key, "") != "" and f"{{{key}}}" not in str(entry):
                one[key] = given[key]
        yield one


def filled(text: str, given: dict[str, Any]) -> str:
    """The text, read once from the left, with the values of its {fields}."""
    head, brace, rest = text.partition("{")
    name, end, tail = rest.partition("}")
    if not brace:
        return text
    if end and name in given:
        return head + str(given[name]) + filled(tail, given)
    return head + brace + filled(rest, given)


def cells_of(path: Path) -> dict[str, dict[str, str]]:
    """Row name -> column -> cell of a CSV file, with the csv module alone."""
    lines = list(csv.DictReader(own.text_of(path).splitlines(), strict=True))
    for line in lines:
        for name, cell in line.items():
            if name not in ("library", "system") and cell:
                own.finite(float(cell), name)
    return {f"{line.get('library') or ''} {line['system']}".strip(): line for line in lines}


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
        "claims in short form",
        make_short,
        {"claims.toml": "settings", "tables.toml": "settings", "tables/t.csv": "columns"},
        load_paper,
        confirm_short,
        ("load_paper", "read_printed"),
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
