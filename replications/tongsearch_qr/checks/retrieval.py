"""Golden values of retrieval and evaluation (claims A7 to A9), for experiment E1.

A7: scores of the benchmark's code path (gensim 4.3.3's LuceneBM25Model on both sides) on a toy.
A8: Lucene's English analyzer. A9: nDCG@10 and the rules around it, worked by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log2
from typing import Any

import numpy as np

from ir_replications.shared.analysis import tokenize_queries
from ir_replications.shared.data.bright import gather_examples
from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.search import named_retriever
from ir_replications.tongsearch_qr.experiments.bright import (
    ANALYZER,
    DEPTH,
    MEASURE,
    SUBSETS,
    SYSTEMS,
    mean_of_subsets,
    ndcg,
    search_tokens,
)

Facts = dict[str, float | int | str | bool | list[Any]]

TOY = [
    ["insect", "light", "heat"],
    ["light", "led", "light", "wave"],
    ["heat", "radiat", "infrar", "heat", "heat"],
    ["salt", "water", "kidnei"],
]
# Query -> scores of the four documents, as printed to 6 decimals; "oov" is in no document.
TOY_SCORES: dict[str, dict[str, list[float]]] = {
    "bm25q": {
        "light heat": [0.303499, 0.189739, 0.207013, 0],
        "light light heat oov oov": [0.329657, 0.232410, 0.196142, 0],
        "insect led led infrar": [0.412147, 0.515325, 0.372973, 0],
    },
    "bm25": {
        "light heat": [0.758367, 0.474109, 0.517274, 0],
        "light light heat oov oov": [1.137550, 0.948218, 0.517274, 0],
        "insect led led infrar": [0.658628, 1.251531, 0.596026, 0],
    },
}
STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)
ANALYSED = {
    "The quick brown fox's running quickly!": "quick brown fox run quickli",
    STOP_WORDS: "",
    "": "",
}


def a7() -> Facts:
    """Query-side and bag-of-words BM25 of the toy: the largest distance from the printed scores."""
    errors = [
        np.abs(retriever.get_scores(query.split()) - expected).max()
        for system, cases in TOY_SCORES.items()
        for retriever in [named_retriever(system, **SYSTEMS[system]).index(TOY)]
        for query, expected in cases.items()
    ]
    return {"max_error": float(max(errors)), "cases": len(errors)}


def a8() -> Facts:
    """Texts whose tokens differ from Lucene's."""
    found = tokenize_queries(list(ANALYSED), ANALYZER)
    wrong = [tokens != out.split() for tokens, out in zip(found, ANALYSED.values(), strict=True)]
    return {"violations": sum(wrong), "cases": len(wrong)}


def a9() -> Facts:
    """Hand-worked cases of the evaluation that do not come out as they must."""
    outcomes = dict(_evaluation())
    broken = [name for name, holds in outcomes.items() if not holds]
    return {"violations": len(broken), "cases": len(outcomes), "broken": broken}


def _evaluation() -> Iterator[tuple[str, bool]]:
    ids = [f"d{i:02}" for i in range(12)]
    many = {"q": dict.fromkeys(ids, 1)}  # 12 gold documents: the ideal list still ends at rank 10
    ten = {"q": [(docid, 20.0 - i) for i, docid in enumerate(ids[:10])]}
    yield "more than 10 gold, all found", _close(_ndcg(ten, many), 1.0)
    ideal = sum(1 / log2(rank + 1) for rank in range(1, 11))
    two = {"q": [("x", 3.0), ("d00", 2.0), ("d01", 1.0)]}
    expected = (1 / log2(3) + 1 / log2(4)) / ideal
    yield "more than 10 gold, two found", _close(_ndcg(two, many), expected)
    tied = {"q": [("a", 1.0), ("b", 1.0)]}
    yield "ties: the later id first", _close(_ndcg(tied, {"q": {"a": 1}}), 1 / log2(3))
    beyond = {"q": [(f"x{i}", 20.0 - i) for i in range(10)] + [("a", 1.0)]}
    yield "rank 11 counts nothing", _close(_ndcg(beyond, {"q": {"a": 1}}), 0.0)
    nothing = {"q": [("a", 1.0)]}
    halved = _ndcg(nothing, {"q": {"a": 1}, "not found": {"b": 1}})
    yield "a query without results counts", _close(halved, 0.5)

    example = {"id": "q", "query": "x", "gold_ids": ["a", "b", "a"], "excluded_ids": ["N/A"]}
    _, gold, excluded = gather_examples([("here", example)], [])
    yield "duplicate gold ids count once", gold == {"q": {"a": 1, "b": 1}}
    yield "N/A excludes nothing", excluded == {}
    try:
        gather_examples([("here", {**example, "excluded_ids": ["b"]})], [])
        yield "gold and excluded is refused", False
    except InputError:
        yield "gold and excluded is refused", True

    # 1,100 documents hold the term; the 100 best are excluded, so exactly 1,000 are left.
    documents = [["x"] + ["y"] * i for i in range(DEPTH + 100)]
    names = [f"d{i:04}" for i in range(len(documents))]
    retriever = named_retriever("bm25q").index(documents)
    run = search_tokens(retriever, names, {"q": ["x"]}, {"q": frozenset(names[:100])})
    yield "excluded before the cut", [docid for docid, _ in run["q"]] == names[100:]

    values = {name: float(i) for i, name in enumerate(SUBSETS, start=1)}
    yield "plain mean of 12 subsets", mean_of_subsets(values) == 6.5
    try:
        mean_of_subsets({name: 1.0 for name in SUBSETS[1:]})
        yield "a mean of 11 is refused", False
    except InputError:
        yield "a mean of 11 is refused", True


def _ndcg(run: dict[str, list[tuple[str, float]]], qrels: dict[str, dict[str, int]]) -> float:
    return ndcg(run, qrels).means[MEASURE]


def _close(found: float, expected: float) -> bool:
    return abs(found - expected) < 1e-9


CHECKS: dict[str, Callable[[], Facts]] = {"A7": a7, "A8": a8, "A9": a9}
