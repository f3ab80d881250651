"""Tables and values per query as files: what pages show, and no formula for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from ir_replications.reports.pages.query_views import query_pages
from ir_replications.reports.pages.render import render_site
from ir_replications.reports.records.record import Record
from tests.reports.example import records
from tests.reports.pages.page_reader import words


def test_tables_are_files_as_well(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out"
    render_site(papers, records(), out)
    folder = out / "tables" / "toy"
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {
        "claims", "figure-one", "table-T2", "table-O1",
    }  # fmt: skip
    with open(folder / "table-T2.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    assert rows[0][:4] == ["", "alpha, printed", "alpha, ours", "alpha, verdict"]
    assert rows[1][:4] == ["BM25", "50.0", "50.04", "reproduced"]
    latex = (folder / "table-T2.tex").read_text("utf-8")
    assert latex.startswith("\\begin{tabular}") and r"BM25 & 50.0 & 50.04 & reproduced" in latex
    markdown = (folder / "table-T2.md.txt").read_text("utf-8")
    assert "| Doubled &lt;b>terms&lt;/b> | 60.0 |" in markdown


def test_values_per_query_lie_beside_the_page(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out"
    render_site(papers, records(), out)
    stem = out / "records" / "toy" / "small-E1-beir-alpha-queries"
    with open(f"{stem}.csv", newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["query-id", "bm25", "double"]
    assert rows[1] == ["q0", "0.3004", "0.35"] and len(rows) == 41
    flat = words(tmp_path, "records/toy/small-E1-beir-alpha-queries.html")
    assert "bm25 50.04 the base double 60.00 +9.96 40 0 0" in flat
    lines = (out / "data" / "toy" / "small-E1.jsonl").read_text().splitlines()
    assert {json.loads(line)["digest"] for line in lines} == {
        record.digest for record in records() if record.tier == "small"
    }


@pytest.mark.parametrize(
    ("qid", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-12", "-12"),  # a number is none
        ("+5.5e3", "+5.5e3"),
        ("-inf", "'-inf"),
        ('a,"b"\nc', 'a,"b"\nc'),
        ("a;=1", "a;=1"),  # in quotes: a spreadsheet may part cells by semicolons
        ("q=1", "q=1"),
        ("日本", "日本"),
    ],
)
def test_no_cell_of_a_download_is_a_formula(qid: str, cell: str) -> None:
    made = Record.create(
        paper="toy", experiment="E1", tier="small", label="x", config={},
        means={"m": -0.5, "=m": 1.0}, per_query={"m": {qid: -0.5}, "=m": {qid: 1.0}},
    )  # fmt: skip
    (page,) = query_pages([made]).values()
    text = page.csv
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["query-id", "x · m", "x · =m"],
        [cell, "-0.5", "1"],
    ]
    assert not any(
        found.startswith(("=", "@", "+1+", "-1+", "\t", "\r"))
        for separator in ",;\t"
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for found in row
    )
