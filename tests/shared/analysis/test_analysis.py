"""Tokens and analyzers: hand-derived token streams, independent oracles, and the disk cache."""

from __future__ import annotations

import re
import string
import sys
import warnings
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import pytest
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS
from nltk.stem import SnowballStemmer

import ir_replications.shared.analysis
from ir_replications.shared.analysis import (
    ANALYZERS,
    Tokens,
    corpus_tokens,
    tokenize,
    tokenize_queries,
)
from ir_replications.shared.analysis.analyzers import get_analyzer
from ir_replications.shared.analysis.standard import split
from ir_replications.shared.data import Collection, load_collection, make_collection
from ir_replications.shared.errors import InputError, InputWarning, MissingDependencyError

FOX = [
    "The quick brown fox jumps over the lazy dog.",
    "A quick-witted fox doesn't jump; it runs & hides.",
    "Dogs are lazy, but foxes are clever animals.",
    "U.S. researchers studied caf\u00e9-going foxes in 2024 (see fox.org).",
    "Running shoes for running: the runner's guide to running.",
]
EXOTIC = [
    "",
    " \t\n",
    "the of and",
    "!!! ... ---",
    "na\u00efve \u00dcber \u0130stanbul \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\u65e5\u672c\u8a9e \u30ab\u30bf\u30ab\u30ca \u3072\u3089 \ud55c\uad6d\uc5b4",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \U0001f600 \U0001f1e9\U0001f1ea 1\ufe0f\u20e3",
    "a" * 5000,
    "_" * 300_000 + " x_" + "." * 300_000,
    "\x00\x1c\u00a0\u2028\ufeff\u200b end",
]


# ---- Tokens


def test_tokens_hold_lists_in_csr_form() -> None:
    tokens = Tokens.from_lists([["b", "a", "b"], [], ["c"]])
    assert tokens.ids.tolist() == [0, 1, 0, 2] and tokens.ids.dtype == np.int32
    assert tokens.offsets.tolist() == [0, 3, 3, 4] and tokens.offsets.dtype == np.int64
    assert tokens.vocab == ["b", "a", "c"]
    assert len(tokens) == 3 and tokens.lengths.tolist() == [3, 0, 1]
    assert list(tokens) == [["b", "a", "b"], [], ["c"]] and tokens[-1] == ["c"]
    with pytest.raises(IndexError):
        tokens[3]
    ids, vocab = tokens.to_bm25s()
    assert list(ids) == [[0, 1, 0], [], [2]] and vocab == {"b": 0, "a": 1, "c": 2}


def test_a_text_in_the_place_of_a_list_is_refused() -> None:
    with pytest.raises(InputError, match="list of tokens"):
        Tokens.from_lists(["not tokens"])
    with pytest.raises(InputError, match="list of texts"):
        tokenize("one text", "lucene")
    with pytest.raises(InputError, match=r"unknown analyzer 'porter'.*lucene, bm25s, baguetter"):
        tokenize(["x"], "porter")


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_exotic_texts_give_valid_tokens(analyzer: str) -> None:
    tokens = tokenize(EXOTIC, analyzer)
    assert len(tokens) == len(EXOTIC)
    assert tokens.offsets[0] == 0 and tokens.offsets[-1] == len(tokens.ids)
    assert set(tokens.ids.tolist()) == set(range(len(tokens.vocab)))
    assert len(set(tokens.vocab)) == len(tokens.vocab) and "" not in tokens.vocab
    assert [len(t) for t in tokens][:4] == [0, 0, 0, 0]
    assert tokenize_queries(EXOTIC, analyzer) == list(tokens)
    assert len(tokenize([], analyzer)) == 0


