"""A bench's numbers as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ir_replications.reports.bench.findings import Bench, Row
from ir_replications.shared.printable import spreadsheet_text

COLUMNS = (
    "system", "what", "nDCG@10", "R@100", "difference", "low", "high", "p_holm", "detectable",
    "query_ms", "index_s", "memory_mib", "overlap@10", "rank_similarity", "pareto_front", "error",
)  # fmt: skip


def systems_csv(bench: Bench) -> str:
    """A line per system, in the order of the table; measures and differences in points."""
    return _csv([COLUMNS, *(_cells(row) for row in bench.rows)])


def per_query_csv(bench: Bench) -> str:
    """A line per query, a column per system: nDCG@10 in points."""
    names = [name for name, values in bench.per_query.items() if values]
    qids = dict.fromkeys(qid for name in names for qid in bench.per_query[name])
    rows = ([qid, *(_rounded(bench.per_query[n].get(qid)) for n in names)] for qid in qids)
    return _csv([["query-id", *names], *rows])


def bench_json(bench: Bench) -> str:
    """All that was found, but the texts and rankings, which the page alone shows."""
    kept = ("collection", "split", "documents", "queries", "judged", "preset", "command", "answer",
            "notes", "best", "machine")  # fmt: skip
    body: dict[str, Any] = {name: getattr(bench, name) for name in kept}
    body["systems"] = [dict(zip(COLUMNS, _cells(row), strict=True)) for row in bench.rows]
    for side in ("helped", "hurt"):
        body[side] = [
            {"query": q.qid, "before": _rounded(q.before), "after": _rounded(q.after)}
            for q in getattr(bench, side)
        ]
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _cells(row: Row) -> list[Any]:
    own = asdict(row)
    difference = row.difference
    ends = [difference.low, difference.high] if difference else [None, None]
    return [
        row.name, row.words, _rounded(row.ndcg), _rounded(row.recall),
        _rounded(difference.estimate if difference else None), *map(_rounded, ends),
        _rounded(row.p, 6), _rounded(row.detectable), own["query_ms"], own["index_s"],
        own["memory_mib"], _rounded(row.overlap, 4), _rounded(row.similarity, 4), row.front,
        row.error,
    ]  # fmt: skip


def _rounded(value: float | None, decimals: int = 3) -> float | None:
    """None, too, where an interval has no end."""
    return None if value is None or not math.isfinite(value) else round(value, decimals)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    """CSV whose texts no spreadsheet runs as a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([spreadsheet_text(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()
