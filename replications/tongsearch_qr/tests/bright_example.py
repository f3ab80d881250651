"""A tiny BRIGHT data root for the tests: two subsets, with answers that can be worked by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import log2
from pathlib import Path
from typing import Any

from ir_replications.tongsearch_qr.rewriting.released_files import HUB, MAPS

# Two subsets: one with corrected judgements, one with excluded documents.
DOCUMENTS = {
    "biology": {
        "b/1": "Insects fly towards the light.",
        "b/2": "Salt water in the kidneys.",
        "b/3": "A moth circles a lamp.",
    },
    "leetcode": {
        "l/1": "two sum two sum",
        "l/2": "two sum of an array",
        "l/3": "shortest path in a graph",
    },
}
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "biology": [
        {"id": "0", "query": "Why do insects like light?", "gold_ids": ["b/3", "b/3"],
         "excluded_ids": ["N/A"]},
        {"id": "1", "query": "Is there salt in kidneys?", "gold_ids": ["b/2"],
         "excluded_ids": ["N/A"]},
    ],
    "leetcode": [
        {"id": "0", "query": "Two Sum", "gold_ids": ["l/2"], "excluded_ids": ["l/1", "l/9"]},
    ],
}  # fmt: skip
REASONED = {
    "biology": {"0": "A moth and its lamp.", "1": "Salt water: the kidneys."},
    "leetcode": {"0": "Search a graph."},
}
FIXED = {"biology": [("0", "b/1"), ("0", "b/3"), ("1", "b/2")], "leetcode": [("0", "l/2")]}
SECOND = 1 / log2(3)  # nDCG@10 of one relevant document at rank 2


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_root(root: Path) -> Path:
    """Write two BRIGHT folders: examples, documents, corrected judgements, reasoned queries."""
    for subset, documents in DOCUMENTS.items():
        folder = root / "bright" / subset
        write_lines(folder / "examples.jsonl", EXAMPLES[subset])
        rows = [{"id": docid, "content": text} for docid, text in documents.items()]
        write_lines(folder / "documents" / "part.jsonl", rows)
        for name in (*MAPS, *HUB):
            rows = [{"_id": qid, "text": text} for qid, text in REASONED[subset].items()]
            write_lines(folder / "reasoned" / f"{name}.jsonl", rows)
        (folder / "qrels").mkdir()
        fixed = "".join(f"{qid}\t{docid}\t1\n" for qid, docid in FIXED[subset])
        (folder / "qrels" / "test.fixed.tsv").write_text(f"query-id\tcorpus-id\tscore\n{fixed}")
    return root
