"""Pages: same bytes, all escaped, nothing from elsewhere, no number that was not measured."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path

import pytest

from ir_replications.reports.attestation.machines import read_machines
from ir_replications.reports.claims.judge import cell_counts, judge
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.pages.code_views import CODE
from ir_replications.reports.pages.export import FORMATS
from ir_replications.reports.pages.formatting import MINUS, interval, number, p_value, signed
from ir_replications.reports.pages.machine_views import verified
from ir_replications.reports.pages.query_views import query_pages
from ir_replications.reports.pages.record_views import MOST
from ir_replications.reports.pages.render import MANIFEST, benches_in, render_site
from ir_replications.reports.pages.views import tier_view
from ir_replications.reports.records.record import TIERS, Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import CLAIMS, record, records, write_paper

LOADING = {"img", "iframe", "object", "embed", "audio", "video", "source", "base"}
VOID = {"meta", "br", "hr", "col", "wbr", "input", "link", *LOADING}

FIGURES = (
    "from ir_replications.reports.pages.drawings import bars, forest\n"
    "from ir_replications.reports.pages.plots import Figure, lines\n"
    "def figures(records):\n"
    "    rows = [('<script>x</script> $1_a$', .1, .05, .2), ('b', -.1, -.2, .1)]\n"
    "    return [Figure('one', 'A <b>figure</b>', 'c', forest(rows), 'alt \"<i>\"',\n"
    "                   [['system', 'mean'], ['<script>y</script>', .1]]),\n"
    "            Figure('two', 'B', 'c', bars(['x'], {'a': [1.0]}), 'bars'),\n"
    "            Figure('three', 'C', 'c', lines({'a': [(0, 1), (1, 2)]}), 'a \"line\"')]\n"
)


class Page(HTMLParser):
    """Tags, ids, links and text of a page; checks that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "data"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += f"{data} "


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = write_paper(tmp_path / "papers")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "figures.py").write_text(FIGURES)
    return tmp_path / "papers"


def words(tmp_path: Path, page: str = "toy.html") -> str:
    """The text of a page, blanks collapsed, with plain hyphens for minus signs."""
    text = Page((tmp_path / "out" / page).read_text()).text
    return re.sub(r"\s+", " ", text).replace(MINUS, "-")


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_records_give_the_same_bytes(tmp_path: Path, papers: Path) -> None:
    render_site(papers, records(), tmp_path / "a")
    render_site(papers, list(reversed(records())), tmp_path / "b")
    first = tree(tmp_path / "a")
    assert first == tree(tmp_path / "b")
    render_site(papers, records(), tmp_path / "a")
    assert first == tree(tmp_path / "a")


def html_files(out: Path) -> list[Path]:
    return sorted(out.rglob("*.html"))


def test_pages_load_nothing_from_elsewhere(tmp_path: Path, papers: Path) -> None:
    """The papers' pages hold all they need; those of records share a style and a script."""
    out = tmp_path / "out"
    render_site(papers, records(), out)
    assert len(html_files(out)) > 6
    for path in html_files(out):
        text = path.read_text()
        page = Page(text)
        assert not page.open
        assert not page.tags & LOADING
        assert not page.handlers
        assert "@import" not in text and "url(http" not in text and "@font-face" not in text
        sources = re.findall(r'<(?:script|link)\b[^>]*\b(?:src|href)="([^"]+)"', text)
        assert not re.search(r'\b(?:srcset|poster)\s*=\s*"', text)
        assert sources == ([] if path.parent == out else ["../pages.css", "../pages.js"])
        assert all((path.parent / source).is_file() for source in sources)


def test_pages_can_be_read_without_script(tmp_path: Path, papers: Path) -> None:
    """What script adds is not in the text; every number stands there without it."""
    out = tmp_path / "out"
    render_site(papers, records(), out)
    for path in html_files(out):
        text = path.read_text()
        main = text.split('<main id="main">')[1].split("</main>")[0]
        assert "<script" not in main and len(Page(main).text.split()) > 20
        assert re.findall(r"<(\w+)[^>]* hidden\b", main) in ([], ["section"])  # to compare systems
        assert text.count('class="skip" href="#main"') == 1


