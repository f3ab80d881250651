"""What stands on a page: numbers, words and counts, and no number that was not measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.reports.claims.judge import cell_counts, judge
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages.formatting import MINUS, interval, number, p_value, signed
from ir_replications.reports.pages.render import render_site
from ir_replications.reports.pages.views import tier_view
from ir_replications.reports.records.record import TIERS, Record
from ir_replications.shared.errors import InputError
from tests.reports.example import CLAIMS, record, records, write_paper
from tests.reports.pages.page_reader import words


def test_numbers_words_and_marks_stand_on_the_page(tmp_path: Path, papers: Path) -> None:
    render_site(papers, records(), tmp_path / "out")
    flat = words(tmp_path)
    assert "published 50.0 ours 50.04 +0.04 ✓ reproduced" in flat
    assert "published 40.3 † ours 40.00 -0.30 ≈ within tolerance" in flat
    assert "no sourced value ours 47.50" in flat
    assert "-5.00 points" in flat and "[-6.75, -3.75]" in flat
    assert "effect ratio: -1.06" in flat
    assert "replicate run toy --tier paper --experiment E1 --collection beir/gamma" in flat
    assert "@misc{toy," in flat and "sha256:" in flat


def test_overview_has_a_row_per_paper_and_every_verdict_of_every_tier(tmp_path: Path) -> None:
    named = CLAIMS.replace("authors = [", 'name = "Doubling"\nauthors = [', 1)
    folder = write_paper(tmp_path / "papers", named)
    render_site(folder.parent, records(), tmp_path / "out")
    text = words(tmp_path, "index.html")
    overview = text.split("All claims, tables and checks")[1].split("Verified on")[0]
    expected = "paper embedded tier small tier paper tier implementation checks that hold Doubling"
    for tier in TIERS:
        judgement = judge(load_paper(folder), records(), tier)
        total = judgement.counts()
        parts = [f"{v.symbol} {total[v]} {v.word}" for v in Verdict if total.get(v)]
        cells = cell_counts(judgement.cells)
        measured = sum(n for v, n in cells.items() if v is not Verdict.NOT_RUN)
        expected += f" {' '.join(parts) or 'no claim at this tier'}"
        expected += f" printed cells: {measured} of {sum(cells.values())}" if cells else ""
    assert expected.replace(MINUS, "-") + " none" in overview


def test_the_index_has_a_line_per_headline_claim(tmp_path: Path) -> None:
    chosen = CLAIMS + '\n[index]\nC2 = "no model"\nC1 = "no model"\n'
    render_site(write_paper(tmp_path / "papers", chosen).parent, records(), tmp_path / "out")
    table = words(tmp_path, "index.html").split("measured on")[1].split("This table as")[0]
    assert "Doubling beats BM25 on every collection. ✓ 1 reproduced ▼ 1 differs (lower)" in table
    assert "-5.00 to +9.96 points no model, beir/alpha, beir/beta, 80 queries, small tier" in table
    assert table.index("Every normalised score is at most 1.") > table.index("Doubling beats")
    assert "largest score: 2.29 no model, embedded tier" in table
    wrong = CLAIMS + '\n[index]\nC9 = "x"\n'
    with pytest.raises(InputError, match=r"\[index\] 'C9': no claim has this id"):
        load_paper(write_paper(tmp_path / "wrong", wrong))


def test_checks_are_counted_apart_and_come_last(tmp_path: Path) -> None:
    release = CLAIMS.replace('of = "paper"', 'of = "release"')
    render_site(write_paper(tmp_path / "papers", release).parent, records(), tmp_path / "out")
    text = words(tmp_path, "index.html")
    assert "no claim at this tier" in text and "1 of 2" in text.split("that hold")[1]
    page = (tmp_path / "out" / "toy.html").read_text()
    assert page.index('id="cite"') < page.index('id="checks"') < page.index('id="C1"')
    assert '<details class="claims"><summary>All 3 checks</summary>' in page


def test_what_is_not_the_papers_is_counted_apart(tmp_path: Path) -> None:
    """Statements of released code are no claims of the paper, nor are cells of others its cells."""
    release = CLAIMS.replace('of = "paper"', 'of = "release"')
    for text, claims, cells in ((CLAIMS, "claims", "cells"), (release, "released", "other_cells")):
        paper = load_paper(write_paper(tmp_path, text))
        shown = tier_view(paper, judge(paper, records(), "small"), records())
        filled = {name for name in ("claims", "released", "checks") if getattr(shown, name)}
        assert filled == {claims}
        assert {n for n in ("cells", "other_cells") if getattr(shown, n)} == {cells}
        assert shown.printed == {"claims": "5 of 5", "released": ""}[claims]


def test_our_own_expectations_are_not_called_the_papers(tmp_path: Path) -> None:
    """Replication verdicts and checks against our own numbers are counted and named apart."""
    theirs = write_paper(tmp_path / "papers").parent
    render_site(theirs, records(), tmp_path / "out")
    flat = words(tmp_path)
    assert "published 50 " in flat and "expected 50 " not in flat
    ours = CLAIMS.replace('trust = "primary"', 'trust = "ours"')
    render_site(write_paper(tmp_path / "own", ours).parent, records(), tmp_path / "out")
    flat = words(tmp_path)
    assert "expected 50 " in flat and "published 50 " not in flat
    assert "expected 50.0 ours 50.04" in flat and "published 40.3 † ours 40.00" in flat


def test_cell_that_was_not_run_shows_no_number_of_ours(tmp_path: Path) -> None:
    papers = write_paper(tmp_path / "papers").parent
    render_site(papers, [], tmp_path / "out")
    flat = words(tmp_path)
    assert "published 33.3 ○ not run" in flat
    assert "ours" not in flat.split("see its source below.")[1].split("Deviations")[0]
    assert "No record yet" in flat


OWN_TABLE = """
[[table]]
id = "T9"
title = "Ours alone"
tiers = ["small"]
columns = [{ label = "alpha", ours = { collection = "beir/alpha" } }]
[[table.row]]
label = "measured"
ours = { experiment = "E1", system = "bm25" }
[[table.row]]
label = "still to come"
ours = { experiment = "E1", system = "other" }
"""


def test_rows_without_a_number_of_anybody_are_listed_below_their_table(tmp_path: Path) -> None:
    papers = write_paper(tmp_path / "papers", CLAIMS + OWN_TABLE).parent
    render_site(papers, records(), tmp_path / "out")
    table = words(tmp_path).split("Ours alone", 1)[1].split("Deviations")[0]
    assert "alpha measured" in table and "Not run: still to come." in table
    render_site(papers, [], tmp_path / "out")
    table = words(tmp_path).split("Ours alone", 1)[1].split("Deviations")[0]
    assert "alpha" not in table.split("Not run:")[0]
    assert "Not run: measured; still to come." in table


def test_best_tier_is_shown(tmp_path: Path) -> None:
    papers = write_paper(tmp_path / "papers").parent
    found = [*records(), record("bm25", "beir/alpha", 0.51, tier="paper")]
    render_site(papers, found, tmp_path / "out")
    flat = words(tmp_path)
    assert "published 50.0 ours 51.00 +1.00 ▲ differs (higher) paper tier" in flat


def test_seeds_show_their_spread(tmp_path: Path) -> None:
    papers = write_paper(tmp_path / "papers", CLAIMS).parent
    found = [record("double", "beir/alpha", 0.6 + 0.01 * s, seed=s) for s in range(3)]
    render_site(papers, found, tmp_path / "out")
    assert "sd 1.00, 3 seeds" in (tmp_path / "out" / "toy.html").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(-0.04, 1), "0.0"),
        (number(-1.25, 2), f"{MINUS}1.25"),
        (number(None, 2), ""),
        (number(float("inf"), 2), "∞"),
        (signed(0.04, 1), "0.0"),
        (signed(1.0, 1), "+1.0"),
        (signed(-1.0, 1), f"{MINUS}1.0"),
        (p_value(0.0), "<.001"),
        (p_value(0.0123), ".012"),
        (p_value(1.0), "1"),
        (p_value(0.9996), "1"),
        (interval(-1.0, 2.0, 1), f"[{MINUS}1.0, +2.0]"),
        (interval(float("-inf"), float("inf"), 1), "unbounded"),
    ],
)
def test_number_formats(text: str, expected: str) -> None:
    assert text == expected


def test_an_error_record_does_not_hide_others(tmp_path: Path, papers: Path) -> None:
    broken = Record.create(
        paper="toy", experiment="E1", tier="small", label="broken",
        config={"system": "bm25", "collection": "beir/alpha", "seed": 1}, error="boom",
    )  # fmt: skip
    render_site(papers, [broken], tmp_path / "out")
    flat = words(tmp_path)
    assert "published 50.0 ! error" in flat
    assert "boom" in words(tmp_path, "records/toy/small-E1.html")
