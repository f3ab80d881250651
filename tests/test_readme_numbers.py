"""Every interval in a README is that of a comparison of the committed records."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ir_replications.reports.claims.effects import Effect, macro
from ir_replications.reports.claims.judge import judge
from ir_replications.reports.claims.reader import load_papers
from ir_replications.reports.claims.select import sample
from ir_replications.reports.records.record import TIERS
from ir_replications.reports.records.store import Store

ROOT = Path(__file__).resolve().parents[1]
READMES = ["README.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("replications/*/README.md"))]
NUMBER = r"[+-]?\d*\.\d+"
INTERVAL = re.compile(rf"\[({NUMBER}),\s+({NUMBER})\]")

SIX = (
    "beir/nfcorpus", "beir/scifact", "classic/cranfield", "classic/cacm", "classic/npl-vaswani",
    "rerank/dl19",
)  # fmt: skip
STUDENT = {"experiment": "E2", "recipe": "small", "system": "student", "init": "pre-trained"}
STAGES = {"experiment": "E3", "recipe": "small"}
PROXY = {
    "experiment": "E3", "system": "bm25", "k1": 0.9, "b": 0.4, "method": "lucene",
    "analyzer": "lucene",
}  # fmt: skip
# Comparisons that a README makes and no claim does: paper, collections, the two systems.
OTHERS: list[tuple[str, tuple[str, ...], dict[str, Any], dict[str, Any]]] = [
    (
        "prorank", (name,), STAGES | {"system": "stage 2"}, STAGES | {"system": "zero-shot"},
    ) for name in ("rerank/dl19", "beir/nfcorpus")
] + [
    ("bert_distill_losses", SIX, STUDENT | {"arm": "A4"}, STUDENT | {"arm": "A5"}),
    (
        "bert_distill_losses", SIX,
        {"experiment": "E2", "recipe": "small", "system": "teacher", "seed": 11},
        {"experiment": "E2", "recipe": "small", "system": "bi-encoder"},
    ),
    (
        "tongsearch_qr", ("derived/bright-goldanswer",),
        PROXY | {"queries": "tongsearch-qr-7b", "mode": "replace"},
        PROXY | {"queries": "original"},
    ),
]  # fmt: skip


@cache
def effects() -> list[Effect]:
    """Every comparison that a claim makes, and those of OTHERS."""
    records = Store(ROOT / "reports" / "results").records()
    found = []
    for paper in load_papers(ROOT / "replications")[0]:
        for tier in TIERS:
            judged = judge(paper, records, tier).findings
            found += [finding.effect for finding in judged if finding.effect is not None]
    small = [record for record in records if record.tier == "small"]
    for paper_id, names, a, b in OTHERS:
        own = [record for record in small if record.paper == paper_id]
        pairs = {
            name: (sample(own, a | {"collection": name}), sample(own, b | {"collection": name}))
            for name in names
        }
        assert all(side.good for pair in pairs.values() for side in pair), (paper_id, a, b)
        found.append(macro(pairs, "nDCG@10"))
    return found


def printed(low: float, high: float) -> bool:
    """Whether some comparison has this interval, in its own scale or in points, either way round.

    Half a printed digit, and a little for the resampling behind an interval's ends.
    """
    return any(
        abs(low - sign * scale * ends[0]) <= 0.06 and abs(high - sign * scale * ends[1]) <= 0.06
        for effect in effects()
        for sign, ends in ((1, (effect.low, effect.high)), (-1, (effect.high, effect.low)))
        for scale in (1, 100)
    )


@pytest.mark.parametrize("readme", READMES)
def test_every_interval_is_of_a_comparison(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    wrong = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for match in INTERVAL.finditer(text)
        if not printed(float(match[1]), float(match[2]))
    ]
    assert wrong == []


def test_a_wrong_interval_would_be_seen() -> None:
    assert printed(-2.3, -0.4) and printed(0.4, 2.3), "C-1-A9, in points"
    assert not printed(-2.5, -0.4) and not printed(0.6, 2.3)


def test_the_counts_of_records_are_those_stated() -> None:
    records = Store(ROOT / "reports" / "results").records()
    retrieved = sum(bool(record.per_query) for record in records)
    kept = sum(record.run is not None for record in records)
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    said = f"({retrieved:,} of {len(records):,} records; {kept} keep their run file too)"
    assert said in text
