"""Benchmarks of BMX, one thread, CPU time: `pytest replications/bmx/tests/bench_bmx.py`.

Collections come from the data root (IR_REPLICATIONS_DATA); without one, the embedded collection and
a synthetic one are measured. The grid with all of its systems in turn is experiment E10; here
pytest-benchmark times the same calls one by one. --slow adds 300,000 and 1,000,000 documents.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import pytest

from ir_replications.bmx.experiments.grid import PEER, Systems, pooled_queries
from ir_replications.bmx.experiments.speed import index_bm25s, measure_pruning
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.shared.analysis import Tokens, corpus_tokens, tokenize
from ir_replications.shared.data import load_collection
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import InputError

ZIPF = {"zipf-30k": 30_000, "zipf-300k": 300_000}
COLLECTIONS = [
    "pydocs",
    "beir/scifact",
    "beir/nfcorpus",
    "derived/msmarco-mini",
    "zipf-30k",
    pytest.param("zipf-300k", marks=pytest.mark.slow),
]


@cache
def corpus_and_queries(name: str) -> tuple[Tokens, dict[str, list[list[str]]]]:
    """Tokens of a collection, and its short and long queries; skips what no data root has."""
    if name in ZIPF:
        corpus = zipf_collection(ZIPF[name])
        return corpus, {"short": queries_from(corpus, 200), "long": pooled_queries(corpus, 20)}
    root = find_data_root()
    if name != "pydocs" and (root is None or not (root / name).is_dir()):
        pytest.skip(f"{name} is not in the data root")
    try:
        collection = load_collection(name, data_root=root)
    except InputError as error:
        pytest.skip(str(error))
    corpus = corpus_tokens(collection, "bm25s", "newline")
    texts = list(collection.topics(collection.default_split).values())[:1000]
    return corpus, {"short": list(tokenize(texts, "bm25s")), "long": pooled_queries(corpus, 50)}


@cache
def systems(name: str, length: str) -> Systems:
    corpus, queries = corpus_and_queries(name)
    return Systems.index(corpus, queries[length])


@pytest.mark.benchmark(timer=time.thread_time, max_time=0.3, min_rounds=3)
@pytest.mark.parametrize("system", ["bmx", "bmx exhaustive", "bm25", PEER])
@pytest.mark.parametrize("k", [10, 1000])
@pytest.mark.parametrize("length", ["short", "long"])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_queries(benchmark: Any, name: str, length: str, k: int, system: str) -> None:
    asked = systems(name, length)
    benchmark.group = f"{name}, {length} queries, k={k}"
    benchmark.extra_info["queries"] = len(asked.lists)
    task = asked.tasks(min(k, asked.model.n_docs))[system]
    task()  # compiles
    benchmark(task)


@pytest.mark.benchmark(timer=time.thread_time)
@pytest.mark.parametrize("system", ["bmx", PEER])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_index_time(benchmark: Any, name: str, system: str) -> None:
    corpus, _ = corpus_and_queries(name)
    benchmark.group = f"index: {name}"
    build: Any = BMX().index if system == "bmx" else index_bm25s
    build(Tokens.from_lists([["a"], ["b"]]))  # compiles
    benchmark.pedantic(build, args=(corpus,), rounds=3 if system == "bmx" else 1)


@pytest.mark.slow
def test_pruning_on_a_million_documents(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = measure_pruning()
    times = ", ".join(f"{s} {v:.3f} ms" for s, v in numbers["milliseconds"].items())
    size = ", ".join(f"{s} {v:.1f}" for s, v in numbers["bytes_per_posting"].items())
    with capsys.disabled():
        print(
            f"\n1,000,000 documents: {times} a query; speed {numbers['query_ratio']['bm25s']:.2f}x"
            f" bm25s; bytes per posting {size}"
        )
    assert numbers["identical"]
