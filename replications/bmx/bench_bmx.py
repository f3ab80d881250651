"""Benchmarks of BMX: `pytest replications/bmx/bench_bmx.py`, one thread, ratios printed at the end.

Collections come from the data root (IR_REPLICATIONS_DATA); without one, a synthetic collection is
measured. BMX_BENCH_LARGE=1 adds the 1,000,000-document pruning benchmark (about 3 GB, 1 minute).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from replications.bmx.retriever import BMX
from replications.bmx.speed import _bm25s_of, measure_pruning, measure_speed
from replications.bmx.zipf import queries_from, zipf_collection
from shared.analysis import Tokens

COLLECTIONS = {
    "zipf-20k": None,
    "beir/scifact": "test",
    "beir/nfcorpus": "test",
    "derived/msmarco-mini": "dev",
}
_loaded: dict[str, tuple[Tokens, Tokens]] = {}
_lines: list[str] = []


def load(name: str, request: pytest.FixtureRequest) -> tuple[Tokens, Tokens]:
    """Tokens of documents and queries; skips when the collection is not in the data root."""
    if name not in _loaded:
        split = COLLECTIONS[name]
        if split is None:
            corpus = zipf_collection(20_000, vocabulary=50_000)
            _loaded[name] = corpus, Tokens.from_lists(queries_from(corpus, 300))
        else:
            from shared.analysis import corpus_tokens, tokenize
            from shared.data import load_collection

            root = request.getfixturevalue("data_root")
            if not (root / name).is_dir():
                pytest.skip(f"{name} is not in the data root")
            collection = load_collection(name, data_root=root)
            texts = list(collection.topics(split).values())
            corpus = corpus_tokens(collection, "bm25s", "newline")
            _loaded[name] = corpus, tokenize(texts, "bm25s")
    return _loaded[name]


@pytest.fixture(scope="module", autouse=True)
def print_ratios(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    for line in _lines:
        if reporter is not None:
            reporter.write_line(line)


@pytest.mark.parametrize("system", ["bmx", "bm25s"])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_query_speed(benchmark, name: str, system: str, request: pytest.FixtureRequest) -> None:
    corpus, queries = load(name, request)
    benchmark.group = f"queries: {name}"
    if system == "bmx":
        model = BMX().index(corpus)
        benchmark(model.retrieve, queries, 10)
    else:
        bm25 = _bm25s_of(corpus)
        known = {token: i for i, token in enumerate(corpus.vocab)}
        ids = [[known[t] for t in query if t in known] for query in queries]
        ids = [query for query in ids if query]
        benchmark(bm25.retrieve, ids, k=10, n_threads=1, show_progress=False)
    benchmark.extra_info["queries"] = len(queries)


@pytest.mark.parametrize("system", ["bmx", "bm25s"])
@pytest.mark.parametrize("name", COLLECTIONS)
def test_index_time(benchmark, name: str, system: str, request: pytest.FixtureRequest) -> None:
    corpus, _ = load(name, request)
    benchmark.group = f"index: {name}"
    build = (lambda: BMX().index(corpus)) if system == "bmx" else (lambda: _bm25s_of(corpus))
    benchmark.pedantic(build, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_ratios(name: str, request: pytest.FixtureRequest) -> None:
    """Alternating measurement of all systems; checks nothing but that it ran."""
    corpus, queries = load(name, request)
    numbers = measure_speed(corpus, list(queries), repetitions=5)
    rates = ", ".join(f"{s} {v:,.0f}" for s, v in numbers["queries_per_second"].items())
    ratios = ", ".join(f"{v:.2f}x {s}" for s, v in numbers["query_ratio"].items())
    index = ", ".join(f"{v:.2f}x {s}" for s, v in numbers["index_ratio"].items())
    size = ", ".join(f"{s} {v:.1f}" for s, v in numbers["bytes_per_posting"].items())
    _lines.append(f"{name}: queries/s {rates}; speed {ratios}; index time {index}; bytes {size}")
    assert set(numbers["query_ratio"]) >= {"bm25s"}


@pytest.mark.skipif(
    os.environ.get("BMX_BENCH_LARGE") != "1", reason="large: set BMX_BENCH_LARGE=1 to run it"
)
def test_pruning_on_a_million_documents() -> None:
    numbers = measure_pruning()
    times = ", ".join(f"{s} {v:.3f} ms" for s, v in numbers["milliseconds"].items())
    size = ", ".join(f"{s} {v:.1f}" for s, v in numbers["bytes_per_posting"].items())
    _lines.append(
        f"1,000,000 documents: {times} a query; {numbers['query_ratio']['bm25s']:.2f}x bm25s;"
        f" bytes per posting {size}"
    )
    assert numbers["identical"]
