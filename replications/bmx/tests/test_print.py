"""E8: the printed tables are copied whole, and what is computed from them, worked out otherwise."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from itertools import product
from math import comb
from pathlib import Path

import pytest

from ir_replications.bmx.experiments.e8_print import COMPARISONS, compare
from ir_replications.bmx.experiments.printed_tables import FOLDER, NAMES, PrintedTable, read_table
from ir_replications.reports.claims.reader import load_paper
from ir_replications.shared.errors import InputError

PAPER = load_paper(Path(__file__).parents[1])


def exact(name: str) -> list[list[str]]:
    """The lines of a table as they stand, without the csv module; no BEIR cell has a comma."""
    return [line.split(",") for line in (FOLDER / f"{name}.csv").read_text("utf-8").splitlines()]


def gains() -> list[Fraction]:
    """BMX less Baguetter's BM25 on BEIR, without rounding."""
    rows = {",".join(line[:2]): line[2:-1] for line in exact("beir")}
    pairs = zip(rows["Baguetter,BMX"], rows["Baguetter,BM25"], strict=True)
    return [Fraction(a) - Fraction(b) for a, b in pairs]


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_of_the_page_hold_the_same_cells(name: str) -> None:
    printed = read_table(name)
    (shown,) = (table for table in PAPER.tables if table.id == name)
    labels = [column.label.replace("Touché", "Touche") for column in shown.columns]
    rows = {row.label: row.values for row in shown.rows if any(v is not None for v in row.values)}
    assert list(rows) == list(printed.rows)
    for label, values in rows.items():
        cells = dict(zip(printed.columns, printed.rows[label], strict=True))
        cells["Avg"] = printed.averages[label]
        assert dict(zip(labels, values, strict=True)) == cells
    assert (len(printed.rows), len(printed.columns)) == {
        "beir": (11, 15), "bright": (8, 12), "multilingual": (2, 5),
    }[name]  # fmt: skip
    assert tomllib.loads((FOLDER / "SOURCE.toml").read_text("utf-8"))["tag"] == shown.source


def test_bm25s_rows_are_those_of_the_public_benchmark() -> None:
    (benchmark,) = (table for table in PAPER.tables if table.id == "bm25-benchmarks")
    printed = read_table("beir")
    names = {"Lucene": "BM25"}
    for row in benchmark.rows:
        method, _, rest = row.label.partition(" (")
        if not rest.startswith("k1=1.2"):
            continue
        cells = dict(zip((c.label for c in benchmark.columns), row.values, strict=True))
        cells["Touche"] = cells.pop("Touché")
        full = f"bm25s {names.get(method, method)}"
        assert cells.pop("Avg") == pytest.approx(printed.averages[full], abs=0.0501)
        assert cells == dict(zip(printed.columns, printed.rows[full], strict=True))


def test_the_facts_of_beir_by_fractions() -> None:
    facts = compare(read_table("beir"), "Baguetter BMX", "Baguetter BM25")
    found = gains()
    assert facts["gain"]["estimate"] == pytest.approx(float(sum(found) / 15), rel=1e-12)
    wins = sum(gain > 0 for gain in found)
    assert (facts["wins"], facts["losses"]) == (wins, 15 - wins) == (12, 3)
    four = sorted(found)[-4:]
    assert facts["share_of_largest"] == pytest.approx(float(sum(four) / sum(found)), rel=1e-12)
    assert set(facts["largest_gains"]) == {"FEVER", "Touche", "HotpotQA", "TREC-COVID"}
    tail = sum(comb(15, losses) for losses in range(4))
    assert facts["p_sign_test"] == pytest.approx(2 * tail / 2**15, rel=1e-12)
    mean = sum(found) / 15
    spread = float(sum((gain - mean) ** 2 for gain in found) / 14 / 15) ** 0.5
    half = 2.1447866879169273 * spread  # Student's 97.5 % point of 14 degrees, from a table
    assert facts["gain"]["low"] == pytest.approx(float(mean) - half, rel=1e-9)
    assert facts["gain"]["high"] == pytest.approx(float(mean) + half, rel=1e-9)
    hundredths = [int(100 * abs(gain)) for gain in found]
    least = abs(int(100 * sum(found)))
    sums = {0: 1}  # how many of the sign patterns give a sum
    for step in hundredths:
        after: dict[int, int] = {}
        for (total, ways), sign in product(sums.items(), (-step, step)):
            after[total + sign] = after.get(total + sign, 0) + ways
        sums = after
    extreme = sum(ways for total, ways in sums.items() if abs(total) >= least)
    assert facts["p_sign_flips"] == pytest.approx(extreme / 2**15, rel=1e-12)


def test_best_of_counts_strict_wins_against_the_rows_named() -> None:
    table = PrintedTable(
        ("x", "y", "z"),
        {"L a": (3.0, 2.0, 1.0), "L b": (1.0, 2.0, 0.0), "M c": (4.0, 0.0, 0.5)},
        {"L a": 2.0, "L b": 1.0, "M c": 1.51},
        {"L a": "L", "L b": "L", "M c": "M"},
    )
    facts = compare(table, "L a", "L b")
    assert (facts["best_of_library"], facts["best_of_all"]) == (2, 1)  # the tie on y is no win
    assert (facts["wins"], facts["losses"], facts["p_sign_test"]) == (2, 0, 0.5)
    assert facts["averages_off"] == 1  # c has 1.50
    assert facts["relative_gain"] == pytest.approx(100.0)
    assert "share_of_largest" not in facts


def test_only_the_average_of_e5_mistral_is_off() -> None:
    off = {name: compare(read_table(name), *_pair(name))["averages_off"] for name in NAMES}
    assert off == {"beir": 0, "bright": 1, "multilingual": 0}
    e5 = next(line for line in exact("bright") if line[1] == "E5-Mistral-7B")
    assert sum(map(Fraction, e5[2:-1])) / 12 > Fraction("17.53") > Fraction(e5[-1])


def _pair(name: str) -> tuple[str, str]:
    return next((pair["a"], pair["b"]) for pair in COMPARISONS if pair["table"] == name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("system,x\na,1\n", ": a: expected a number in each column, Avg the last"),
        ("library,system,x,Avg\n,a,,1\n", ": a: expected a number in each column"),
        ("library,system,x,Avg\n,a,1\n", ":2: expected 2 numbers"),
        ("library,system,x,Avg\n,a,1,1\n,a,1,1\n", ":3: expected 2 numbers"),
        ("library,system,x,Avg\n,a,one,1\n", ":2: expected 2 numbers"),
    ],
)
def test_a_damaged_table_names_file_and_place(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "odd.csv").write_text(text)
    with pytest.raises(InputError, match=f"odd.csv{line}"):
        read_table("odd", tmp_path)


def test_an_unknown_row_names_those_there_are() -> None:
    with pytest.raises(InputError, match="no printed row 'BM26'; the rows are: BM25, BMX"):
        read_table("multilingual").differences("BMX", "BM26")
