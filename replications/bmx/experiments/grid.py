"""The benchmark grid: every system in turn on the same queries, one thread, thread CPU time.

A turn answers all queries of a cell in one call. Systems take turns, so that other load on the
machine meets all of them; a turn's clock is the CPU time of this thread, which leaves out the time
that other processes had the core, though not what they did to its caches.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np

from ir_replications.bmx.experiments.peers import FEW, PURE_PYTHON, Search, installed_peers
from ir_replications.bmx.experiments.speed import bm25s_from
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.shared.analysis import Tokens, tokenize
from ir_replications.shared.retrieval.bm25 import BM25

DEPTHS = (10, 100, 1000)
WAYS = ("bmx", "bmx exhaustive", "bmx pruned")  # one retriever: automatic, and each way for all
PEER = "bm25s"
SYSTEMS = (*WAYS, "bm25", PEER)
# A turn of more CPU seconds is made once: it shows how much slower a system is well enough.
LONG_TURN = 2.0
# One of fewer is made twice, the second measured: it would else find the caches as another system
# left them, and of two systems on one index the first would pay for both.
SHORT_TURN = 0.1
# Words of a long query and the documents that they are drawn from: as many as BRIGHT's reasoned
# queries have.
LONG, POOLED = 190, 3


def pooled_queries(tokens: Tokens, n_queries: int, seed: int = 2) -> list[list[str]]:
    """Long queries: the first LONG words of POOLED documents each, drawn at random."""
    rng = np.random.default_rng(seed)
    queries = []
    for _ in range(n_queries):
        docs = rng.integers(0, len(tokens), POOLED)
        parts = [tokens.ids[tokens.offsets[doc] : tokens.offsets[doc + 1]] for doc in docs]
        queries.append([tokens.vocab[i] for i in np.concatenate(parts)[:LONG]])
    return queries


@dataclass(frozen=True)
class Systems:
    """Retrievers over one collection and the queries they are asked, each in the form it takes.

    lists: the tokens of each query that the collection has; ids: their term ids.
    """

    model: BMX
    bm25: BM25 | None
    peer: Any
    lists: list[list[str]]
    ids: list[list[int]]

    @classmethod
    def index(
        cls,
        corpus: Tokens,
        queries: Sequence[Sequence[str]],
        systems: Sequence[str] = SYSTEMS,
    ) -> Systems:
        """Index the corpus with those of `systems` that are not BMX too."""
        model = BMX().index(corpus)
        known = model._ready.known
        lists = [[token for token in query if token in known] for query in queries]
        lists = [query for query in lists if query]
        return cls(
            model,
            BM25(k1=1.5, b=0.75).index(corpus) if "bm25" in systems else None,
            bm25s_from(model._ready) if PEER in systems else None,
            lists,
            [[known[token] for token in query] for query in lists],
        )

    def tasks(self, k: int) -> dict[str, Callable[[], Any]]:
        """One call per system that answers all queries."""
        model, bm25, peer = self.model, self.bm25, self.peer
        own = Tokens(
            np.array([term for query in self.ids for term in query], np.int32),
            np.cumsum([0, *map(len, self.ids)], dtype=np.int64),
            model._ready.vocabulary,
        )
        made: dict[str, Callable[[], Any]] = {
            "bmx": lambda: model.retrieve(own, k),
            "bmx exhaustive": lambda: model.retrieve(own, k, pruning=False),
            "bmx pruned": lambda: model.retrieve(own, k, pruning=True),
        }
        if bm25 is not None:
            made["bm25"] = lambda: bm25.retrieve(own, k)
        if peer is not None:
            made[PEER] = lambda: peer.retrieve(self.ids, k=k, n_threads=1, show_progress=False)
        return made


def measure_grid(
    corpus: Tokens,
    queries: Sequence[Sequence[str]],
    depths: Sequence[int] = DEPTHS,
    repetitions: int = 7,
    peers: bool = True,
    systems: Sequence[str] = SYSTEMS,
) -> dict[str, Any]:
    """Microseconds a query of every system at every depth, and the ratios that are asked about.

    `systems`: of SYSTEMS ("bm25" is our wrapper, "bm25s" the library with its numba back end),
    "bmx" always among them; with `peers`, those installed too. microseconds and
    median_microseconds: "k=10" -> system -> number; ratio and median_ratio: system's time over that
    of "bmx" (above 1: BMX is faster); choice: the better of exhaustive and pruned over automatic
    (1: no time lost), where all ways are asked; absent: peer -> why it was not asked.
    Raises ValueError where BMX's three ways differ in a document or score.
    """
    indexed = Systems.index(corpus, queries, systems)
    model, lists, ids = indexed.model, indexed.lists, indexed.ids
    others, absent = installed_peers(corpus) if peers else ({}, {})
    out: dict[str, Any] = {
        "n_docs": model.n_docs,
        "n_queries": len(lists),
        "mean_tokens": float(np.mean([len(query) for query in ids])),
        "mean_terms": float(np.mean([len(set(query)) for query in ids])),
        "absent": absent,
    }
    asked = {name: _asked(name, search, lists) for name, search in others.items()}
    numbers = ("microseconds", "median_microseconds", "ratio", "median_ratio", "choice")
    out |= {name: {} for name in numbers}
    for depth in depths:
        k = min(depth, model.n_docs)
        made = indexed.tasks(k)
        tasks = {name: made[name] for name in systems}
        counts = dict.fromkeys(tasks, len(lists))
        for name, search in others.items():
            tasks[name], counts[name] = partial(search, asked[name], k), len(asked[name])
        once = [name for name, queries in asked.items() if len(queries) < len(lists)]
        turns, results = cpu_turns(tasks, repetitions, once)
        _check_same([results[name] for name in WAYS if name in results])
        label = f"k={depth}"
        each = {name: [1e6 * t / counts[name] for t in times] for name, times in turns.items()}
        for prefix, middle in (("", min), ("median_", median)):
            found = {name: float(middle(times)) for name, times in each.items()}
            out[f"{prefix}microseconds"][label] = found
            out[f"{prefix}ratio"][label] = {
                name: value / found["bmx"] for name, value in found.items() if name != "bmx"
            }
        if set(WAYS) <= set(systems):
            ways = out["ratio"][label]
            out["choice"][label] = min(ways["bmx exhaustive"], ways["bmx pruned"])
    return out


def _check_same(results: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    for docs, scores in results[1:]:
        if not (np.array_equal(docs, results[0][0]) and np.array_equal(scores, results[0][1])):
            raise ValueError("BMX's ways of searching differ in their results")


def _asked(name: str, search: Search, queries: list[list[str]]) -> list[list[str]]:
    """The queries of a peer's turn: all, or the first FEW, fewer where they take long."""
    if name.split()[0] not in PURE_PYTHON:
        return queries
    start = time.thread_time()
    search(queries[:1], DEPTHS[0])
    seconds = max(time.thread_time() - start, 1e-9)
    return queries[: max(1, min(FEW, int(LONG_TURN / seconds)))]


