"""The short forms of a claims.toml: what they expand to, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.reports.claims.reader import load_paper
from ir_replications.shared.errors import InputError
from tests.reports.example import write_paper

SHORT = """
[paper]
title = "A toy"

[sources]
fields = ["tag", "trust", "of", "title", "url"]
rows = [
  ["ABS", "primary", "paper", "Abstract"],
  ["DER", "derived", "", "Derived", "https://example.org/"],
]

[sets]
forums = ["x/a", "x/b"]
all = ["x/one", ["@forums"], "x/two"]

[defaults.base]
tiers = ["small"]
comparable = false
check.kind = "effect"
check.measure = "nDCG@10"

[defaults.pooled]
like = "base"
check.pool = "macro"
check.over = ["@all"]

[[claim]]
id = "H-{model}-{arm}"
like = "pooled"
kind = "headline"
text = "{model}: {says}."
source = "ABS"
check.a = { arm = "{arm}", model = "{model}" }
check.b = { arm = "none", layers = "{layers}", model = "{model}" }
fields = ["arm", "layers", "check.expect", "says", "note"]
rows = [["A1", 2, "greater", "one helps", "A note."], ["A2", 3, "less", "two hurt"]]
across_fields = ["model"]
across = [["big"], ["small"]]

[[claim]]
like = "base"
source = "DER"
id = "R"
text = '''Printed numbers,
  one for each of two groups.'''
check.each = "collection"
check.over = ["@forums"]
check.a = { arm = "A1" }
check.b = { arm = "A2" }
check.measure = "R@100"
check.expect = "greater"
check.paper_a = [0.5, 0.25]
check.paper_b = [0.25, 0.5]

[[table]]
id = "T"
title = "A table"
columns = [{ label = "mean", over = ["@all"] }, ["one", "x/one"], "whatever"]
ours = { experiment = "E1" }
[[table.row]]
ours = { arm = "{arm}" }
fields = ["label", "arm", "values", "note"]
rows = [["first", "A1", [1.0, 2.0, ""], "A note."], ["second", "A2", ["", "", 3.0]]]
[[table.row]]
label = "alone"
ours = { arm = "A3" }