# ---- "lucene": expected streams follow UAX #29 and Porter's algorithm by hand


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick brown fox's running quickly!", "quick brown fox run quickli"),
        ("3.14 1,000.5 2;3 1.2.3. v1.0", "3.14 1,000.5 2;3 1.2.3 v1.0"),
        ("don't state-of-the-art wi-fi", "don't state art wi fi"),
        ("snake_case __init__ _ ___ a_1_b", "snake_cas __init__ a_1_b"),
        ("me@site.org a:b C++ x,y", "me site.org a:b c x y"),  # comma joins digits only
        ("O'Neil's U.S.A.'s dogs' DOG'S", "o'neil u.s.a s dog dog"),  # no word joins over .'
        ("fox\u2019s it's The's", "fox"),  # "it" and "the" are stop words once 's is gone
        ("As AS bs us", "bs us"),  # no stemming below three letters
        ("psychology assembly caresses ponies", "psycholog assembl caress poni"),
        (
            "\u65e5\u672c\u8a9e \u30ab\u30bf\u30ab\u30ca",
            "\u65e5 \u672c \u8a9e \u30ab\u30bf\u30ab\u30ca",
        ),
        ("caf\u00e9 na\u00efve r\u00e9sum\u00e9s", "caf\u00e9 na\u00efv r\u00e9sum\u00e9"),
        ("10\u202f000 \u00b5m", "10\u202f000 \u00b5m"),  # narrow no-break space joins words
    ],
)
def test_lucene_by_hand(text: str, expected: str) -> None:
    assert tokenize([text], "lucene")[0] == expected.split(" ")


def test_lucene_cuts_long_tokens_at_255_characters() -> None:
    assert [len(word) for word in split("x" * 600 + " y")] == [255, 255, 90, 1]
    assert split("a" * 255 + ".b") == ["a" * 255, "b"]
    assert split("a" * 254 + ".b") == ["a" * 254, "b"]  # the dot does not fit with its letter
    assert split("a" * 253 + ".b c") == ["a" * 253 + ".b", "c"]


def test_lucene_stop_words_are_the_33_of_lucene() -> None:
    stop_words = (
        "a an and are as at be but by for if in into is it no not of on or such that the their "
        "then there these they this to was will with"
    )
    assert stop_words.count(" ") == 32 and tokenize_queries([stop_words], "lucene") == [[]]
    assert tokenize_queries(["from has he which you"], "lucene") == [
        ["from", "ha", "he", "which", "you"]
    ]


# ---- "bm25s" against the library


def test_bm25s_equals_the_library() -> None:
    texts = FOX + EXOTIC + ["Organization of the organisms, x yz 42 a_b"]
    stemmer = Stemmer.Stemmer("english")
    expected = bm25s.tokenize(texts, stemmer=stemmer, return_ids=False, show_progress=False)
    assert list(tokenize(texts, "bm25s")) == expected


# ---- "baguetter" against its published tokens and its steps taken one at a time


def test_baguetter_golden_tokens() -> None:
    bakery = [
        "Freshly crusty baked sourdough bread with a crispy crust",
        "Flaky croissants made with French butter",
        "Chocolate chip cookies with chunks of dark chocolate",
    ]
    expected = [
        "fresh crusti bake sourdough bread crispi crust",
        "flaki croissant made french butter",
        "chocol chip cooki chunk dark chocol",
        "quick brown fox jump lazi dog",
        "quick wit fox jump run hide",
        "dog lazi fox clever anim",
        "us research studi caf\u00e9 go fox 2024 see fox org",
        "run shoe run runner guid run",
    ]
    assert [" ".join(t) for t in tokenize(bakery + FOX, "baguetter")] == expected


@cache
def _nltk(word: str) -> str:
    return _SNOWBALL.stem(word)


_SNOWBALL = SnowballStemmer("english")


def _baguetter_steps(text: str) -> list[str]:
    text = text.lower()
    text = text.replace("&", " and ")
    for old, new in zip("\u2018\u2019\u00b4\u201c\u201d\u2013", "'''\"\"-", strict=True):
        text = text.replace(old, new)
    text = re.sub(r"\.(?!(\S[^. ])|\d)", "", text)
    for mark in string.punctuation:
        text = text.replace(mark, " ")
    words = [word for word in text.split() if word not in STOPWORDS_EN_PLUS]
    return [stem for stem in map(_nltk, words) if stem]


def test_baguetter_takes_the_steps_in_order() -> None:
    texts = [
        *FOX,
        *EXOTIC[:8],
        "R&D at AT&T. 3.5 e.g. i.e. U.S.A. a.b.c. end.Next ...x .5 x. y",
        "\u201cDon\u2019t\u201d \u2013 it\u2019s mustn\u2018t \u2014 em\u2026 100\u00b4s",
        "organization organic emergency evening internal biologist generationally",
    ]
    assert list(tokenize(texts, "baguetter")) == [_baguetter_steps(text) for text in texts]
    assert tokenize_queries(["organization"], "baguetter") == [["organ"]]  # PyStemmer 3: organiz


