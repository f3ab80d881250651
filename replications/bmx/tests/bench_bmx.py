"""Benchmarks of BMX, one thread: `pytest replications/bmx/tests/bench_bmx.py` prints ratios.

Collections come from the data root (IR_REPLICATIONS_DATA); without one, a synthetic collection is
measured. --slow adds the 1,000,000-document pruning benchmark (about 3 GB, 2 minutes).
"""

from __future__ import annotations

from typing import Any

import pytest

from ir_replications.bmx.experiments.speed import index_bm25s, measure_pruning, measure_speed
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.shared.analysis import Tokens

COLLECTIONS = {
    "zipf-20k": None,
    "beir/scifact": "test",
    "beir/nfcorpus": "test",
    "derived/msmarco-mini": "dev",
}
_loaded: dict[str, tuple[Tokens, Tokens]] = {}


def index_bmx(corpus: Tokens) -> BMX:
    return BMX().index(corpus)


def load(name: str, request: pytest.FixtureRequest) -> tuple[Tokens, Tokens]:
    """Tokens of documents and queries; skips when the collection is not in the data root."""
    if name not in _loaded:
        split = COLLECTIONS[name]
        if split is None:
            corpus = zipf_collection(20_000, vocabulary=50_000)
            _loaded[name] = corpus, Tokens.from_lists(queries_from(corpus, 300))
        else:
            from ir_replications.shared.analysis import corpus_tokens, tokenize
            from ir_replications.shared.data import load_collection

            root = request.getfixturevalue("data_root")
            if not (root / name).is_dir():
                pytest.skip(f"{name} is not in the data root")
            collection = load_collection(name, data_root=root)
            texts = list(collection.topics(split).values())
            corpus = corpus_tokens(collection, "bm25s", "newline")
            _loaded[name] = corpus, tokenize(texts, "bm25s")
    return _loaded[name]


@pytest.mark.benchmark(max_time=0.5, min_rounds=5)
@pytest.mark.parametrize("system", ["bmx", "bm25s"])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_query_speed(
    benchmark: Any, name: str, system: str, request: pytest.FixtureRequest
) -> None:
    corpus, queries = load(name, request)
    benchmark.group = f"queries: {name}"
    if system == "bmx":
        model = index_bmx(corpus)
        benchmark(model.retrieve, queries, 10)
    else:
        bm25 = index_bm25s(corpus)
        known = {token: i for i, token in enumerate(corpus.vocab)}
        ids = [[known[t] for t in query if t in known] for query in queries]
        ids = [query for query in ids if query]
        benchmark(bm25.retrieve, ids, k=10, n_threads=1, show_progress=False)
    benchmark.extra_info["queries"] = len(queries)


@pytest.mark.benchmark(max_time=0.5, min_rounds=5)
@pytest.mark.parametrize("system", ["bmx", "bm25s"])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_index_time(benchmark: Any, name: str, system: str, request: pytest.FixtureRequest) -> None:
    corpus, _ = load(name, request)
    benchmark.group = f"index: {name}"
    build = index_bmx if system == "bmx" else index_bm25s
    benchmark.pedantic(build, args=(corpus,), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_ratios(
    name: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alternating measurement of all systems; checks nothing but that it ran."""
    corpus, queries = load(name, request)
    numbers = measure_speed(corpus, list(queries), repetitions=5)
    rates = ", ".join(f"{s} {v:,.0f}" for s, v in numbers["queries_per_second"].items())
    ratios = ", ".join(f"{v:.2f}x {s}" for s, v in numbers["query_ratio"].items())
    index = ", ".join(f"{v:.2f}x {s}" for s, v in numbers["index_ratio"].items())
    size = ", ".join(f"{s} {v:.1f}" for s, v in numbers["bytes_per_posting"].items())
    with capsys.disabled():
        print(f"\n{name}: queries/s {rates}; speed {ratios}; index time {index}; bytes {size}")
    assert set(numbers["query_ratio"]) >= {"bm25s"}


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
