"""Accessibility: axe-core, in headless Chromium, finds nothing serious on any kind of page.

Every page is looked at as a desktop and as a phone shows it, with all details open, in light and in
dark colours. The pages are served to the browser by this process; nothing else is reached.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ir_replications.reports.bench.findings import find
from ir_replications.reports.bench.page import bench_page
from ir_replications.reports.pages.render import render_site
from tests.reports.bench.example import BASE, BETTER, QIDS, TEXTS, WORSE, entry
from tests.reports.example import FIGURES, records, write_paper

pytest.importorskip("axe_core_python")  # it carries axe.min.js

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ROOT = Path(__file__).resolve().parents[3]
WIDTHS = (1200, 390)
SCHEMES = {"light": "preferredColorScheme=1", "dark": "preferredColorScheme=0"}
MOST_NODES, MOST_BYTES = 8_000, 600_000  # of a page
WRAPPER = """<!DOCTYPE html><html lang="en"><title>audit</title><body><script>
async function look(page, width) {
  const frame = document.createElement("iframe");
  frame.style.width = `${width}px`;
  frame.style.height = "900px";
  frame.src = page;
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
  document.body.append(frame);
  await loaded;
  const inside = frame.contentDocument;
  const nodes = inside.querySelectorAll("*").length;
  for (const each of inside.querySelectorAll("details")) each.open = true;
  const wide = inside.documentElement.scrollWidth;
  const script = inside.createElement("script");
  script.src = "/axe.js";
  const ready = new Promise((resolve) => script.addEventListener("load", resolve));
  inside.body.append(script);
  await ready;
  const found = await frame.contentWindow.axe.run(inside, { resultTypes: ["violations"] });
  const dark = frame.contentWindow.matchMedia("(prefers-color-scheme: dark)").matches;
  frame.remove();
  const wrong = found.violations.filter((each) => ["serious", "critical"].includes(each.impact));
  return { page, width, nodes, wide, dark,
    wrong: wrong.map((each) => [each.id, each.nodes.length, each.nodes[0].html.slice(0, 200)]) };
}
(async () => {
  const results = [];
  for (const page of PAGES) for (const width of WIDTHS) results.push(await look(page, width));
  const out = document.createElement("pre");
  out.id = "results";
  out.textContent = JSON.stringify(results);
  document.body.replaceChildren(out);
})();
</script></body></html>"""


class _Handler(SimpleHTTPRequestHandler):
    """Serves the pages, and beside them the wrapper and axe."""

    own: ClassVar[dict[str, bytes]]

    def do_GET(self) -> None:
        if self.path not in self.own:
            super().do_GET()
            return
        self.send_response(200)
        kind = "text/html" if self.path.endswith("html") else "text/javascript"
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.own[self.path])

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is its failures."""


@contextmanager
def served(site: Path, pages: list[str]) -> Iterator[str]:
    wrapper = WRAPPER.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS))
    axe = (files("axe_core_python") / "axe.min.js").read_bytes()

    class Handler(_Handler):
        own: ClassVar = {"/audit.html": wrapper.encode(), "/axe.js": axe}

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/audit.html"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audited(site: Path, pages: list[str], scheme: str, profile: Path) -> list[dict[str, Any]]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)}")
    with served(site, pages) as address:
        done = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu",
             f"--user-data-dir={profile}", f"--blink-settings={SCHEMES[scheme]}",
             "--window-size=1280,900", "--virtual-time-budget=600000", "--dump-dom", address],
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    found = re.search(r'<pre id="results">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    results: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    assert len(results) == len(pages) * len(WIDTHS)
    assert {result["dark"] for result in results} == {scheme == "dark"}
    return results


def _hold(results: list[dict[str, Any]]) -> None:
    assert [(r["page"], r["width"], r["wrong"]) for r in results if r["wrong"]] == []
    # What is wider than the window scrolls in a box of its own, never the page.
    assert [(r["page"], r["width"], r["wide"]) for r in results if r["wide"] > r["width"]] == []
    assert [(r["page"], r["nodes"]) for r in results if r["nodes"] > MOST_NODES] == []


def _write_bench(path: Path) -> None:
    """A bench page with a better, a worse and a failed system, and both rankings of a query."""
    run = {qid: ["d1", "d2"] for qid in QIDS}
    entries = [
        entry("bm25", BASE, 1.0, run=run),
        entry("better", BETTER, 2.0, run=run),
        entry("worse", WORSE, 3.0, run=run),
        entry("broken", BASE, 1.0, error="no model"),
    ]
    path.parent.mkdir(parents=True)
    found = find(entries, TEXTS, preset="quick", command="replicate bench toy")
    path.write_text(bench_page(found), encoding="utf-8")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_kind_of_page_is_accessible(tmp_path: Path, scheme: str) -> None:
    folder = write_paper(tmp_path / "papers")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "figures.py").write_text(FIGURES)
    site = tmp_path / "html"
    render_site(folder.parent, records(), site)
    _write_bench(site / "bench" / "toy" / "bench.html")
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    kinds = {"index.html", "toy.html", "records/toy/figures.html", "bench/toy/bench.html"}
    assert kinds < set(pages)
    _hold(audited(site, pages, scheme, tmp_path / "profile"))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_committed_pages_are_accessible(tmp_path: Path, scheme: str) -> None:
    site = ROOT / "reports" / "html"
    below = sorted(site.glob("records/*/*.html"), key=lambda path: -path.stat().st_size)
    largest = [next(p for p in below if ("queries" in p.name) is each) for each in (False, True)]
    own = (*site.glob("*.html"), *site.glob("bench/*/bench.html"), *largest)
    pages = [path.relative_to(site).as_posix() for path in own]
    _hold(audited(site, pages, scheme, tmp_path / "profile"))


def test_no_committed_page_is_heavy() -> None:
    pages = list((ROOT / "reports" / "html").rglob("*.html"))
    assert pages
    assert [path.name for path in pages if path.stat().st_size > MOST_BYTES] == []