def test_every_link_leads_somewhere(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out"
    render_site(papers, records(), out)
    pages = {path.resolve(): Page(path.read_text()) for path in html_files(out)}
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), "an id occurs twice"
        for link in page.links:
            if link.startswith("https://"):
                continue
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file() and target.is_relative_to(out.resolve()), link
            if pair := re.fullmatch(r"(\d+)-(\d+)", place):  # two columns of values per query
                head = target.with_suffix(".csv").read_text().split("\n")[0].split(",")
                assert all(0 < int(number) < len(head) for number in pair.groups()), link
            elif place:
                assert place in pages[target].ids, link


def test_a_difference_leads_to_its_systems_query_by_query(tmp_path: Path) -> None:
    render_site(write_paper(tmp_path / "papers").parent, records(), tmp_path / "out")
    text = (tmp_path / "out" / "toy.html").read_text()
    links = re.findall(r'href="(\S+queries.html#\S+)">query by query', text)
    assert links == [  # double less bm25, by their columns
        "records/toy/embedded-E1-toydocs-queries.html#2-1",
        "records/toy/small-E1-beir-alpha-queries.html#2-1",
        "records/toy/small-E1-beir-beta-queries.html#1-2",
    ]


def test_a_number_leads_to_its_record_and_back(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out"
    render_site(papers, records(), out)
    (link,) = set(re.findall(r'ours <a href="([^"]+)">50.04</a>', (out / "toy.html").read_text()))
    file, _, place = link.partition("#")
    text = (out / file).read_text()
    record = text.split(f'id="{place}"')[1].split("</section>")[0]
    flat = re.sub(r"\s+", " ", Page(f"<div>{record[1:]}</div>").text)
    assert "0.5004" in flat and "bm25" in flat
    assert "--experiment E1 --collection beir/alpha --where system=bm25" in flat
    back = re.findall(r'href="../../toy.html#([^"]+)"', record)
    assert back == ["C2", "C3", "table-T2"]
    ids = Page((out / "toy.html").read_text()).ids
    assert set(back) <= set(ids)


def test_many_records_have_a_page_for_each_collection(tmp_path: Path) -> None:
    papers = write_paper(tmp_path / "papers").parent
    names = ("beir/alpha", "beir/beta")
    found = [record("double", name, 0.5, seed=s) for name in names for s in range(MOST // 2 + 1)]
    render_site(papers, found, tmp_path / "out")
    pages = {path.name for path in (tmp_path / "out" / "records" / "toy").glob("*.html")}
    assert pages == {
        f"small-E1-beir-{n}{q}.html" for n in ("alpha", "beta") for q in ("", "-queries")
    }
    render_site(papers, found[:MOST], tmp_path / "out")
    assert (tmp_path / "out" / "records" / "toy" / "small-E1.html").is_file()
    assert not (tmp_path / "out" / "records" / "toy" / "small-E1-beir-alpha.html").exists()


def test_what_records_share_stands_once(tmp_path: Path) -> None:
    papers = write_paper(tmp_path / "papers").parent
    render_site(papers, records(), tmp_path / "out")
    text = (tmp_path / "out" / "records" / "toy" / "small-E1.html").read_text()
    assert text.count("2026-01-02T03:04:05Z") == 1
    assert text.count('class="record"') == 4


def test_hostile_texts_appear_escaped(tmp_path: Path, papers: Path) -> None:
    bad = "</pre><script>alert(2)</script>"
    found = [
        *records(),
        record("x", "c", 0.5, label=bad, facts={bad: bad}, provenance={"command": bad, bad: bad}),
        record("y", "c", 0.5, label="y", error=f"{bad} \"quoted'"),
    ]
    out = tmp_path / "out"
    render_site(papers, found, out)
    shown = ""
    for path in html_files(out):
        text = path.read_text()
        page = Page(text)
        assert text.count("<script") == 1 and not page.open
        shown += page.text
    for text in (
        bad,
        "<script>alert('title')</script>",
        "Doubled <b>terms</b>",
        "<script>y</script>",
    ):
        assert text in shown


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


def test_what_acts_in_a_terminal_is_visible_on_the_page(tmp_path: Path, papers: Path) -> None:
    bad = "\x1b]0;x\x07\x00 \u202egnp"
    made = record("x", "c", 0.5, label=bad, facts={bad: bad}, provenance={"command": bad})
    render_site(papers, [made], tmp_path / "out")
    page = (tmp_path / "out" / "records" / "toy" / "small-E1.html").read_text()
    assert page.count(r"\x1b]0;x\x07\x00 \u202egnp") >= 4
    assert not set(page) & {"\x1b", "\x07", "\x00", "\u202e"}


def test_pages_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    """A process whose locale knows ASCII alone writes the same bytes."""
    papers = write_paper(tmp_path / "papers", CLAIMS.replace("Ada", "Æda \u2212 日本")).parent
    store, root = Store(tmp_path / "store"), Path(__file__).resolve().parents[3]
    store.put(record("bm25", "lauf\u2013é", 0.5, label="lauf\u2013é"), {"日本": [("é", 1.0)]})
    render_site(papers, store.records(), tmp_path / "here")
    script = (
        "import sys; from ir_replications.reports.pages.render import render_site; "
        "from ir_replications.reports.records.store import Store; "
        "assert sys.flags.utf8_mode == 0; "
        "render_site(sys.argv[1], Store(sys.argv[2]).records(), sys.argv[3])"
    )
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    names = [str(tmp_path / name) for name in ("papers", "store", "there")]
    command = [sys.executable, "-c", script, *names]
    subprocess.run(command, cwd=root, env={**os.environ, **plain}, check=True)
    here, there = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (tmp_path / "here", tmp_path / "there")
    )
    assert here == there and "lauf\u2013é".encode() in here[Path("records/toy/small-E1.html")]


def test_stale_pages_survive_a_manifest_that_is_none(tmp_path: Path, papers: Path) -> None:
    render_site(papers, records(), tmp_path / "out")
    before = (tmp_path / "out" / MANIFEST).read_bytes()
    for content in (b"[" * 100_000, b"\xff", b"[1]", b"", b'{"../x": "y", "/etc/passwd": 1}'):
        (tmp_path / "out" / MANIFEST).write_bytes(content)
        render_site(papers, records(), tmp_path / "out")
        assert (tmp_path / "out" / MANIFEST).read_bytes() == before


def test_run_file_is_linked_from_the_store_beside(tmp_path: Path, papers: Path) -> None:
    store = Store(tmp_path / "results")
    store.put(records()[0], run={"q0": [("d1", 1.0)]})
    render_site(papers, store.records(), tmp_path / "html")
    place = "records/toy/small-E1.html"
    page = Page((tmp_path / "html" / place).read_text())
    (link,) = [link for link in page.links if link.endswith(".run.gz")]
    assert ((tmp_path / "html" / place).parent / link).resolve().is_file()
    render_site(papers, store.records(), tmp_path / "far" / "away")
    assert ".run.gz" in (tmp_path / "far" / "away" / place).read_text()


def test_stale_pages_go_unless_somebody_edited_them(tmp_path: Path) -> None:
    papers, out = tmp_path / "papers", tmp_path / "out"
    for name in ("gone", "edited", "kept"):
        write_paper(papers, name=name)
    render_site(papers, [], out)
    (out / "own.html").write_text("mine")
    (out / "edited.html").write_text("changed by hand")
    for name in ("gone", "edited"):
        (papers / name / "claims.toml").unlink()
    render_site(papers, [], out)
    assert {path.name for path in out.glob("*.html")} == {
        "index.html", "kept.html", "own.html", "edited.html",
    }  # fmt: skip


def test_manifest_cannot_reach_outside(tmp_path: Path, papers: Path) -> None:
    out = tmp_path / "out"
    render_site(papers, [], out)
    victim = tmp_path / "victim.txt"
    victim.write_text("x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of "x"
    (out / MANIFEST).write_text(json.dumps({"../victim.txt": digest, str(victim): digest}))
    render_site(papers, [], out)
    assert victim.is_file()


def test_unwritable_folder_is_one_line(tmp_path: Path, papers: Path) -> None:
    target = tmp_path / "file"
    target.write_text("x")
    for out in (target, target / "below"):
        with pytest.raises(InputError) as error:
            render_site(papers, [], out)
        assert str(target) in str(error.value) and "\n" not in str(error.value)


def test_figure_without_words_is_refused(tmp_path: Path, papers: Path) -> None:
    path = papers / "toy" / "experiments" / "figures.py"
    path.write_text(path.read_text().replace("'bars')", "' ')"))
    with pytest.raises(InputError, match="'two' has no alt text"):
        render_site(papers, records(), tmp_path / "out")


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


def test_records_that_a_figure_cannot_read_are_one_line(papers: Path, tmp_path: Path) -> None:
    (papers / "toy" / "experiments" / "figures.py").write_text(
        "def figures(records):\n    return records[0].facts['gone']\n"
    )
    with pytest.raises(InputError, match=r"figures.py: cannot draw these records \(KeyError"):
        render_site(papers, records(), tmp_path / "out")
    assert not (tmp_path / "out" / "toy.html").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_papers_that_cannot_be_drawn_keep_their_pages_and_the_others_are_drawn(
    tmp_path: Path, papers: Path, processes: int
) -> None:
    out = tmp_path / "out"
    for name in ("a", "b"):
        write_paper(papers, name=name)
    render_site(papers, records(), out)
    before = tree(out)
    (papers / "a" / "claims.toml").write_text("[paper\n")
    (papers / "toy" / "experiments" / "figures.py").write_text("import nothing_of_that_name\n")
    (papers / "b" / "claims.toml").write_text(CLAIMS.replace("toy system", "new system"))
    with pytest.raises(InputError) as error:
        render_site(papers, records(), out, processes=processes)
    line = str(error.value)
    assert line.startswith(f"{out / 'index.html'}: written without a ({papers / 'a'}")
    assert "; toy (" in line and "\n" not in line
    after = tree(out)
    assert set(after) == set(before)
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in changed if not name.startswith(("records/b/", "tables/b/"))} <= {
        "b.html", "index.html", "pages.json", *(f"tables/index.{s}" for s in FORMATS),
    }  # fmt: skip
    assert 'href="b.html"' in after["index.html"].decode()
    assert 'href="a.html"' not in after["index.html"].decode()
    render_site(write_paper(tmp_path / "other", name="b").parent, [], out)
    assert not (out / "a.html").exists() and not (out / "toy.html").exists(), "known as ours still"


def _committed(path: str, root: Path) -> bytes:
    """A file of the last commit: `replicate report` may have drawn local records over it."""
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=root, capture_output=True)
    if done.returncode:
        pytest.skip("not in a git checkout")
    return done.stdout


def test_the_index_links_the_bench_pages_beside_it(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / "html" / "bench" / name).mkdir(parents=True)
        (tmp_path / "html" / "bench" / name / "bench.html").touch()
    (tmp_path / "html" / "bench" / "unfinished").mkdir()
    papers, out = write_paper(tmp_path / "papers").parent, tmp_path / "html"
    found = re.compile(r'href="(bench/[^"]+)"')
    assert found.findall(render_site(papers, [], out).read_text("utf-8")) == []
    index = render_site(papers, [], out, benches=benches_in(out)).read_text("utf-8")
    assert found.findall(index) == ["bench/a/bench.html", "bench/b/bench.html"]
    assert (out / "bench/a/bench.html").exists()


def test_committed_pages_are_what_the_committed_records_give(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    (tmp_path / "results").symlink_to(root / "reports" / "results")
    records = Store(tmp_path / "results").records()
    assert records
    out = tmp_path / "html"
    machines = verified(read_machines(root / "reports/machines"), records)
    # Pages name the code that they were rendered by; another state of it is no other page.
    said = {
        folder.parent.name: re.search(f"{CODE}([0-9a-f]{{64}})", page.decode())
        for folder in (root / "replications").glob("*/claims.toml")
        if (page := _committed(f"reports/html/{folder.parent.name}.html", root))
    }
    codes = {paper: found[1] for paper, found in said.items() if found}
    assert len(codes) == len(said)
    benches = benches_in(root / "reports" / "html")
    render_site(root / "replications", records, out, machines, codes=codes, benches=benches)
    # Another matplotlib sets the same drawing with other room for its letters.
    same_drawings = (
        f"matplotlib=={version('matplotlib')}\n" in (root / "constraints.txt").read_text()
    )
    named = json.loads(_committed(f"reports/html/{MANIFEST}", root))
    made = json.loads((out / MANIFEST).read_text("utf-8"))
    assert named.keys() == made.keys()
    for name in made:
        page = out / name
        found, expected = page.read_bytes(), _committed(f"reports/html/{name}", root)
        assert _without_drawings(found) == _without_drawings(expected), name
        assert found == expected or not same_drawings, name


def _without_drawings(page: bytes) -> tuple[bytes, list[bytes]]:
    """The page with its drawings taken out, and their texts in order."""
    drawings = re.compile(rb"<svg.*?</svg>", re.DOTALL)
    texts = [
        text for svg in drawings.findall(page) for text in re.findall(rb">([^<>]+)</text>", svg)
    ]
    return drawings.sub(b"", page), texts
