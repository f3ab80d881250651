"""A BEIR folder of any size whose words follow Zipf's law, the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

VOCABULARY = 200_000
WORDS = 60  # of a document, on average
QUERIES = 50
AT_ONCE = 10_000  # documents drawn together


def write_folder(folder: Path, documents: int, seed: int = 0, words: int = WORDS) -> Path:
    """Write corpus, queries and judgements to `folder`; return it.

    Document lengths are uniform around `words`. A query is six words drawn from one document,
    which is its relevant one.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    asked = set(np.random.default_rng(seed).choice(documents, min(QUERIES, documents), False))
    draw = np.random.default_rng(seed + 1)
    queries: list[tuple[str, str]] = []
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number, tokens in enumerate(_documents(documents, seed, words)):
            text = " ".join(tokens)
            corpus.write(json.dumps({"_id": f"d{number:07}", "title": "", "text": text}) + "\n")
            if number in asked:
                queries.append((f"d{number:07}", " ".join(draw.choice(tokens, 6))))
    with (folder / "queries.jsonl").open("w") as handle:
        for number, (_, text) in enumerate(queries):
            handle.write(json.dumps({"_id": f"q{number}", "text": text}) + "\n")
    with (folder / "qrels" / "test.tsv").open("w") as handle:
        handle.write("query-id\tcorpus-id\tscore\n")
        for number, (document, _) in enumerate(queries):
            handle.write(f"q{number}\t{document}\t1\n")
    return folder


def _documents(count: int, seed: int, words: int) -> Iterator[list[str]]:
    weights = 1 / np.arange(1, VOCABULARY + 1)
    below = np.cumsum(weights / weights.sum())
    draw = np.random.default_rng(seed)
    for start in range(0, count, AT_ONCE):
        lengths = draw.integers(words // 2, words * 3 // 2 + 1, min(AT_ONCE, count - start))
        ranks = np.searchsorted(below, draw.random(lengths.sum())).tolist()
        end = 0
        for length in lengths.tolist():
            yield [f"w{rank:x}" for rank in ranks[end : end + length]]
            end += length
