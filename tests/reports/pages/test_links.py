"""Links, downloads and escapes: nothing from elsewhere, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from ir_replications.reports.pages.record_views import MOST
from ir_replications.reports.pages.render import render_site
from ir_replications.reports.records.store import Store
from tests.reports.example import record, records, write_paper
from tests.reports.pages.page_reader import LOADING, Page, html_files


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


def test_what_acts_in_a_terminal_is_visible_on_the_page(tmp_path: Path, papers: Path) -> None:
    bad = "\x1b]0;x\x07\x00 \u202egnp"
    made = record("x", "c", 0.5, label=bad, facts={bad: bad}, provenance={"command": bad})
    render_site(papers, [made], tmp_path / "out")
    page = (tmp_path / "out" / "records" / "toy" / "small-E1.html").read_text()
    assert page.count(r"\x1b]0;x\x07\x00 \u202egnp") >= 4
    assert not set(page) & {"\x1b", "\x07", "\x00", "\u202e"}


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
