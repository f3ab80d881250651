"""A large collection: the same values, and memory that does not grow with its text."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ir_replications.bench.postings import PostingsBM25
from ir_replications.shared import analysis
from ir_replications.shared.analysis import corpus_tokens, tokens
from ir_replications.shared.data import stored
from ir_replications.shared.data.beir import read_beir
from ir_replications.shared.retrieval.bm25 import BM25
from tests.bench import synthetic
from tests.bench.synthetic import write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("synthetic"), 300)


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (1.5, 1.0), (0.0, 0.0)])
def test_the_index_is_that_of_bm25s_bit_for_bit(folder: Path, k1: float, b: float) -> None:
    found = corpus_tokens(read_beir(folder, "s"), "lucene", "space")
    ours, peer = PostingsBM25(k1, b).index(found), BM25("lucene", k1, b).index(found)
    assert ours.vocab == peer.vocab and ours.data.dtype == peer.data.dtype
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(ours, name), getattr(peer, name)), name


def test_what_stays_on_disk_is_the_same_collection(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = read_beir(folder, "s")
    of_small = corpus_tokens(small, "lucene", "space", tmp_path / "a")
    monkeypatch.setattr(stored, "LARGE", 1)
    monkeypatch.setattr(analysis, "AT_ONCE", 100)
    monkeypatch.setattr(tokens, "MAPPED", 1)
    large = read_beir(folder, "s")
    assert isinstance(large.texts, stored.StoredTexts)
    assert (large.sha256, large.doc_ids) == (small.sha256, small.doc_ids)
    assert list(large.texts) == small.texts and large.texts[3:7] == small.texts[3:7]
    assert (large.texts[-1], large.titles[0]) == (small.texts[-1], small.titles[0])
    assert pickle.loads(pickle.dumps(large.texts)) == small.texts, "as another process gets it"
    for _ in range(2):  # made, then read from the cache
        of_large = corpus_tokens(large, "lucene", "space", tmp_path / "b")
        assert isinstance(of_large.ids, np.memmap)
        assert np.array_equal(of_large.ids, of_small.ids) and of_large.vocab == of_small.vocab
        assert np.array_equal(of_large.offsets, of_small.offsets)


def test_memory_grows_neither_with_texts_nor_with_tokens(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured with few long documents: ids and places of texts are what stays in memory."""
    monkeypatch.setattr(stored, "LARGE", 1)
    monkeypatch.setattr(analysis, "AT_ONCE", 10_000)
    monkeypatch.setattr(synthetic, "VOCABULARY", 1000)  # words do stay in memory
    corpus_tokens(read_beir(folder, "s"), "bm25s", "space", tmp_path / "a")  # imports stay too
    long = write_folder(tmp_path / "long", 500, words=1200)
    size = (long / "corpus.jsonl").stat().st_size
    tracemalloc.start()
    try:
        large = read_beir(long, "s")
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
        assert large.sha256 and held < size / 8 and peak < size / 4
        tracemalloc.reset_peak()
        found = corpus_tokens(large, "bm25s", "space", tmp_path / "cache")
        after, peak_of_tokens = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    words = sum(map(len, found.vocab)) + 200 * len(found.vocab)  # with their objects and places
    ids = found.ids.nbytes
    assert ids > size / 2
    assert after - held < words + ids / 4
    assert peak_of_tokens - held < 4 * words + 1.25 * ids  # NumPy saves 16 MiB of them at once
