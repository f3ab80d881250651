"""claims.toml is read strictly: what is wrong is named with file, entry and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.claims import load_paper, load_papers
from shared.errors import InputError
from tests.reports.example import CLAIMS, write_paper


def test_reads_the_example(tmp_path: Path) -> None:
    paper = load_paper(write_paper(tmp_path))
    assert (paper.id, paper.year, paper.arxiv) == ("toy", 2021, "2101.00001")
    assert paper.sources["blog"].trust == "second-hand"
    table = paper.tables[0]
    assert table.rows[1].values == (60.0, 35.0, 35.1, None)
    assert (table.rows[0].tolerance, table.comparable) == (0.5, ("small", "paper"))
    assert table.columns[2].tiers == ("paper",)
    assert table.columns[3].over == ("beir/alpha", "beir/beta")
    assert not paper.tables[1].has_paper_values
    check = paper.claims[1].check
    assert check.a == {"experiment": "E1", "system": "double"}
    assert check.paper_a == {"beir/alpha": 60.0, "beir/beta": 45.0}
    assert paper.claims[0].comparable == ("embedded", "small", "paper")


def test_embedded_tier_is_never_comparable_by_default(tmp_path: Path) -> None:
    text = CLAIMS.replace('tiers = ["small", "paper"]\nours', "ours")
    table = load_paper(write_paper(tmp_path, text)).tables[0]
    assert table.tiers == ("embedded", "small", "paper")
    assert table.comparable == ("small", "paper")


def test_over_may_differ_by_tier(tmp_path: Path) -> None:
    over = 'over = {embedded = ["toydocs"], small = ["beir/alpha"]}\neach = "collection"'
    text = CLAIMS.replace('each = "collection"', over)
    check = load_paper(write_paper(tmp_path, text)).claims[1].check
    assert dict(check.over) == {"embedded": ("toydocs",), "small": ("beir/alpha",)}


def test_every_folder_with_claims_is_a_paper(tmp_path: Path) -> None:
    write_paper(tmp_path, name="b")
    write_paper(tmp_path, name="a")
    (tmp_path / "commands").mkdir()
    assert [paper.id for paper in load_papers(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("year = 2021", "year = '2021'", r"\[paper\]: key 'year' must be a whole number"),
        ("year = 2021", "year = ", r"not valid TOML .*line 5"),
        ("year = 2021", "yaer = 2021", r"\[paper\]: key 'yaer' is unknown"),
        ('trust = "primary"', 'trust = "sure"', r"\[PDF\]: key 'trust' must be one of primary, "),
        ('url = "https://example.org/post"', 'url = "javascript:x"', "must start with https://"),
        ("50.0, 40.3, 33.3, 45.0", "50.0, 40.3", r"'BM25': key 'values' must have 4 entries"),
        ("50.0, 40.3,", '50.0, "40,3",', "must hold numbers"),
        ('reason = "the analyser is not', 'note = "the analyser is not', "'reason' is missing"),
        ('source = "PDF"\ntiers', 'source = "pdf"\ntiers', "source 'pdf' is not defined"),
        ('id = "C2"', 'id = "C1"', r"\[\[claim\]\] C1: this id occurs twice"),
        ("comparable = true\nexpect", "expect", "'C1': key 'comparable' is missing"),
        ('kind = "bound"', 'kind = "bounds"', r"'C1': \[check\]: key 'kind' must be one of"),
        ('op = "<="', 'op = "=<"', "'op' must be one of <=, >=, ==, <, >; found '=<'"),
        ('expect = "greater"', "", "'expect' is missing"),
        ('each = "collection"', 'each = "collection"\npool = "macro"', "cannot stand beside pool"),
        ("value = 1.0", "value = true", "'value' must be a number"),
        ("value = 1.0", "value = 1.0\nsesoi = 1", "'sesoi' is unknown here"),
        ("decimals = 2", "decimals = 2\ntolerance = 0.1", "'reason' is missing"),
        ("expect_false = true", 'requires = ["C9"]', "requires unknown claim 'C9'"),
        ('["beir/alpha", "beir/beta"]', '["a", ["b", "a"]]', "'over' must not repeat a name"),
        ('["beir/alpha", "beir/beta"]', "[1]", "'over' must be a list of texts"),
        ("paper_b = {", "#", "paper_a' and paper_b must be given together"),
        ('tiers = ["embedded"]', 'tiers = ["tiny"]', "'tiers' must be a list out of embedded"),
    ],
)
def test_errors_name_file_entry_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert CLAIMS.count(old) >= 1
    folder = write_paper(tmp_path, CLAIMS.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as error:
        load_paper(folder)
    assert str(error.value).startswith(str(folder / "claims.toml"))
    assert "\n" not in str(error.value)


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_paper(tmp_path)
