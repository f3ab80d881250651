"""The page of a bench: escaped, self-contained, light, with a figure that names every system."""

from __future__ import annotations

import re
from itertools import combinations

from ir_replications.reports.bench.findings import Entry, Texts, find
from ir_replications.reports.bench.page import bench_page
from ir_replications.reports.bench.tradeoff import HEIGHT, LETTER, LINE, WIDTH, tradeoff
from ir_replications.reports.pages.formatting import MINUS
from tests.reports.bench.example import BASE, BETTER, QIDS, TEXTS, WORSE, entry

ATTACK = "<script>alert(1)</script>"


def page(*entries: Entry, texts: Texts = TEXTS) -> str:
    return bench_page(find(entries, texts, preset="quick", command=f"replicate bench {ATTACK}"))


def test_nothing_of_the_users_acts_on_the_page() -> None:
    run = {qid: [f"{ATTACK}{qid}", "d2"] for qid in QIDS}
    texts = Texts(dict.fromkeys(QIDS, ATTACK), {"d2": f"\x1b[31m{ATTACK}"}, {})
    html = page(
        entry("bm25", BASE, 1.0, run=run),
        entry("other", BETTER, 2.0, run=run),
        entry("broken", BASE, 1.0, error=ATTACK),
        texts=texts,
    )
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "\x1b" not in html


def test_it_loads_nothing_and_is_light() -> None:
    html = page(entry("bm25", BASE, 1.0), entry("other", BETTER, 2.0), entry("w", WORSE, 3.0))
    assert not re.findall(r"""(?:src|href)="(?!#|systems\.csv|per-query\.csv|bench\.json)""", html)
    assert "url(" not in html and "@import" not in html
    assert len(html.encode()) < 100_000
    assert "prefers-color-scheme: dark" in html


def test_the_table_marks_what_is_told_from_the_baseline() -> None:
    html = page(entry("bm25", BASE, 1.0), entry("up", BETTER, 2.0), entry("down", WORSE, 3.0))
    assert '<span class="better">+17.5</span>' in html
    assert f'<span class="worse">{MINUS}17.5</span>' in html


def test_without_judgements_there_is_no_measure_and_no_figure() -> None:
    html = page(entry("bm25", None, 1.0), entry("other", None, 2.0))
    assert "nDCG" not in html and "<svg" not in html
    assert "overlap@10" in html and "not judged" in html


def test_labels_lie_within_the_figure_and_not_on_each_other() -> None:
    names = [f"system-number-{i}" for i in range(12)]
    same = [entry(name, [v + i / 1e5 for v in BASE], 1.0 + i / 100) for i, name in enumerate(names)]
    rows = find(same, TEXTS, preset="quick", command="").rows
    svg = str(tradeoff(rows))
    found = re.findall(r'class="name" x="([\d.]+)" y="([\d.]+)"( text-anchor="end")?>([^<]+)<', svg)
    assert sorted(name for *_, name in found) == sorted(names)
    boxes = []
    for x, y, left, name in found:
        width = LETTER * len(name)
        boxes.append((float(x) - width if left else float(x), float(y), width))
    assert all(x >= 0 and x + width <= WIDTH and 0 < y < HEIGHT for x, y, width in boxes)
    for (x, y, width), (other_x, other_y, other) in combinations(boxes, 2):
        assert x + width < other_x or other_x + other < x or abs(y - other_y) >= LINE
