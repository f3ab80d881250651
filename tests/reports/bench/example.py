"""Made-up records and runs of a bench, whose numbers can be checked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ir_replications.reports.bench.findings import Entry, Texts
from ir_replications.reports.records.record import Record

QIDS = tuple(f"q{i:02d}" for i in range(40))


def entry(
    name: str,
    values: Sequence[float] | None,
    ms: float,
    *,
    run: Mapping[str, Sequence[str]] | None = None,
    error: str | None = None,
    collection: str = "own",
) -> Entry:
    """A system with nDCG@10 per query (None: no judgements) and its documents per query."""
    per_query = {} if values is None or error else {"nDCG@10": dict(zip(QIDS, values, strict=True))}
    means = {m: sum(v.values()) / len(v) for m, v in per_query.items()}
    facts = {"split": "test", "documents": 5000, "queries": len(QIDS), "query_ms": ms,
             "index_s": 1.5, "memory_mib": 300.0}  # fmt: skip
    record = Record.create(
        paper="bench", experiment="lexical", tier="small", label=f"{collection} {name}",
        config={"collection": collection, "system": name}, error=error, means=means,
        per_query=per_query, facts={} if error else facts, provenance={},
    )  # fmt: skip
    found = {qid: list(run.get(qid, ())) if run else ["d1", "d2"] for qid in QIDS}
    ranked = {
        qid: [(docid, float(-rank)) for rank, docid in enumerate(docids)]
        for qid, docids in found.items()
    }
    return Entry(name, f"words of {name}", record, {} if error else ranked)


TEXTS = Texts({qid: f"text of {qid}" for qid in QIDS}, {"d1": "first document"}, {"q00": {"d1": 1}})
BASE = [0.5, 0.4] * 20
BETTER = [value + (0.2 if i % 4 else 0.1) for i, value in enumerate(BASE)]
NOISY = [value + (0.31 if i % 2 else -0.3) for i, value in enumerate(BASE)]
WORSE = [value - (0.2 if i % 4 else 0.1) for i, value in enumerate(BASE)]
