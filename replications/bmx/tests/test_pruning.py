"""Pruned search returns exactly what exhaustive search returns, bit by bit."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types

from ir_replications.bmx import BMX
from ir_replications.bmx.experiments.zipf import queries_from, zipf_collection
from ir_replications.bmx.method.normalisation import Normalisation
from ir_replications.bmx.method.scoring import Entropy, Form
from ir_replications.bmx.retrieval import bounds, choice, retriever
from ir_replications.bmx.retrieval import index as index_module
from ir_replications.bmx.retrieval.search import search


@pytest.fixture(autouse=True)
def small_collections_take_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bitmaps and the scan of long lists start at sizes that no test collection has."""
    monkeypatch.setattr(index_module, "BITMAP_DOCS", 1)
    monkeypatch.setattr(index_module, "BITMAP_SHARE", 0.1)
    monkeypatch.setattr(index_module, "ROW_SHARE", 0.2)
    monkeypatch.setattr(retriever, "LONG_LIST", 8)


def assert_same(model: BMX, queries: list[list[str]], k: int) -> None:
    """Pruned, exhaustive and argsort of get_scores agree on documents and scores."""
    pruned = model.retrieve(queries, k, pruning=True)
    full = model.retrieve(queries, k, pruning=False)
    np.testing.assert_array_equal(pruned[0], full[0])
    np.testing.assert_array_equal(pruned[1], full[1])
    for row, query in enumerate(queries):
        scores = model.get_scores(query)
        order = np.argsort(-scores, kind="stable")[:k]
        order = order[scores[order] > 0]
        assert full[0][row].tolist() == order.tolist() + [-1] * (k - len(order))
        assert full[1][row].tolist() == scores[order].tolist() + [0.0] * (k - len(order))


@given(
    seed=st.integers(0, 10**6),
    n_docs=st.integers(1, 400),
    n_words=st.integers(1, 40),
    longest=st.integers(1, 30),
    k=st.integers(1, 40),
    form=st.sampled_from(["reference", "literal"]),
    entropy=st.sampled_from(["sigmoid", "uniform"]),
    alpha=st.sampled_from([None, 0.0, 0.5, 3.0]),
    beta=st.sampled_from([None, 0.0, 0.01, 5.0]),
    mean=st.sampled_from([None, 0.0, 0.4, 7.0]),
    normalisation=st.sampled_from([None, "reference", "plus_one"]),
)
@settings(max_examples=120, deadline=None)
def test_pruned_equals_exhaustive(
    seed: int,
    n_docs: int,
    n_words: int,
    longest: int,
    k: int,
    form: Form,
    entropy: Entropy,
    alpha: float | None,
    beta: float | None,
    mean: float | None,
    normalisation: Normalisation | None,
) -> None:
    """Skewed words (many ties and repeats), all options, small to large k."""
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(n_words)]
    skew = 1.0 / np.arange(1, n_words + 1)
    skew /= skew.sum()

    def draw(size: int) -> list[str]:
        return [words[i] for i in rng.choice(n_words, size, p=skew)]

    corpus = [draw(int(size)) for size in rng.integers(0, longest + 1, n_docs)]
    queries = [[*draw(int(size)), "oov"] for size in rng.integers(0, 9, 5)]
    model = BMX(
        alpha, beta, form, entropy=entropy, mean_entropy=mean, normalisation=normalisation
    ).index(corpus)
    assert_same(model, queries, k)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_pruned_equals_exhaustive_on_zipf_text(k: int) -> None:
    tokens = zipf_collection(5000, vocabulary=3000, lengths=(5, 60), seed=3)
    assert_same(BMX().index(tokens), queries_from(tokens, 60, seed=4), k)


