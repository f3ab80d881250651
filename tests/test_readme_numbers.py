"""Every interval in a README or in docs/ is that of a comparison of the committed records."""

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
from ir_replications.reports.records.record import TIERS, Record
from ir_replications.reports.records.store import Store

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "replications/*/README.md")
    for path in ROOT.glob(pattern)
)
NUMBER = r"[+-]?\d*\.\d+"
# An interval, and the estimate where it stands just before.
STATED = re.compile(
    rf"(?:({NUMBER})(?:\s+points)?(?:\s+of\s+nDCG@10)?\s+)?\[({NUMBER}),\s+({NUMBER})\]"
)

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
# Comparisons that a text makes and no claim does: paper, collections, the two systems.
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
def published() -> list[Record]:
    """Every committed record."""
    return Store(ROOT / "reports" / "results").records()


@cache
def effects() -> list[Effect]:
    """Every comparison that a claim makes, and those of OTHERS."""
    found = []
    for paper in load_papers(ROOT / "replications")[0]:
        for tier in TIERS:
            judged = judge(paper, published(), tier).findings
            found += [finding.effect for finding in judged if finding.effect is not None]
    small = [record for record in published() if record.tier == "small"]
    for paper_id, names, a, b in OTHERS:
        own = [record for record in small if record.paper == paper_id]
        pairs = {
            name: (sample(own, a | {"collection": name}), sample(own, b | {"collection": name}))
            for name in names
        }
        assert all(side.good for pair in pairs.values() for side in pair), (paper_id, a, b)
        found.append(macro(pairs, "nDCG@10"))
    return found


@cache
def spans() -> list[tuple[float, float, float]]:
    """Estimate and ends of every comparison, and of the gains in BMX's print (E8, in points)."""
    gains = [r.facts["gain"] for r in published() if (r.paper, r.experiment) == ("bmx", "E8")]
    return [(effect.difference, effect.low, effect.high) for effect in effects()] + [
        (gain["estimate"], gain["low"], gain["high"]) for gain in gains
    ]


def printed(low: str, high: str, estimate: str | None = None) -> bool:
    """Whether some comparison has these numbers, in its own scale or in points, either way round.

    Half a printed digit, and a little for the resampling behind an interval's ends.
    """
    wanted = [text for text in (estimate, low, high) if text is not None]
    return any(
        all(
            abs(float(text) - sign * scale * value) <= 0.6 * 10 ** -_decimals(text)
            for text, value in zip(wanted, values[-len(wanted) :], strict=True)
        )
        for middle, low_end, high_end in spans()
        for sign, values in ((1, (middle, low_end, high_end)), (-1, (middle, high_end, low_end)))
        for scale in (1, 100)
    )


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])


@pytest.mark.parametrize("page", TEXTS)
def test_every_interval_is_of_a_comparison(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    wrong = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for match in STATED.finditer(text)
        if not printed(match[2], match[3], match[1])
    ]
    assert wrong == []


def test_a_wrong_number_would_be_seen() -> None:
    assert printed("-2.3", "-0.4", "-1.3") and printed("0.4", "2.3"), "C-1-A9, in points"
    assert not printed("-2.4", "-0.4") and not printed("0.6", "2.3")
    assert not printed("-2.3", "-0.4", "1.3") and not printed("-2.3", "-0.4", "-1.4")
    assert STATED.search("It is 1.3 points of nDCG@10\n  [0.4, 2.3] lower.")[1] == "1.3"  # type: ignore[index]


def test_the_counts_of_records_are_those_stated() -> None:
    records = published()
    retrieved = sum(bool(record.per_query) for record in records)
    kept = sum(record.run is not None for record in records)
    text = " ".join((ROOT / "docs/records.md").read_text("utf-8").split())
    said = f"({retrieved:,} of {len(records):,} records; {kept} keep their run file too)"
    assert said in text
