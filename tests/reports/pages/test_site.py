"""The folder of pages: same bytes, stale pages, foreign files, undrawn papers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ir_replications.reports.pages.export import FORMATS
from ir_replications.reports.pages.render import MANIFEST, render_site
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import CLAIMS, record, records, write_paper
from tests.reports.pages.page_reader import tree


def test_same_records_give_the_same_bytes(tmp_path: Path, papers: Path) -> None:
    render_site(papers, records(), tmp_path / "a")
    render_site(papers, list(reversed(records())), tmp_path / "b")
    first = tree(tmp_path / "a")
    assert first == tree(tmp_path / "b")
    render_site(papers, records(), tmp_path / "a")
    assert first == tree(tmp_path / "a")


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
