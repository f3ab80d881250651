"""The committed pages are what the committed records give."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from ir_replications.reports.attestation.machines import read_machines
from ir_replications.reports.pages.code_views import CODE
from ir_replications.reports.pages.machine_views import verified
from ir_replications.reports.pages.render import MANIFEST, benches_in, render_site
from ir_replications.reports.records.store import Store
from tests.reports.example import write_paper


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
