"""Speed and memory of BMX against bm25s (numba back end) and the authors' code, one thread.

All systems get the same tokens as integer ids, are warmed up (compiled) before the clock starts,
and take turns, so that other load on the machine meets all of them; the fastest turn counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_replications.bmx.experiments.authors_code import authors_code
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.bmx.retrieval.index import Index
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.shared.analysis import Tokens

if TYPE_CHECKING:
    import bm25s

AUTHORS_QUERIES = 100


def measure_speed(
    corpus: Tokens,
    queries: Sequence[Sequence[str]],
    k: int = 10,
    repetitions: int = 7,
    authors: bool = True,
) -> dict[str, Any]:
    """Time batch top-k search and indexing; returns plain numbers for a result record.

    queries_per_second, index_seconds and bytes_per_posting per system ("bmx", "bm25s",
    "authors" when installed, indexed once), query_ratio and index_ratio of BMX to each other (query
    ratio > 1: BMX is faster; index ratio < 1: BMX is faster).
    """
    queries = [list(query) for query in queries]
    model, bm25 = BMX().index(corpus), index_bm25s(corpus)
    known = {token: i for i, token in enumerate(corpus.vocab)}
    ids = [[known[token] for token in query if token in known] for query in queries]
    ids = [query for query in ids if query]
    sizes = [len(query) for query in ids]
    flat = np.array([term for query in ids for term in query], np.int32)
    tokens = Tokens(flat, np.cumsum([0, *sizes], dtype=np.int64), corpus.vocab)
    searches: dict[str, Callable[[], object]] = {
        "bmx": lambda: model.retrieve(tokens, k),
        "bm25s": lambda: bm25.retrieve(ids, k=k, n_threads=1, show_progress=False),
    }
    n_queries = dict.fromkeys(searches, len(ids))
    indexing: dict[str, Callable[[], object]] = {
        "bmx": lambda: BMX().index(corpus),
        "bm25s": lambda: index_bm25s(corpus),
    }
    reference = authors_code() if authors else None
    authors_index_seconds = None
    if reference is not None:
        lists, few = list(corpus), queries[:AUTHORS_QUERIES]
        start = time.perf_counter()
        reference.index(lists)
        authors_index_seconds = time.perf_counter() - start
        searches["authors"] = lambda: reference.retrieve(few, k)
        n_queries["authors"] = len(few)
    seconds = fastest(searches, repetitions)
    index_seconds = fastest(indexing, max(1, repetitions // 3))
    if authors_index_seconds is not None:
        index_seconds["authors"] = authors_index_seconds
    rates = {name: n_queries[name] / seconds[name] for name in seconds}
    others = [name for name in rates if name != "bmx"]
    return {
        "n_docs": model.n_docs,
        "n_queries": len(ids),
        "k": k,
        "queries_per_second": rates,
        "query_ratio": {name: rates["bmx"] / rates[name] for name in others},
        "index_seconds": index_seconds,
        "index_ratio": {name: index_seconds["bmx"] / index_seconds[name] for name in others},
        "bytes_per_posting": {"bmx": model.bytes_per_posting, "bm25s": bm25s_bytes(bm25)},
    }


def measure_pruning(
    n_docs: int = 1_000_000, n_queries: int = 200, k: int = 10, repetitions: int = 5, seed: int = 0
) -> dict[str, Any]:
    """Time pruned and exhaustive BMX and bm25s on a synthetic Zipf collection.

    Returns milliseconds per query of "bmx pruned", "bmx exhaustive" and "bm25s", the ratio of
    bm25s to pruned BMX, whether the pruned results are identical to the exhaustive ones, index
    seconds and bytes per posting.
    """
    tokens = zipf_collection(n_docs, seed=seed)
    queries = queries_from(tokens, n_queries, seed=seed + 1)
    start = time.perf_counter()
    model = BMX().index(tokens)
    index_seconds = time.perf_counter() - start
    bm25 = bm25s_from(model._ready)
    terms = [[model._ready.known[token] for token in query] for query in queries]
    del tokens
    exact = model.retrieve(queries, k, pruning=False)
    pruned = model.retrieve(queries, k, pruning=True)
    identical = all(np.array_equal(a, b) for a, b in zip(exact, pruned, strict=True))
    seconds = fastest(
        {
            "bmx pruned": lambda: model.retrieve(queries, k, pruning=True),
            "bmx exhaustive": lambda: model.retrieve(queries, k, pruning=False),
            "bm25s": lambda: bm25.retrieve(terms, k=k, n_threads=1, show_progress=False),
        },
        repetitions,
    )
    return {
        "n_docs": n_docs,
        "n_queries": n_queries,
        "k": k,
        "n_postings": len(model._ready.docs),
        "milliseconds": {name: 1000 * value / n_queries for name, value in seconds.items()},
        "query_ratio": {"bm25s": seconds["bm25s"] / seconds["bmx pruned"]},
        "identical": bool(identical),
        "index_seconds": {"bmx": index_seconds},
        "bytes_per_posting": {"bmx": model.bytes_per_posting, "bm25s": bm25s_bytes(bm25)},
    }


def fastest(tasks: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Seconds of the fastest of `repetitions` turns of each task, after one unmeasured turn."""
    for task in tasks.values():
        task()
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(repetitions):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def index_bm25s(corpus: Tokens) -> bm25s.BM25:
    """bm25s (Lucene BM25, its default k1 and b, numba back end) over the same token ids."""
    import bm25s

    bm25 = bm25s.BM25(method="lucene", backend="numba")
    bm25.index(corpus.to_bm25s(), show_progress=False, create_empty_token=False)
    return bm25


def bm25s_from(index: Index, k1: float = 1.5, b: float = 0.75) -> bm25s.BM25:
    """A bm25s retriever over the postings of an index, without its own (slow) indexing.

    Same arrays as `bm25s.BM25.index` builds (Lucene scores in float32, int32 indices).
    """
    import bm25s

    data = np.empty(len(index.docs), np.float32)
    for term, idf in enumerate(index.idf):
        part = slice(index.indptr[term], index.indptr[term + 1])
        f = index.tf[part].astype(np.float64)
        norm = k1 * (1 - b + b * index.length_ratios[index.docs[part]])
        data[part] = idf * f / (f + norm)
    bm25 = bm25s.BM25(method="lucene", backend="numba")
    bm25.scores = {
        "data": data,
        "indices": index.docs.astype(np.int32),
        "indptr": index.indptr.astype(np.int32),
        "num_docs": index.n_docs,
    }
    bm25.vocab_dict = dict(index.known)
    bm25.unique_token_ids_set = set(bm25.vocab_dict.values())
    bm25.nonoccurrence_array = None
    return bm25


def bm25s_bytes(bm25: bm25s.BM25) -> float:
    """Bytes of a bm25s index over its postings, vocabulary strings excluded."""
    arrays = [bm25.scores[name] for name in ("data", "indices", "indptr")]
    return sum(array.nbytes for array in arrays) / max(1, len(bm25.scores["data"]))