def test_baguetter_has_the_179_stop_words_of_nltk() -> None:
    assert len(set(STOPWORDS_EN_PLUS)) == 179
    assert sum("'" in word for word in STOPWORDS_EN_PLUS) == 26
    plain = [word for word in STOPWORDS_EN_PLUS if "'" not in word]
    assert tokenize_queries([" ".join(plain).upper()], "baguetter") == [[]]


@pytest.mark.parametrize("name", ["beir/scifact", "classic/cacm"])
def test_baguetter_on_real_text(name: str, data_root: Path) -> None:
    texts = load_collection(name, data_root=data_root).contents("newline")[:1500]
    assert list(tokenize(texts, "baguetter")) == [_baguetter_steps(text) for text in texts]


# ---- The disk cache


@pytest.fixture
def toy() -> Collection:
    documents = {f"d{i}": (f"Title {i}", text) for i, text in enumerate(FOX)}
    return make_collection("toy/fox", documents, {"q": "fox"}, {"test": {"q": {"d0": 1}}})


def _forbid_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("tokenised again instead of read from the cache")

    monkeypatch.setattr(ir_replications.shared.analysis, "_tokenize", refuse)


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_cache_gives_the_same_tokens(
    toy: Collection, analyzer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = corpus_tokens(toy, analyzer, "newline", tmp_path)
    assert list(first) == list(tokenize(toy.contents("newline"), analyzer))
    _forbid_analysis(monkeypatch)
    again = corpus_tokens(toy, analyzer, "newline", tmp_path)
    assert again.vocab == first.vocab
    assert again.ids.dtype == np.int32 and again.offsets.dtype == np.int64
    assert np.array_equal(again.ids, first.ids) and np.array_equal(again.offsets, first.offsets)
    with pytest.raises(AssertionError, match="again"):
        corpus_tokens(toy, analyzer, "omit", tmp_path)


def test_cache_keys_and_default_folder(
    toy: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path))
    for analyzer in ANALYZERS:
        for title in ("newline", "omit"):
            corpus_tokens(toy, analyzer, title)
    assert len(list(tmp_path.glob("tokens/*.npz"))) == 6
    assert len(list(tmp_path.rglob("*"))) == 7  # no temporary file left


