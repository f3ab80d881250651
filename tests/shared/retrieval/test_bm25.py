"""BM25 variants against a plain reference, published values and the bm25s library."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import bm25s
import numpy as np
import pytest
from bm25s.tokenization import Tokenized

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.shared.retrieval.bm25 import BM25, METHODS, QuerySideBM25

Docs = list[list[str]]
ZOO = [
    text.split()
    for text in (
        "cat cat dog",
        "dog bird",
        "cat fish fish fish",
        "bird bird cat dog fish whale",
        "whale ocean",
    )
]
BRIGHT_TOY = [
    text.split()
    for text in (
        "insect light heat",
        "light led light wave",
        "heat radiat infrar heat heat",
        "salt water kidnei",
    )
]


def _idf(method: str, n: int, df: int) -> float:
    return {
        "lucene": math.log(1 + (n - df + 0.5) / (df + 0.5)),
        "robertson": max(0.0, math.log((n - df + 0.5) / (df + 0.5))),
        "atire": math.log(n / df),
        "bm25l": math.log((n + 1) / (df + 0.5)),
        "bm25+": math.log((n + 1) / df),
    }[method]


def _tf(method: str, tf: int, norm: float, k1: float, delta: float) -> float:
    if method in ("lucene", "robertson"):
        return tf / (tf + k1 * norm)
    if method == "atire":
        return tf * (k1 + 1) / (tf + k1 * norm)
    if method == "bm25l":
        c = tf / norm
        return (k1 + 1) * (c + delta) / (k1 + c + delta)
    return (k1 + 1) * tf / (k1 * norm + tf) + delta


def _reference(
    docs: Docs, query: list[str], method: str, k1: float, b: float, delta: float
) -> list[float]:
    """Scores of Kamphuis et al. (2020) term by term, absent terms of bm25l and bm25+ included."""
    avgdl = sum(map(len, docs)) / len(docs)
    scores = []
    for doc in docs:
        norm, score = 1 - b + b * len(doc) / avgdl, 0.0
        for token in query:
            df = sum(token in other for other in docs)
            if df:
                idf = _idf(method, len(docs), df)
                tf = doc.count(token)
                score += idf * _tf(method, tf, norm if tf else 1.0, k1, delta)
        scores.append(score)
    return scores


def _random_docs(seed: int, n: int = 40, terms: int = 30) -> tuple[Docs, Docs]:
    """A corpus with skewed terms, ties and an empty document; queries with an unknown term."""
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, terms + 1)

    def draw(size: int) -> list[str]:
        return [f"t{i}" for i in rng.choice(terms, (size,), p=p / p.sum())]

    docs = [draw(int(rng.integers(1, 6))) for _ in range(n)]
    docs[3] = []
    queries = [[*draw(int(rng.integers(1, 5))), "unknown"] for _ in range(25)]
    return docs, queries


# ---- Scores


# Values worked out by hand (float64), without the shift of absent terms for bm25l and bm25+.
HAND = {
    "lucene": ([0.60578675, 0.29462831, 0.22850226, 0.37323587, 0.0], 0.0),
    "robertson": ([0.0, 0.0, 0.0, 0.0, 0.0], 0.0),
    "atire": ([1.26307511, 0.61430477, 0.47643088, 0.77820278, 0.0], 0.0),
    "bm25l": ([0.79981312, 0.38484131, 0.28616405, 0.45552645, 0.0], 0.697525),
    "bm25+": ([1.71388614, 0.83355963, 0.64647642, 1.05595538, 0.0], 0.693147),
}


@pytest.mark.parametrize("method", METHODS)
def test_hand_values(method: str) -> None:
    scores, absent = HAND[method]
    got = BM25(method).index(ZOO).get_scores(["cat", "dog"])
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, np.array(scores) + absent, atol=1.5e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("parameters", [(1.2, 0.75, 0.5), (0.9, 0.4, 1.0), (2, 1, 0)])
def test_scores_equal_the_reference(method: str, parameters: tuple[float, float, float]) -> None:
    docs, queries = _random_docs(1)
    model = BM25(method, *parameters).index(docs)
    for query in [*queries, ["t0", "t0", "t0", "t1"], ["unknown"], []]:
        expected = _reference(docs, query, method, *parameters)
        np.testing.assert_allclose(model.get_scores(query), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_scores_are_those_of_bm25s(method: str, backend: str) -> None:
    docs, queries = _random_docs(2)
    library = bm25s.BM25(1.2, 0.75, 0.5, method, backend=backend)
    library.index(docs, show_progress=False)
    model = BM25(method).index(docs)
    _, scores = model.retrieve(queries, k=len(docs))
    _, theirs = library.retrieve(
        queries, k=len(docs), show_progress=False, backend_selection=backend
    )
    for query, ours, others in zip(queries, scores, theirs, strict=True):
        np.testing.assert_array_equal(model.get_scores(query), library.get_scores(query))
        matched = sum(bool({*query} & {*doc}) for doc in docs)
        if method not in ("robertson", "atire"):  # an idf of 0 ties matched and unmatched there
            np.testing.assert_array_equal(ours[:matched], others[:matched])


@pytest.mark.parametrize("method", ["lucene", "robertson", "atire"])
def test_k1_0_leaves_the_idf(method: str) -> None:
    scores = BM25(method, k1=0).index([["a", "a"], ["b"], ["c"]]).get_scores(["a"])
    np.testing.assert_allclose(scores, [_idf(method, 3, 1), 0, 0], rtol=1e-6)


# ---- Ranking


def _expected(model: BM25 | QuerySideBM25, docs: Docs, query: list[str], k: int) -> list[int]:
    scores = model.get_scores(query)
    matched = [i for i, doc in enumerate(docs) if {*query} & {*doc}]
    return sorted(matched, key=lambda i: (-scores[i], i))[:k]


MODELS: list[Callable[[], BM25 | QuerySideBM25]] = [
    *(partial(BM25, method) for method in METHODS),
    QuerySideBM25,
]


@pytest.mark.parametrize("make", MODELS, ids=[*METHODS, "query-side"])
@pytest.mark.parametrize("k", [1, 2, 7, 40, 1000])
def test_canonical_order_without_unmatched_documents(
    make: Callable[[], BM25 | QuerySideBM25], k: int
) -> None:
    for seed in range(3):
        docs, queries = _random_docs(seed)
        model = make().index(docs)
        found, scores = model.retrieve(queries, k=k)
        assert found.shape == scores.shape == (len(queries), k)
        for query, row, values in zip(queries, found, scores, strict=True):
            expected = _expected(model, docs, query, k)
            assert row[: len(expected)].tolist() == expected
            np.testing.assert_allclose(
                values[: len(expected)], model.get_scores(query)[expected], rtol=1e-12
            )
            assert (row[len(expected) :] == -1).all() and (values[len(expected) :] == 0).all()


@pytest.mark.parametrize("make", MODELS, ids=[*METHODS, "query-side"])
@pytest.mark.parametrize("k", [3, 128, 200])
def test_order_in_a_collection_of_many_blocks(
    make: Callable[[], BM25 | QuerySideBM25], k: int
) -> None:
    docs, queries = _random_docs(7, n=700, terms=300)
    # rare terms alone, then terms of most documents: found one by one, and all documents in turn
    queries = [["t250", "t299", "t120"], ["t90", "t90"], ["t0", "t1", "t2", "t3"], *queries[:8]]
    tokens = Tokens.from_lists(docs)
    model = make().index(tokens)
    found, scores = model.retrieve(queries, k=k)
    for query, row, values in zip(queries, found, scores, strict=True):
        expected = _expected(model, docs, query, k)
        assert row[: len(expected)].tolist() == expected
        np.testing.assert_array_equal(values[: len(expected)], model.get_scores(query)[expected])
        assert (row[len(expected) :] == -1).all() and (values[len(expected) :] == 0).all()
    # ids of the vocabulary that was indexed, taken as they are
    known = [[tokens.vocab.index(t) for t in query if t in tokens.vocab] for query in queries]
    ids = np.array([t for query in known for t in query], np.int32)
    asked = Tokens(ids, np.cumsum([0, *map(len, known)]), tokens.vocab)
    again = model.retrieve(asked, k=k)
    assert np.array_equal(found, again[0]) and np.array_equal(scores, again[1])


def test_a_term_without_weight_still_matches() -> None:
    docs = [["a", "b"], ["a"], ["a", "c"], ["d"]]  # robertson: idf("a") is clamped to 0
    found, scores = BM25("robertson").index(docs).retrieve([["a"], ["d"]], k=4)
    assert found.tolist() == [[0, 1, 2, -1], [3, -1, -1, -1]]
    assert scores[0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("method", ["bm25l", "bm25+"])
def test_absent_terms_rank_nothing(method: str) -> None:
    model = BM25(method).index(ZOO)
    assert (model.get_scores(["ocean"]) > 0).all()
    found, _ = model.retrieve([["ocean"]], k=5)
    assert found.tolist() == [[4, -1, -1, -1, -1]]


def test_repeated_query_tokens_count() -> None:
    model = BM25().index(ZOO)
    np.testing.assert_allclose(
        model.get_scores(["cat", "cat", "dog"]),
        2 * model.get_scores(["cat"]) + model.get_scores(["dog"]),
        rtol=1e-6,
    )


# ---- Edges


@pytest.mark.parametrize("make", MODELS, ids=[*METHODS, "query-side"])
def test_empty_documents_and_queries(make: Callable[[], BM25 | QuerySideBM25]) -> None:
    found, scores = make().index([[], ["a"], []]).retrieve([[], ["zzz"], ["a"]], k=2)
    assert found.tolist() == [[-1, -1], [-1, -1], [1, -1]]
    assert np.isfinite(scores).all()
    nothing = make().index([[], []])
    assert nothing.retrieve([["a"]], k=3)[0].tolist() == [[-1, -1, -1]]
    assert nothing.get_scores(["a"]).tolist() == [0, 0]
    assert nothing.retrieve([], k=3)[0].shape == (0, 3)


@pytest.mark.parametrize("make", [BM25, QuerySideBM25])
def test_indexing_leaves_the_tokens_alone_and_replaces_the_old_index(
    make: Callable[[], BM25 | QuerySideBM25],
) -> None:
    tokens = Tokens.from_lists(BRIGHT_TOY)
    before = tokens.ids.copy(), tokens.offsets.copy()
    model = make().index(ZOO).index(tokens)
    np.testing.assert_array_equal(tokens.ids, before[0])
    np.testing.assert_array_equal(tokens.offsets, before[1])
    assert list(tokens) == BRIGHT_TOY
    np.testing.assert_array_equal(
        model.get_scores(["light"]), make().index(BRIGHT_TOY).get_scores(["light"])
    )
    assert not model.get_scores(["cat"]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "bm25"}, "unknown BM25 method 'bm25': expected one of lucene"),
        ({"k1": -0.1}, "k1 = -0.1: expected a finite number, at least 0"),
        ({"k1": float("nan")}, "k1 = nan"),
        ({"k1": "many"}, "k1 = 'many'"),
        ({"k1": "1.2"}, "k1 = '1.2'"),
        ({"k1": True}, "k1 = True"),
        ({"k1": 10**400}, "k1 = 1000"),
        ({"k1": 1e300}, "k1 = 1e+300: expected a finite number, at least 0, at most 1e+06"),
        ({"k1": None}, "k1 = None"),
        ({"b": 1.01}, "b = 1.01: expected a finite number, between 0 and 1"),
        ({"delta": float("inf")}, "delta = inf"),
        ({"method": "bm25l", "k1": 0, "delta": 0}, "k1 = 0: expected a number above 0"),
        ({"method": "bm25+", "k1": 0}, "k1 = 0: expected a number above 0 with bm25+"),
    ],
)
def test_bad_parameters(arguments: dict, message: str) -> None:
    with pytest.raises(InputError) as raised:
        BM25(**arguments)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_bad_calls() -> None:
    with pytest.raises(InputError, match="b = -1"):
        QuerySideBM25(b=-1)
    with pytest.raises(InputError, match="nothing is indexed"):
        BM25().retrieve([["a"]])
    with pytest.raises(InputError, match="empty collection"):
        BM25().index([])
    model = BM25().index(ZOO)
    with pytest.raises(InputError, match="nothing is indexed"):
        BM25().retrieve([])
    for k in (0, -1, 2.5, True, "2", None, float("inf"), -(10**30)):
        with pytest.raises(InputError, match="whole number of at least 1"):
            model.retrieve([["cat"]], k=k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="list of tokens"):
        model.retrieve(["cat dog"])


@pytest.mark.parametrize("make", [BM25, QuerySideBM25])
def test_every_token_input_is_one_collection(make: Callable[[], BM25 | QuerySideBM25]) -> None:
    lists = [["cat", "purr"], ["dog", "cat"], ["dog"]]
    expected = make().index(lists).retrieve([["dog", "purr"]])
    # As bm25s gives it: ids in another order and an entry that no document has.
    of_bm25s = Tokenized(ids=[[2, 0], [1, 2], [1]], vocab={"purr": 0, "dog": 1, "cat": 2, "": 3})
    queries = Tokenized(ids=[[0, 1]], vocab={"dog": 0, "purr": 1})
    asked: Any
    for corpus in (Tokens.from_lists(lists), of_bm25s, tuple(map(tuple, lists))):
        for asked in ([["dog", "purr"]], queries, Tokens.from_lists([["dog", "purr"]])):
            found = make().index(corpus).retrieve(asked)
            assert all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("k", [10**12, np.int64(2**40), 65537])
def test_a_huge_k_means_all_documents(k: int) -> None:
    docs, scores = BM25().index([["a"], ["b"], ["a"]]).retrieve([["a"]], k=k)
    assert docs.tolist() == [[0, 2, -1]] and scores.shape == (1, 3)


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ("cat", "queries 'cat': expected a list of queries"),
        (None, "queries None: expected a list"),
        ([None], "query 0: expected a list of tokens, got NoneType"),
        ([["cat"], b"cat"], "query 1: expected a list of tokens, got bytes"),
        ([[0, 1]], "token 0 is int .0., expected a text; give tokens, not their ids"),
        ([["cat", np.int64(3)]], "token 1 is int64"),
        ([["cat", ["dog"]]], "token 1 is list"),
        ([["cat", None]], "token 1 is NoneType"),
        (Tokenized(ids=[[5]], vocab={"cat": 0}), "text 0: token id 5 is not in the vocabulary"),
    ],
)
def test_queries_that_are_none(queries: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BM25().index(ZOO).retrieve(queries)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ([["a"], "a text"], "text 1: expected a list of tokens, got the text 'a text'"),
        ([["a"], None], "text 1: expected a list of tokens, got NoneType"),
        ([["a"], ["b", 1]], "text 1: token 1 is int"),
        ([["a"], ["b", {}]], "text 1: token 1 is dict"),
        (None, "expected lists of tokens, got NoneType"),
        ("a text", "expected lists of tokens, got the text"),
        (Tokens(np.array([7], np.int32), np.array([0, 1]), ["a"]), "must lie in 0..0"),
        (Tokens(np.array([0], np.int32), np.array([0, 2]), ["a"]), "offsets must ascend"),
    ],
)
def test_corpora_that_are_none(corpus: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BM25().index(corpus)


def test_a_warning_where_nothing_can_match() -> None:
    with pytest.warns(InputWarning, match="none of the documents has a token"):
        BM25().index([[], []])
    model = BM25().index(ZOO)
    with pytest.warns(InputWarning, match="none of 2 queries has a token"):
        model.retrieve([[], []])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.retrieve([[], ["cat"], ["no such animal"]])
        model.retrieve([])


# ---- Query-side BM25


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("light heat", [0.303499, 0.189739, 0.207013, 0]),
        ("light light heat oov oov", [0.329657, 0.232410, 0.196142, 0]),
        ("insect led led infrar", [0.412147, 0.515325, 0.372973, 0]),
    ],
)
def test_query_side_golden(query: str, expected: list[float]) -> None:
    """Values of BRIGHT's own code path (gensim 4.3.3, k1 = .9, b = .4)."""
    scores = QuerySideBM25().index(BRIGHT_TOY).get_scores(query.split())
    np.testing.assert_allclose(scores, expected, atol=6e-7)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("light heat", [0.758367, 0.474109, 0.517274, 0]),
        ("light light heat oov oov", [1.137550, 0.948218, 0.517274, 0]),
        ("insect led led infrar", [0.658628, 1.251531, 0.596026, 0]),
    ],
)
def test_bag_of_words_golden_of_the_same_toy(query: str, expected: list[float]) -> None:
    scores = BM25("lucene", 0.9, 0.4).index(BRIGHT_TOY).get_scores(query.split())
    np.testing.assert_allclose(scores, expected, atol=6e-7)


def test_query_side_equals_its_formula() -> None:
    docs, queries = _random_docs(5)
    k1, b = 1.3, 0.6
    avgdl = sum(map(len, docs)) / len(docs)
    known = {token for doc in docs for token in doc}

    def weight(token: str, text: list[str]) -> float:
        df = sum(token in doc for doc in docs)
        tf = text.count(token)
        norm = 1 - b + b * len(text) / avgdl
        return math.log((len(docs) + 1) / (df + 0.5)) * tf / (tf + k1 * norm)

    model = QuerySideBM25(k1, b).index(docs)
    for query in queries:
        kept = [token for token in query if token in known]
        expected = [sum(weight(t, kept) * weight(t, doc) for t in {*kept}) for doc in docs]
        np.testing.assert_allclose(model.get_scores(query), expected, rtol=1e-12)
