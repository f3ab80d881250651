"""The retriever: inputs, results, files, and the reference code's bugs P1 to P5 by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bm25s.tokenization import Tokenized

from ir_replications.bmx import BMX
from ir_replications.bmx.experiments.authors_code import authors_code
from ir_replications.bmx.method.normalisation import Normalisation
from ir_replications.bmx.retrieval.index_files import MANIFEST
from ir_replications.shared.analysis import Tokens
from ir_replications.shared.errors import InputError, InputWarning

ANIMALS = [
    ["cat", "cat", "dog"],
    ["dog", "bird"],
    ["cat", "fish", "fish", "fish"],
    ["bird", "bird", "cat", "dog", "fish", "whale"],
    ["whale", "ocean"],
]
OPTIONS: dict[str, Any] = {
    "alpha": 1.5,
    "beta": 0.0,
    "form": "literal",
    "entropy": "uniform",
    "mean_entropy": 0.25,
    "normalisation": "plus_one",
}


def test_p1_save_and_load_keep_every_option(tmp_path: Path) -> None:
    saved = BMX(**OPTIONS).index(ANIMALS)
    saved.save(tmp_path / "index")
    loaded = BMX.load(tmp_path / "index")
    assert loaded.options == OPTIONS == saved.options
    query = ["cat", "whale", "zebra"]
    assert np.array_equal(loaded.get_scores(query), saved.get_scores(query))
    assert not np.array_equal(loaded.get_scores(query), BMX().index(ANIMALS).get_scores(query))


def test_p2_single_document() -> None:
    """By hand: N = 1, IDF = ln(4/3), E = mean E = S = 1, alpha = .5, beta = 1/ln 2."""
    model = BMX().index([["x"]])
    expected = np.log(4 / 3) * 1.5 / (1 + 0.5 + 0.5) + 1 / np.log(2)
    assert model.get_scores(["x"]) == pytest.approx([expected])
    assert model.retrieve([["x"]], k=2)[0].tolist() == [[0, -1]]


def test_p3_zero_entropy_of_every_query_term_gives_no_nan() -> None:
    """tf >= 37 has entropy 0 in float64; E is then 1: IDF 40*1.5/(40 + .5*40/20.5 + .5) + beta."""
    model = BMX().index([["x"] * 40, ["y"]])
    expected = np.log(2.0) * 40 * 1.5 / (40 + 0.5 * 40 / 20.5 + 0.5) + 1 / np.log(3)
    assert model.get_scores(["x"]) == pytest.approx([expected, 0.0])


@pytest.mark.parametrize("normalisation", ["reference", "plus_one"])
def test_p4_normalised_unknown_query_gives_zeros(normalisation: Normalisation) -> None:
    model = BMX(normalisation=normalisation).index(ANIMALS)
    assert model.get_scores(["zebra"]).tolist() == [0.0] * 5
    assert model.retrieve([["zebra"], []], k=2)[1].tolist() == [[0.0, 0.0]] * 2


def test_p5_documents_without_a_query_term_are_never_returned() -> None:
    docs, scores = BMX().index(ANIMALS).retrieve([["ocean"], ["zebra"], []], k=3)
    assert docs.tolist() == [[4, -1, -1], [-1] * 3, [-1] * 3]
    assert scores[0, 0] > 0 and not scores[0, 1:].any() and not scores[1:].any()


def test_k_beyond_the_collection() -> None:
    docs, scores = BMX().index(ANIMALS).retrieve([["cat", "dog"]], k=50)
    assert docs.shape == scores.shape == (1, 50)
    assert docs[0, :5].tolist() == [0, 3, 1, 2, -1]


def test_all_token_inputs_give_the_same_index_and_results() -> None:
    tokens = Tokens.from_lists(ANIMALS)
    queries = [["cat", "dog"], ["whale", "zebra"], []]
    expected = BMX().index(ANIMALS).retrieve(queries)
    for corpus in (tokens, tokens.to_bm25s(), tuple(map(tuple, ANIMALS))):
        model = BMX().index(corpus)
        assert (model.n_docs, model.vocabulary_size, model.avgdl) == (5, 6, 3.4)
        for form in (queries, Tokens.from_lists(queries), Tokens.from_lists(queries).to_bm25s()):
            found = model.retrieve(form)
            assert np.array_equal(found[0], expected[0])
            assert np.array_equal(found[1], expected[1])


def test_queries_in_the_index_vocabulary_need_no_lookup() -> None:
    tokens = Tokens.from_lists(ANIMALS)
    model = BMX().index(tokens)
    ids = [tokens.vocab.index(token) for token in ("fish", "ocean", "cat")]
    queries = Tokens(np.array(ids, np.int32), np.array([0, 2, 3]), tokens.vocab)
    expected = model.retrieve([["fish", "ocean"], ["cat"]])
    for found, wanted in zip(model.retrieve(queries), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_vocabulary_entries_without_occurrences_are_unknown_tokens() -> None:
    corpus = Tokenized(ids=[[0, 1], [1]], vocab={"a": 0, "b": 1, "": 2})
    model = BMX().index(corpus)
    assert model.vocabulary_size == 2
    assert not model.get_scores([""]).any() and model.get_scores(["b"]).all()


def test_threads_do_not_change_results() -> None:
    rng = np.random.default_rng(2)
    corpus = [list(rng.choice(list("abcdefghij"), 8)) for _ in range(300)]
    queries = [list(rng.choice(list("abcdefghij"), 3)) for _ in range(31)]
    model = BMX().index(corpus)
    one, three = model.retrieve(queries), model.retrieve(queries, n_threads=3)
    assert np.array_equal(one[0], three[0]) and np.array_equal(one[1], three[1])


def test_empty_documents_and_large_term_frequencies() -> None:
    """70,000 occurrences need more than 16 bits; an empty document still counts in N and avgdl."""
    model = BMX().index([["x"] * 70_000, [], ["x", "y"]])
    assert model.n_docs == 3 and model.avgdl == 70_002 / 3
    scores = model.get_scores(["x"])
    idf, beta = np.log(1 + 1.5 / 2.5), 1 / np.log(4)
    ratio = np.array([70_000, 2]) / model.avgdl
    f = np.array([70_000, 1])
    expected = idf * f * 2.5 / (f + 1.5 * ratio + 1.5) + beta
    assert scores[[0, 2]] == pytest.approx(expected) and scores[1] == 0


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ([], "no documents"),
        ([["a"], [1]], "text 1: token 0 is int"),
        ([[np.int64(1)]], "text 0: token 0 is int64"),
        (None, "the corpus: None: expected lists"),
        (Tokenized(ids=[[0]], vocab={1: 0}), "the vocabulary: token 0 is int"),
        (["a text"], "entry 0 is str, expected a list of tokens"),
        (Tokens(np.array([7], np.int32), np.array([0, 1]), ["a"]), "must lie in 0..0"),
        (Tokens(np.array([0], np.int32), np.array([0, 2]), ["a"]), "offsets must ascend"),
    ],
)
def test_bad_corpora_are_refused(corpus: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BMX().index(corpus)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"beta": float("nan")}, "beta=nan"),
        ({"form": "paper"}, "form='paper'"),
        ({"entropy": "shannon"}, "entropy='shannon'"),
        ({"normalisation": True}, "normalisation=True"),
        ({"normalisation": ["reference"]}, "normalisation="),
        ({"alpha": "1"}, "alpha='1'"),
        ({"alpha": True}, "alpha=True"),
        ({"alpha": 10**400}, "alpha=<number of 1329 bits>"),
        ({"beta": 1e308}, "beta=1e.308: expected a finite number >= 0, at most 1e.06"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BMX(**options)


def test_bad_calls_are_refused() -> None:
    with pytest.raises(InputError, match="no index yet"):
        BMX().retrieve([["cat"]])
    with pytest.raises(InputError, match="k = 0"):
        BMX().index(ANIMALS).retrieve([["cat"]], k=0)
    with pytest.raises(InputError, match="expected a list of tokens"):
        BMX().index(ANIMALS).retrieve(["cat"])


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([[0, 1]], "query 0: token 0 is int .0., expected a text; give tokens, not their ids"),
        ([["cat"], ["dog", None]], "query 1: token 1 is NoneType"),
        ([["cat", ["dog"]]], "query 0: token 1 is list"),
        ("cat", "the queries: 'cat': expected lists of tokens"),
        (None, "the queries: None: expected lists of tokens"),
        ([None], "entry 0 is NoneType"),
        (Tokenized(ids=[[5]], vocab={"cat": 0}), "token ids must lie in 0..0"),
        (Tokenized(ids=[[0]], vocab={"cat": -1}), "expected token -> id"),
    ],
)
def test_queries_that_are_none(queries: Any, message: str) -> None:
    model = BMX().index(ANIMALS)
    with pytest.raises(InputError, match=message):
        model.retrieve(queries)
    for k in ("2", None, 2.5, True, 0, -(10**30)):
        with pytest.raises(InputError, match="whole number of at least 1"):
            model.retrieve([["cat"]], k=k)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="whole number of at least 1"):
            model.retrieve_augmented([["cat"]], [[["dog"]]], 0.3, k=k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="n_threads='2'"):
        model.retrieve([["cat"]], n_threads="2")  # type: ignore[arg-type]


def test_a_huge_k_means_all_documents() -> None:
    model = BMX().index(ANIMALS)
    expected = model.retrieve([["cat"]], k=5)
    for found in (
        model.retrieve([["cat"]], k=10**12, n_threads=10**9),
        model.retrieve_augmented([["cat"]], [[]], 0.0, k=10**12),
    ):
        assert all(map(np.array_equal, found, expected))


def test_options_of_numpy_are_saved_as_numbers(tmp_path: Path) -> None:
    model = BMX(alpha=np.float32(0.5), beta=np.int64(1)).index(ANIMALS)  # type: ignore[arg-type]
    model.save(tmp_path / "index")
    assert BMX.load(tmp_path / "index").options == model.options
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: is a file; give a new folder"):
        model.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_warning_where_nothing_can_match() -> None:
    with pytest.warns(InputWarning, match="none of the documents has a token"):
        BMX().index([[], []])
    with pytest.warns(InputWarning, match="none of 1 queries has a token"):
        BMX().index(ANIMALS).retrieve([[]])


@pytest.mark.parametrize("mmap", [True, False])
def test_loaded_index_gives_the_same_results(tmp_path: Path, mmap: bool) -> None:
    model = BMX().index(ANIMALS)
    model.save(tmp_path / "new" / "index")
    loaded = BMX.load(tmp_path / "new" / "index", mmap=mmap)
    assert isinstance(loaded._ready.docs, np.memmap) is mmap
    for found, expected in zip(
        loaded.retrieve([["cat", "dog"]]), model.retrieve([["cat", "dog"]]), strict=True
    ):
        assert np.array_equal(found, expected)


def test_saving_replaces_an_index_and_nothing_else(tmp_path: Path) -> None:
    BMX().index(ANIMALS).save(tmp_path / "index")
    BMX(alpha=1.0).index(ANIMALS[:2]).save(tmp_path / "index")
    assert BMX.load(tmp_path / "index").n_docs == 2
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        BMX().index(ANIMALS).save(tmp_path / "notes")
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_a_failed_save_leaves_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BMX().index(ANIMALS).save(tmp_path / "index")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(InputError, match="No space left"):
        BMX().index(ANIMALS[:1]).save(tmp_path / "index")
    assert BMX.load(tmp_path / "index").n_docs == 5
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


@pytest.mark.parametrize("name", ["docs.npy", "tf.npy", "vocabulary.json", MANIFEST])
def test_truncated_files_are_refused(tmp_path: Path, name: str) -> None:
    BMX().index(ANIMALS).save(tmp_path / "index")
    path = tmp_path / "index" / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=name) as error:
        BMX.load(tmp_path / "index")
    assert "\n" not in str(error.value)


def edit_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "version 99, expected"),
        ({"format": "other"}, "not a bmx-index"),
        ({"options": {"alpha": 9.0}}, "edited"),
        ({"options": None}, "edited"),
        ({"sha256": {}}, "edited"),
    ],
)
def test_edited_manifests_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    BMX().index(ANIMALS).save(tmp_path / "index")
    edit_manifest(tmp_path / "index", **changes)
    with pytest.raises(InputError, match=message):
        BMX.load(tmp_path / "index")


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a saved BMX index"):
        BMX.load(tmp_path / "nowhere")
    BMX().index(ANIMALS).save(tmp_path / "index")
    (tmp_path / "index" / "tf.npy").unlink()
    with pytest.raises(InputError, match="missing"):
        BMX.load(tmp_path / "index")


def test_equals_the_authors_code_on_a_random_corpus() -> None:
    """Scores of every document and query, float32 against float64."""
    authors = authors_code()
    if authors is None:
        pytest.skip("the authors' code is absent: pip install --no-deps baguetter==0.1.1")
    rng = np.random.default_rng(9)
    words = [f"w{i}" for i in range(60)]
    corpus = [list(rng.choice(words, rng.integers(2, 50))) for _ in range(200)]
    model, reference = BMX().index(corpus), authors.index(corpus)
    for _ in range(30):
        query = list(rng.choice(words, rng.integers(1, 8)))
        np.testing.assert_allclose(
            model.get_scores(query), reference.scores(query), rtol=0, atol=1e-5
        )
