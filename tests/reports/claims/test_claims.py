"""claims.toml is read strictly: what is wrong is named with file, entry and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.reports.claims.judge import judge
from ir_replications.reports.claims.reader import load_paper, load_papers
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.shared.errors import InputError
from tests.reports.example import CLAIMS, record, write_paper


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
    papers, wrong = load_papers(tmp_path)
    assert [paper.id for paper in papers] == ["a", "b"] and not wrong


def test_a_paper_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    write_paper(tmp_path, name="b", text="[paper]\n")
    write_paper(tmp_path, name="a")
    papers, wrong = load_papers(tmp_path)
    assert [paper.id for paper in papers] == ["a"] and list(wrong) == ["b"]
    assert "'title' is missing" in str(wrong["b"])


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
        ('tiers = ["embedded"]', "tiers = []", "'tiers' must be a list out of embedded"),
        ("tolerance = 0.5", "tolerance = inf", "'tolerance' must be a number from 0"),
        ("tolerance = 0.5", "tolerance = nan", "'tolerance' must be a number from 0"),
        ("tolerance = 0.5", "tolerance = -0.5", "'tolerance' must be a number from 0.*found -0.5"),
        ("tolerance = 0.5", "tolerance = 1e300", "'tolerance' must be a number from 0"),
        ("tolerance = 0.5", "tolerance = 100", "T2 'BM25': tolerance 100 takes in any value"),
        (
            "value = 0.50",
            'value = 0.50\ntolerance = 1\nreason = "r"',
            "C3: tolerance 1 takes in any",
        ),
        ("scale = 100", "scale = 0", "'scale' must be a number from 1e-09.*found 0"),
        ("scale = 100", "scale = nan", "'scale' must be a number"),
        ("scale = 100", "scale = -100", "'scale' must be a number"),
        ("scale = 100", "scale.a.b = 1", "'scale' must be a number.*found {'a': {'b': 1}}"),
        ('label = "gamma"', 'label = "gamma", scale = 0.0', "'gamma': key 'scale' must be"),
        ("decimals = 1", "decimals = 999999999", "'decimals' must be a whole number .* at most 15"),
        ("decimals = 1", "decimals = 1.0", "'decimals' must be a whole number"),
        ("decimals = 1", "decimals = 9223372036854775808", "'decimals' must be a whole number"),
        ("year = 2021", "year = 99999", "'year' must be a whole number"),
        ("50.0, 40.3,", "nan, 40.3,", "'values' must hold numbers.*not nan"),
        ("50.0, 40.3,", "-inf, 40.3,", "'values' must hold numbers.*not -inf"),
        ("50.0, 40.3,", f"0x{'f' * 5000}, 40.3,", "not <number of 20000 bits>"),
        ("50.0, 40.3,", f"{'9' * 5000}, 40.3,", "not valid TOML .a number of too many digits"),
        ("50.0, 40.3,", f"{'[' * 100000}, 40.3,", "not valid TOML .nested too deeply"),
        ("value = 1.0", "value = inf", "'value' must be a number"),
        ("value = 1.0", "value = 1e999", "'value' must be a number"),
        ("value = 1.0", f"value = 1{'0' * 400}", "'value' must be a number.*1329 bits"),
        ('expect = "greater"', 'expect = "greater"\nsesoi = nan', "'sesoi' must be a number"),
        ('expect = "greater"', 'expect = "greater"\nsesoi = -0.01', "'sesoi' .* above 0"),
        ('expect = "greater"', 'expect = "greater"\nsesoi = 100', "C2: sesoi 100 takes in any"),
        ('expect = "greater"', 'expect = "greater"\nsesoi = 0', "'sesoi' .* above 0; found 0"),
        ('expect = "greater"', 'expect = "greater"\nseeds = -1', "'seeds' must be a whole number"),
        ('"beir/beta" = 45.0', '"beir/beta" = nan', "'paper_a' must be a finite number"),
        ('"beir/beta" = 45.0', '"beir/bata" = 45.0', "paper_b must name the same groups"),
        ('{experiment = "E2"}', "{experiment = 2}", "'select' entry 'experiment' must be a text"),
        ('{experiment = "E2"}', '{experiment = ""}', "'select' entry 'experiment' must be a text"),
        ('{experiment = "E2"}', '{label = ["a", 1]}', "'select' entry 'label' must be a text"),
        ('select = {experiment = "E2"}', "select = {}", "'select' must not be empty"),
        ('{experiment = "E2"}', "{experiment = []}", "'select' entry 'experiment' must be"),
        ('{experiment = "E2"}', "{k1 = nan}", "'select' entry 'k1' must be text, a finite number"),
        ('a = {system = "double"}', "a = {}", "'a' must not be empty"),
        ('a = {system = "double"}', 'a = {system = "bm25"}', "'a' and b stand for the same"),
        ('each = "collection"', 'each = "collection"\nover = 5', "'over' must be a list of texts"),
        ('each = "collection"', 'each = "collection"\nover = []', "'over' must be a list of texts"),
        ('each = "collection"', 'each = "collection"\nover = {}', "'over' must not be empty"),
        ('each = "collection"', 'each = "collection"\nover = [""]', "'over' must be a list of"),
        ('fact = "largest_score"', 'fact = ""', "'fact' must not be empty"),
        ('fact = "largest_score"', 'fact = "a"\nmeasure = "b"', "cannot stand beside measure"),
        ('ours = {system = "bm25"}', "ours = {}", None),
        ('title = "nDCG@10 on', r'title = "\u001b[2JnDCG@10 on', r"control character: \\x1b.2J"),
        ("expect_false = true", 'requires = ["C1"]', "requires unknown claim 'C1'"),
        ("[paper]", "a.b = 1\n[paper]\nyaer.a = 1", "'yaer' is unknown"),
        ("[paper]", "[paper]\nyear = 2020", "not valid TOML"),
        ("[paper]", "\ufeff[paper]", "a byte order mark at the start of this line"),
    ],
)
def test_errors_name_file_entry_and_key(
    tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    assert CLAIMS.count(old) >= 1
    folder = write_paper(tmp_path, CLAIMS.replace(old, new, 1))
    if message is None:  # accepted: the table's own selector says which records
        assert load_paper(folder).tables[0].rows[0].ours == {}
        return
    with pytest.raises(InputError, match=message) as error:
        load_paper(folder)
    assert str(error.value).startswith(str(folder / "claims.toml"))
    assert "\n" not in str(error.value)


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_paper(tmp_path)


def test_a_table_says_which_records_it_shows(tmp_path: Path) -> None:
    text = CLAIMS.replace('ours = {experiment = "E1", collection = "toydocs"}', "")
    text = text.replace('ours = {system = "double"}', "")
    with pytest.raises(InputError, match=r"table.. O1 'Doubled': nothing says which records"):
        load_paper(write_paper(tmp_path, text))


def requiring(links: dict[str, list[str]]) -> str:
    """A claims.toml with these claims, and what each requires."""
    claims = [
        f"""