def test_damaged_cache_file_is_built_again(toy: Collection, tmp_path: Path) -> None:
    expected = list(corpus_tokens(toy, "lucene", "omit", tmp_path))
    (path,) = tmp_path.glob("tokens/*.npz")
    sound = path.read_bytes()
    flipped = [
        sound[:at] + bytes([sound[at] ^ 0x5A]) + sound[at + 1 :]
        for at in range(0, len(sound), max(1, len(sound) // 60))
    ]
    for bad in [b"", b"garbage", sound[: len(sound) // 2], sound[:-1], *flipped]:
        path.write_bytes(bad)
        assert list(corpus_tokens(toy, "lucene", "omit", tmp_path)) == expected
        assert list(corpus_tokens(toy, "lucene", "omit", tmp_path)) == expected
    path.write_bytes(b"garbage")
    corpus_tokens(toy, "lucene", "omit", tmp_path)
    with np.load(path, allow_pickle=False) as repaired:  # the file on disk is whole again
        assert repaired["ids"].dtype == np.int32


def test_cache_of_another_key_is_not_used(toy: Collection, tmp_path: Path) -> None:
    corpus_tokens(toy, "lucene", "omit", tmp_path)
    (path,) = tmp_path.glob("tokens/*.npz")
    corpus_tokens(toy, "bm25s", "omit", tmp_path)
    (other,) = set(tmp_path.glob("tokens/*.npz")) - {path}
    path.write_bytes(other.read_bytes())
    assert list(corpus_tokens(toy, "lucene", "omit", tmp_path)) == list(tokenize(FOX, "lucene"))


def test_cache_that_cannot_be_written_costs_only_time(toy: Collection, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a file where the folder should be")
    tokens = corpus_tokens(toy, "bm25s", "omit", tmp_path)
    assert list(tokens) == list(tokenize(FOX, "bm25s"))


def test_vocabulary_is_in_order_of_first_occurrence() -> None:
    tokens = tokenize(FOX, "lucene")
    first = [int(np.flatnonzero(tokens.ids == i)[0]) for i in range(len(tokens.vocab))]
    assert all(left < right for left, right in pairwise(first))


def test_other_languages_take_their_own_stop_words_and_stemmer() -> None:
    tokens = tokenize_queries(["Die Häuser der kleinen Stadt", "Das ist nicht"], "baguetter-german")
    assert tokens == [["haus", "klein", "stadt"], []]
    with pytest.raises(InputError, match="baguetter-<language>"):
        tokenize_queries(["x"], "baguetter-klingon")


@pytest.mark.parametrize("analyzer", ANALYZERS)
@pytest.mark.parametrize("missing", [None, float("nan"), 3, b"cat"])
def test_a_text_that_is_none_is_named(analyzer: str, missing: Any) -> None:
    with pytest.raises(InputError, match=f"text 1 is {type(missing).__name__}, expected a text"):
        tokenize(["a cat", missing], analyzer)
    with pytest.raises(InputError, match="expected a list of texts"):
        tokenize(missing, analyzer)


JAPANESE = ["\u8001\u5b50\u306f\u3001\u4e2d\u56fd\u6625\u79cb\u6642\u4ee3\u306e\u54f2\u5b66\u8005"]
BIGRAMS = ["\u8001\u5b50\u306f", "\u3001", "Abc 2"]


def test_text_without_blanks_is_cut_by_character_and_by_pairs() -> None:
    assert tokenize_queries(["\u8001\u5b50 \u306f", "Abc."], "characters") == [
        ["\u8001", "\u5b50", "\u306f"], ["b", "c"],  # "a" is a stop word in the released code
    ]  # fmt: skip
    assert tokenize_queries(BIGRAMS, "bigrams") == [
        ["\u8001\u5b50", "\u5b50\u306f"], [], ["abc", "2"],
    ]  # fmt: skip
    assert tokenize_queries(["\uc11c\uc6b8 \ud0d1A"], "bigrams") == [
        ["\uc11c\uc6b8", "\ud0d1", "a"]
    ]
    for analyzer in ("characters", "bigrams"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tokenize(JAPANESE, analyzer)


def test_japanese_words_are_those_of_janome() -> None:
    pytest.importorskip("janome")
    assert tokenize_queries(
        ["\u8001\u5b50\u306f\u3001\u54f2\u5b66\u8005\u3067\u3042\u308b\u3002"], "janome"
    ) == [["\u8001\u5b50", "\u306f", "\u54f2\u5b66", "\u8005", "\u3067", "\u3042\u308b"]]


def test_without_janome_its_analyzer_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "janome.tokenizer", None)
    get_analyzer.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"ir-replications\[japanese\]"):
        tokenize(JAPANESE, "janome")


THAI = ["\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01"]


@pytest.mark.parametrize(
    ("texts", "warned"),
    [(JAPANESE, {"bm25s", "baguetter"}), (THAI, set(ANALYZERS)), (["a cat purrs"], set()),
     (["\ud55c\uad6d\uc5b4 \ubb38\uc7a5"], set()), ([""], set(ANALYZERS)), ([], set())],
)  # fmt: skip
def test_analyzers_that_cannot_read_a_script_say_so(texts: list[str], warned: set[str]) -> None:
    for analyzer in ANALYZERS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tokenize(texts, analyzer)
        lines = [str(w.message) for w in caught if w.category is InputWarning]
        assert bool(lines) is (analyzer in warned), (analyzer, texts)
        assert all(f"analyzer {analyzer!r}" in line for line in lines)


@pytest.mark.parametrize("damage", ["ids", "offsets", "types", "repeated", "no text", "object"])
def test_cached_tokens_with_the_right_checksum_are_checked_as_well(
    tmp_path: Path, damage: str
) -> None:
    from ir_replications.shared.analysis.tokens import Tokens, read_tokens, write_tokens

    tokens = Tokens.from_lists([["a", "b"], ["a"]])
    ids, offsets, vocab = tokens.ids, tokens.offsets, tokens.vocab
    write_tokens(tmp_path / "t.npz", tokens, {})
    assert list(read_tokens(tmp_path / "t.npz", {}) or []) == [["a", "b"], ["a"]]
    altered = {
        "ids": Tokens(ids + 1, offsets, vocab),
        "offsets": Tokens(ids, offsets[::-1].copy(), vocab),
        "types": Tokens(ids.astype("int64"), offsets, vocab),
        "repeated": Tokens(ids, offsets, ["a", "a"]),
        "no text": Tokens(ids, offsets, ["a", 1]),  # type: ignore[list-item]
        "object": Tokens(ids, offsets, {"a": 0, "b": 1}),  # type: ignore[arg-type]
    }
    write_tokens(tmp_path / "t.npz", altered[damage], {})
    assert read_tokens(tmp_path / "t.npz", {}) is None
