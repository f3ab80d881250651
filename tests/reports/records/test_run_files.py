"""Exactly which published cells keep their run file: the rule that docs/records.md states."""

from __future__ import annotations

from pathlib import Path

from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store

PUBLISHED = Path(__file__).resolve().parents[3] / "reports" / "results"


def keeps_run(record: Record) -> bool:
    """Whether the cell is one of those that keep their results."""
    config = record.config
    match record.paper, record.experiment:
        case "bmx", "E2":
            way, k1 = (config["analyzer"], config["title"]), config.get("k1")
            # The paper's comparison: BMX and the BM25 that it is held against.
            compared = config.get("form") == "reference" or (config.get("method"), k1) == (
                "lucene",
                1.2,
            )
            # What the authors printed of BEIR: both libraries' rows of BM25.
            printed = config["collection"].startswith("beir/") and k1 == 1.2
            return {
                ("baguetter", "newline"): compared or printed,
                ("bm25s", "space"): printed,
            }.get(way, False)
        case "bmx", "E9":  # dense retrieval, which takes an hour of a processor
            return True
        case "bert_distill_losses", "E2":  # what every student and teacher reranks
            return config["system"] == "bm25"
        case "prorank", "E3" | "E6":
            return True
        case "prorank", "E4":  # no run of the rewards of stage 1
            return config["study"] != "rewards"
    return False


def test_these_cells_and_no_others_keep_a_run_file() -> None:
    store = Store(PUBLISHED)
    records = store.records()
    assert [r.label for r in records if (r.run is not None) != keeps_run(r)] == []
    assert sum(map(keeps_run, records)) == len(list(PUBLISHED.rglob("*.run.gz"))) > 0
    for record in records:
        store.check_run(record)