def cpu_turns(
    tasks: dict[str, Callable[[], Any]], repetitions: int, once: Sequence[str] = ()
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """CPU seconds of this thread for `repetitions` turns of each task, and what each returned.

    Every task has an unmeasured turn first; one of more than LONG_TURN, and those of `once`, have a
    single measured turn; one of less than SHORT_TURN has an unmeasured one before each.
    """
    results: dict[str, Any] = {}
    turns: dict[str, list[float]] = {name: [] for name in tasks}
    slow = set(once)
    quick: set[str] = set()
    for turn in range(repetitions + 1):
        for name, task in tasks.items():
            if name in slow and turn > 1:
                continue
            if name in quick:
                task()
            start = time.thread_time()
            result = task()
            seconds = time.thread_time() - start
            if turn:
                turns[name].append(seconds)
            else:
                results[name] = result
                if seconds > LONG_TURN:
                    slow.add(name)
            if seconds < SHORT_TURN:  # looked at every turn: the first may compile
                quick.add(name)
    return turns, results


def summary(measured: dict[str, Any], peer: str = PEER) -> dict[str, float]:
    """Least and geometric mean ratio to a peer over the depths, and the least of the choices."""
    ratios = [by_system[peer] for by_system in measured["ratio"].values()]
    return {
        "least_ratio": min(ratios),
        "mean_ratio": float(geometric_mean(ratios)),
        "least_choice": min(measured["choice"].values()),
    }


def measure_growth(
    sizes: Sequence[int], n_queries: int, k: int = 10, repetitions: int = 3, seed: int = 0
) -> dict[str, Any]:
    """Microseconds a query on Zipf collections of several sizes, and the exponents fitted to them.

    For short and long queries: "short", "long" -> size -> system -> microseconds; exponents:
    the slope of log(time) over log(documents), by least squares.
    """
    times: dict[str, dict[str, dict[str, float]]] = {"short": {}, "long": {}}
    for size in sizes:
        corpus = zipf_collection(size, seed=seed)
        for kind, draw in (("short", queries_from), ("long", pooled_queries)):
            queries = draw(corpus, n_queries if kind == "short" else max(1, n_queries // 5))
            found = measure_grid(corpus, queries, (k,), repetitions, False, ("bmx", PEER))
            times[kind][str(size)] = found["microseconds"][f"k={k}"]
    logs = np.log([float(size) for size in sizes])
    exponents = {
        kind: {
            system: float(np.polyfit(logs, np.log([by[system] for by in found.values()]), 1)[0])
            for system in next(iter(found.values()))
        }
        for kind, found in times.items()
    }
    return {"microseconds": times, "exponents": exponents}


def measure_text(texts: Sequence[str], query: str, analyzer: str, k: int = 10) -> dict[str, Any]:
    """From raw text to the first answer, and from a saved index: what a user waits for.

    CPU seconds of "bmx" and "bm25s" (its own tokenizer with the same stemmer) for tokenising,
    indexing and the first query; seconds to load a saved BMX index, with and without mmap, each
    with its first query; bytes of the saved files. Kernels are compiled before the clock starts.
    """
    import bm25s
    import Stemmer

    BMX().index([["a"], ["b"]]).retrieve([["a"]], 1)
    small = bm25s.BM25(backend="numba")
    small.index([["a"], ["b"]], show_progress=False)
    small.retrieve([["a"]], k=1, n_threads=1, show_progress=False)
    texts, clock = list(texts), time.thread_time
    parts: dict[str, dict[str, float]] = {}
    start = clock()
    tokens = tokenize(texts, analyzer)
    tokenised = clock()
    model = BMX().index(tokens)
    indexed = clock()
    asked = tokenize([query], analyzer)
    model.retrieve(asked, min(k, len(texts)))
    ends = (tokenised, indexed, clock())
    parts["bmx"] = _steps(start, ends)
    stemmer = Stemmer.Stemmer("english")
    start = clock()
    own = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    tokenised = clock()
    peer = bm25s.BM25(backend="numba")
    peer.index(own, show_progress=False)
    indexed = clock()
    words = bm25s.tokenize([query], stopwords="en", stemmer=stemmer, show_progress=False)
    peer.retrieve(words, k=min(k, len(texts)), n_threads=1, show_progress=False)
    parts[PEER] = _steps(start, (tokenised, indexed, clock()))
    loaded: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        model.save(place)
        size = sum(file.stat().st_size for file in place.iterdir())
        for name, mmap in (("mmap", True), ("copied", False)):
            start = clock()
            BMX.load(place, mmap=mmap).retrieve(asked, min(k, len(texts)))
            loaded[name] = clock() - start
        memory = _resident(place, list(asked[0]))
    return {"seconds": parts, "load_seconds": loaded, "saved_bytes": size, "resident": memory}


def _steps(start: float, ends: Sequence[float]) -> dict[str, float]:
    edges = [start, *ends]
    names = ("tokenise", "index", "first answer")
    steps = {name: b - a for name, a, b in zip(names, edges[:-1], edges[1:], strict=True)}
    return steps | {"total": ends[-1] - start}


_LOAD = """
import json, sys
from ir_replications.bmx import BMX
def resident():
    with open("/proc/self/status") as lines:
        return {a: int(b.split()[0]) for a, b in (x.split(":", 1) for x in lines) if "Rss" in a}
BMX().index([["a"], ["b"]]).retrieve([["a"]], 1)
before = resident()
model = BMX.load(sys.argv[1], mmap=sys.argv[2] == "mmap")
loaded = resident()
model.retrieve([json.loads(sys.argv[3])], 10)
after = resident()
print(json.dumps([{name: b[name] - a[name] for name in a} for a, b in
    ((before, loaded), (before, after))]))
"""


def _resident(place: Path, query: Sequence[str]) -> dict[str, Any]:
    """KiB that loading and the first query add to a fresh process, private and of files."""
    import json
    import subprocess
    import sys

    if not Path("/proc/self/status").is_file():
        return {}  # Linux alone tells private memory from mapped files
    out: dict[str, Any] = {}
    for mode in ("mmap", "copied"):
        command = [sys.executable, "-c", _LOAD, str(place), mode, json.dumps(list(query))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded, asked = json.loads(done.stdout.splitlines()[-1])
        out[mode] = {
            "loaded": {"private": loaded["RssAnon"], "files": loaded["RssFile"]},
            "asked": {"private": asked["RssAnon"], "files": asked["RssFile"]},
        }
    return out
