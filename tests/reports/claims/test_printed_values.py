"""tables.toml beside claims.toml, and values in a CSV file: what is read, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.reports.claims.reader import load_paper
from ir_replications.shared.errors import InputError
from tests.reports.claims.test_claim_grids import SHORT
from tests.reports.example import write_paper

CLAIMS, _, REST = SHORT.partition("[[table]]")
TABLES = """
[sets]
last = [{ label = "Café", printed = "Cafe" }]

[defaults.rows]
title = "A table"
ours = { experiment = "E1" }

[[table]]
id = "T"
like = "rows"
values = "tables/t.csv"
columns = [{ label = "mean", over = ["@all"] }, ["one", "x/one"], "@last"]
[[table.row]]
label = "lib {arm}"
ours = { arm = "{arm}", depth = "{depth}" }
fields = ["arm", "depth"]
rows = [["A1", ""], ["A2", 7]]
[[table.row]]
label = "alone"
ours = false
[[table.row]]
label = "not printed"
"""
CSV = "library,system,one,Cafe,mean\nlib,A1,1,2.5,0.25\nlib,A2,3,,-1\n,alone,5,6,7\n"


def write_all(root: Path, tables: str = TABLES, name: str = "toy") -> Path:
    """A paper in short form with its tables and printed values in files of their own."""
    claims = CLAIMS + "[[deviation]]" + REST.partition("[[deviation]]")[2]
    folder = write_paper(root, claims, name)
    (folder / "tables.toml").write_text(tables, encoding="utf-8")
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / "t.csv").write_text(CSV, encoding="utf-8")
    return folder


def test_tables_stand_beside_the_claims_and_values_in_a_file(tmp_path: Path) -> None:
    paper = load_paper(write_all(tmp_path))
    (table,) = paper.tables
    assert [column.label for column in table.columns] == ["mean", "one", "Café"]
    assert table.columns[0].over == ("x/one", ("x/a", "x/b"), "x/two")  # a set of claims.toml
    assert [(row.label, row.values) for row in table.rows] == [
        ("lib A1", (25, 100, 250)),  # in points
        ("lib A2", (-100, 300, None)),
        ("alone", (700, 500, 600)),
        ("not printed", (None, None, None)),
    ]
    assert [row.ours for row in table.rows[:2]] == [{"arm": "A1"}, {"arm": "A2", "depth": 7}]
    assert [claim.id for claim in paper.claims][-1] == "R"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"@last"]', '"@lost"]', r"tables.toml: \[\[table\]\] 1 'T': '@lost' names no set"),
        ("last = [", "all = [", r"tables.toml: \[sets\] 'all': stands in claims.toml as well"),
        ('like = "rows"', "", r"tables.toml: \[defaults\] rows: is used by no entry"),
        ('printed = "Cafe"', 'ours = { arm = "x" }', "t.csv has no column 'Café'; name it by"),
        ('label = "alone"', 'label = "lone"', "no .*label 'alone', which tables/t.csv has"),
        ('label = "alone"', 'label = "alone"\nvalues = [1, 2, 3]', "'alone' has values here and"),
        ('"tables/t.csv"', '"../t.csv"', "values '../t.csv' must be a CSV file below this folder"),
        ('"tables/t.csv"', '"/etc/t.csv"', "values '/etc/t.csv' must be a CSV file below"),
        ('"tables/t.csv"', "5", "values 5 must be a CSV file below this folder"),
        ('"tables/t.csv"', '"tables/u.csv"', "u.csv: cannot be read"),
        ('id = "T"', 'id = "T"\nsource = "X"', r"tables.toml: \[\[table\]\] T: source 'X' is not"),
        ("[[table]]", "[[tabel]]\nid = 1\n[[table]]", "tables.toml: key 'tabel' is unknown here"),
        ("[[table]]", '[[claim]]\nid = "C"\n[[table]]', r"tables.toml: .*'claim' is unknown here"),
        ('ours = { experiment = "E1" }', "", "tables.toml: .*nothing says which records"),
    ],
)
def test_the_file_at_fault_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TABLES
    with pytest.raises(InputError, match=message) as error:
        load_paper(write_all(tmp_path, TABLES.replace(old, new, 1)))
    assert "\n" not in str(error.value)


def test_tables_in_both_files_are_refused(tmp_path: Path) -> None:
    folder = write_paper(tmp_path, SHORT)
    (folder / "tables.toml").write_text(TABLES.replace('values = "tables/t.csv"', ""))
    with pytest.raises(InputError, match=r"claims.toml: key 'table' stands here and in tables"):
        load_paper(folder)