[[deviation]]
fields = ["id", "text", "reason"]
rows = [["D1", "Other data.", "At hand."], ["D2", "Other seeds.", "Few."]]
"""


def test_a_grid_is_the_claims_that_it_stands_for(tmp_path: Path) -> None:
    claims = load_paper(write_paper(tmp_path, SHORT)).claims
    assert [claim.id for claim in claims] == [
        "H-big-A1",
        "H-big-A2",
        "H-small-A1",
        "H-small-A2",
        "R",
    ]
    assert [claim.kind for claim in claims] == ["headline"] * 4 + ["check"]
    assert claims[0].text == "big: one helps."
    assert claims[3].text == "small: two hurt."
    assert [claim.note for claim in claims] == ["A note.", "", "A note.", "", ""]
    assert claims[1].check.a == {"arm": "A2", "model": "big"}
    assert claims[1].check.b == {"arm": "none", "layers": 3, "model": "big"}
    assert [claim.check.expect for claim in claims[:2]] == ["greater", "less"]
    assert claims[0].check.over["paper"] == ("x/one", ("x/a", "x/b"), "x/two")
    assert claims[0].tiers == ("small",)
    assert claims[4].text == "Printed numbers, one for each of two groups."
    assert claims[4].check.measure == "R@100"
    assert claims[4].check.paper_a == {"x/a": 50, "x/b": 25}  # in points


def test_short_rows_columns_sources_and_notes(tmp_path: Path) -> None:
    paper = load_paper(write_paper(tmp_path, SHORT))
    assert {tag: (s.trust, s.of, s.url) for tag, s in paper.sources.items()} == {
        "ABS": ("primary", "paper", ""),
        "DER": ("derived", "other", "https://example.org/"),
    }
    table = paper.tables[0]
    assert [(row.label, row.values, row.note) for row in table.rows] == [
        ("first", (100.0, 200.0, None), "A note."),
        ("second", (None, None, 300.0), ""),
        ("alone", (None, None, None), ""),
    ]
    assert [row.ours for row in table.rows] == [{"arm": "A1"}, {"arm": "A2"}, {"arm": "A3"}]
    assert [column.label for column in table.columns] == ["mean", "one", "whatever"]
    assert table.columns[0].over == ("x/one", ("x/a", "x/b"), "x/two")
    assert [column.ours for column in table.columns[1:]] == [{"collection": "x/one"}, {}]
    assert [(note.id, note.reason) for note in paper.deviations] == [
        ("D1", "At hand."),
        ("D2", "Few."),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('like = "pooled"', 'like = "poled"', "1 'H-{model}-{arm}': like 'poled' names no default"),
        ('like = "pooled"', "like = 3", "like 3 names no default"),
        ('like = "pooled"', 'like = "base"', r"\[defaults\] pooled: is used by no entry"),
        ('[defaults.base]\n', '[defaults.base]\nlike = "pooled"\n', "is like itself"),
        ("[defaults.base]", "[defaults]\nother = 1\n[defaults.base]", "'other': must be a table"),
        ('"x/two"]', '"x/two"]\nmore = ["x/c"]', r"\[sets\] more: is used by no entry"),
        ('"x/two"]', '"@two"]', "'@two' names no set; add it to"),
        ('forums = ["x/a", "x/b"]', 'forums = ["x/a", "@all"]', "holds itself"),
        ('forums = ["x/a", "x/b"]', "forums = 5", r"\[sets\] 'forums': must be a list"),
        ('forums = ["x/a", "x/b"]', f"forums = {['x'] * 10001}", "more than 10000 members"),
        ('"says", "note"]\n', '"says", "nota"]\n', "field 'nota' is no key and stands in br"),
        ('"says", "note"]\n', '"says", "says"]\n', "fields names a field twice"),
        ('across_fields = ["model"]', 'across_fields = ["arm"]', "name one field twice"),
        ('across_fields = ["model"]', 'across_fields = []', "across_fields must name the columns"),
        ('across = [["big"], ["small"]]', "across = []", "across must hold at least one row"),
        ('across = [["big"], ["small"]]', "", "across must hold at least one row"),
        ('["small"]]', '["big"]]', "its rows make the id 'H-big-A1' twice"),
        ('id = "H-{model}-{arm}"', 'id = "H-{arm}"', "its rows make the id 'H-A1' twice"),
        ('id = "H-{model}-{arm}"', 'id = "H-{model}-{ar}"', "{ar} is the name of no field"),
        ('["A2", 3, "less", "two hurt"]', '["A2", 3, "less"]', "row 'A2' has no says"),
        ('["A2", 3, "less", "two hurt"]', "[]", "row 2 of rows must have 1 to 5 values.*found 0"),
        ('["A2", 3, "less", "two hurt"]', '"A2"', "row 2 of rows must have 1 to 5.*found no list"),
        ('"two hurt"]', '"two hurt", "a", "b"]', "row 2 of rows must have 1 to 5 values.*found 6"),
        ("[0.5, 0.25]", "[0.5]", "2 'R': paper_a must have a number for each group of `over`"),
        ("[1.0, 2.0, \"\"]", "[1.0, 2.0]", "'first': key 'values' must have 3 entries"),
        ('["one", "x/one"]', '["one", 1, 2]', "'columns' must be a list of tables"),
        ('["DER", "derived", ', '["ABS", "derived", ', r"\[sources\]: its rows name a tag twice"),
        ('kind = "headline"', 'kind = "check"', "'kind' must be one of headline; found 'check'"),
        ('source = "ABS"', 'source = "DER"', "'kind' is for claims whose source"),
        ('"less", "two hurt"', '"fewer", "two hurt"', "'H-big-A2': .*'expect' must be one of"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SHORT
    folder = write_paper(tmp_path, SHORT.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as error:
        load_paper(folder)
    assert str(error.value).startswith(str(folder / "claims.toml"))
    assert "\n" not in str(error.value)


def test_an_empty_value_leaves_out_the_key_that_it_alone_fills(tmp_path: Path) -> None:
    text = SHORT.replace('["A2", 3, "less"', '["A2", "", "less"')
    claims = load_paper(write_paper(tmp_path, text)).claims
    assert claims[0].check.b == {"arm": "none", "layers": 2, "model": "big"}
    assert claims[1].check.b == {"arm": "none", "model": "big"}


def test_headline_claims_stand_first(tmp_path: Path) -> None:
    head, first, rest = SHORT.partition('[[claim]]\nid = "H')
    grid, second, rest = (first + rest).partition("[[claim]]\nlike")
    single, third, rest = (second + rest).partition("[[table]]")
    text = head + single + grid + third + rest
    with pytest.raises(InputError, match="H-big-A1: a headline claim after R, which is none"):
        load_paper(write_paper(tmp_path, text))


def test_sets_of_sets_do_not_grow_without_bound(tmp_path: Path) -> None:
    sets = ['s0 = ["a"]'] + [f's{n} = ["@s{n - 1}", "@s{n - 1}"]' for n in range(1, 40)]
    text = SHORT.replace("[sets]", "[sets]\n" + "\n".join(sets)).replace(
        '"@forums"], "x/two"', '"@s39"]'
    )
    with pytest.raises(InputError, match="more than 10000 members"):
        load_paper(write_paper(tmp_path, text))