[[claim]]
id = "{name}"
text = "t"
comparable = true
requires = {others}
[claim.check]
kind = "value"
select = {{system = "x"}}
value = 0.5
"""
        for name, others in links.items()
    ]
    return '[paper]\ntitle = "T"\n' + "".join(claims)


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"a": ["b"], "b": ["a"]}, "requires itself .(a -> b -> a|b -> a -> b)"),
        ({"a": ["b"], "b": ["c"], "c": ["d"], "d": ["b"]}, "requires itself .*->"),
        ({f"c{i}": [f"c{i + 1}"] for i in range(3000)} | {"c3000": []}, "chain of"),
    ],
)
def test_claims_that_wait_for_themselves_are_refused(
    tmp_path: Path, links: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        load_paper(write_paper(tmp_path, requiring(links)))
    assert str(error.value).startswith(f"{tmp_path / 'toy' / 'claims.toml'}: [[claim]] ")


def test_claims_that_share_requirements_are_judged_in_time(tmp_path: Path) -> None:
    """Two claims a layer, each requiring both below: 2^40 ways from the top to the ground."""
    links: dict[str, list[str]] = {"a0": [], "b0": []}
    for i in range(1, 41):
        links |= {f"{name}{i}": [f"a{i - 1}", f"b{i - 1}"] for name in "ab"}
    paper = load_paper(write_paper(tmp_path, requiring(links)))
    judged = judge(paper, [record("x", "beir/alpha", 0.5)], "small")
    assert [finding.verdict for finding in judged.findings] == [Verdict.REPRODUCED] * 82