def test_both_paths_agree_on_long_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The automatic choice too."""
    tokens = zipf_collection(5000, vocabulary=3000, lengths=(5, 60), seed=3)
    words = np.random.default_rng(7).permutation(tokens.vocab).tolist()
    queries = [words[start : start + 150] * 2 for start in range(0, 900, 300)]
    model = BMX().index(tokens)
    assert_same(model, queries, 10)
    monkeypatch.setattr(retriever, "BITMAP_DOCS", 1)
    full, chosen = (model.retrieve(queries, 10, pruning=mode) for mode in (False, "auto"))
    np.testing.assert_array_equal(chosen[0], full[0])
    np.testing.assert_array_equal(chosen[1], full[1])


# 300,000 documents, lists rarest first: what a query of words of all frequencies looks like.
WORDS = (40, 300, 3_000, 20_000, 250_000)
MANY = (*(10 * i for i in range(1, 80)), *(2_000 * i for i in range(1, 81)))


@pytest.mark.parametrize(
    ("sizes", "k", "prune"),
    [
        (WORDS, 10, True),
        (WORDS, 1000, False),  # a thousand leaders ask every list
        (WORDS[:2], 10, False),  # too few postings to save any
        (MANY, 10, False),  # every document asks every later list: quadratic in the terms
        (MANY, 1000, False),
        ((250_000, 260_000), 10, False),  # the rarest list holds nearly all documents
        ((5,) * 4 + (100_000,) * 3, 10, True),
        ((5,) * 4 + (100_000,) * 120, 10, False),
    ],
)
def test_the_choice_follows_the_estimated_costs(
    sizes: tuple[int, ...], k: int, prune: bool
) -> None:
    lists = np.array(sizes, np.int64)
    assert choice.pruning_pays(lists, len(lists), 300_000, k) is prune
    pruned = choice.pruned_cost(lists, len(lists), k)
    exhaustive = choice.exhaustive_cost(lists, len(lists), 300_000, k)
    assert (choice.MARGIN * pruned < exhaustive) is prune


def test_the_estimate_of_pruning_grows_with_every_cause() -> None:
    """More terms, larger k, a longer first list: each alone makes pruning dearer."""
    lists = np.array(WORDS, np.int64)
    base = choice.pruned_cost(lists, len(lists), 10)
    longer, more = lists.copy(), np.sort(np.append(lists, 100))
    longer[0] = 200
    assert choice.pruned_cost(lists, len(lists), 100) > base
    assert choice.pruned_cost(longer, len(lists), 10) > base
    assert choice.pruned_cost(more, len(more), 10) > base


@pytest.mark.parametrize("k", [10, 200, 1000])
@pytest.mark.parametrize("size", [2, 40])
def test_every_way_gives_the_same_at_large_k(k: int, size: int) -> None:
    """Gathering and halving (k > 128) keeps the canonical order among many ties too."""
    rng = np.random.default_rng(k + size)
    words = [f"w{i}" for i in range(60)]
    corpus = [[words[i] for i in rng.integers(0, 60, rng.integers(1, 9))] for _ in range(3000)]
    queries = [[words[i] for i in rng.integers(0, 60, size)] for _ in range(6)]
    assert_same(BMX().index(corpus), queries, k)


def test_ties_keep_document_order() -> None:
    corpus = [["a", "b"], ["c"]] * 100
    model = BMX().index(corpus)
    assert_same(model, [["a"], ["a", "b", "c"], ["c", "a", "c"]], 7)
    assert model.retrieve([["a"]], 3, pruning=True)[0].tolist() == [[0, 2, 4]]


def test_bounds_hold_for_every_posting_and_mean_entropy() -> None:
    """The chord of two stored minima is below the true minimum for all x in [0, 1]."""
    rng = np.random.default_rng(1)
    docs = np.arange(200, dtype=np.uint32)
    tf = rng.integers(1, 30, 200).astype(np.uint16)
    ratios = rng.random(200) * 5
    low, high, shortest = bounds.term_bounds(np.array([0, 200]), docs, tf, ratios)[0]
    assert shortest == ratios.min()
    for x in np.linspace(0, 1, 11):
        assert low + x * (high - low) <= ((ratios + x) / tf).min() + 1e-15


def test_search_leaves_its_buffers_clean() -> None:
    """A second search on the same buffers, pruned or not, starts from zeros."""
    tokens = zipf_collection(2000, vocabulary=500, lengths=(5, 30), seed=5)
    queries = queries_from(tokens, 20, seed=6)
    model = BMX().index(tokens)
    first = model.retrieve(queries, 5, pruning=False)
    for mode in (True, False, "auto", True):
        again = model.retrieve(queries, 5, pruning=mode)
        np.testing.assert_array_equal(again[0], first[0])
        np.testing.assert_array_equal(again[1], first[1])
    assert len(model._buffers) == 1 and not model._buffers[0][0].any()


def test_a_search_without_pruning_is_compiled_for_none() -> None:
    # numba then leaves out the branch with the pruning, half of the compilation.
    place = list(inspect.signature(search.py_func).parameters).index("always")
    before = {signature[place] for signature in search.signatures}
    for pruning, kind in ((False, types.none), (True, types.boolean)):
        BMX().index([["a", "b"], ["c"]]).retrieve([["a"]], 1, pruning=pruning)
        before.add(kind)
        assert {signature[place] for signature in search.signatures} == before
