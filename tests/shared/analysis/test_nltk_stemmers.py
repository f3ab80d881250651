"""NLTK's stemmers alone are NLTK's stemmers, and leave the package as they found it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import nltk.stem
import pytest

from ir_replications.shared.analysis import nltk_stemmers

CODE = """
import sys
from ir_replications.shared.analysis.nltk_stemmers import nltk_stemmer
porter, snowball = (nltk_stemmer(name) for name in ("porter", "snowball"))
print(*(name for name in sys.modules if name.partition(".")[0] in ("nltk", "scipy", "sklearn")))
words = open(sys.argv[1], encoding="utf-8").read().split()
here = [(porter.PorterStemmer(mode="MARTIN_EXTENSIONS").stem(w), snowball.EnglishStemmer().stem(w))
        for w in words]
import nltk.stem, nltk.corpus
there = [(nltk.stem.PorterStemmer(mode="MARTIN_EXTENSIONS").stem(w),
          nltk.stem.SnowballStemmer("english").stem(w)) for w in words]
print(here == there, len(set(here)), nltk.corpus.stopwords is not None)
"""


def test_they_are_the_same_without_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, __file__], capture_output=True, text=True, check=True
    )
    nothing, (same, stems, corpus) = done.stdout.splitlines()[0], done.stdout.split()[-3:]
    assert nothing == "" and (same, corpus) == ("True", "True") and int(stems) > 50


def test_a_package_that_is_imported_serves() -> None:
    nltk_stemmers.nltk_stemmer.cache_clear()
    assert nltk_stemmers.nltk_stemmer("porter") is nltk.stem.porter


def test_a_stemmer_that_needs_more_gets_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def not_enough() -> Iterator[None]:
        raise ImportError("cannot import name 'Tree' from 'nltk'")
        yield

    monkeypatch.delitem(sys.modules, "nltk")
    monkeypatch.setattr(nltk_stemmers, "_empty_packages", not_enough)
    monkeypatch.setattr(importlib, "import_module", lambda name: f"all of {name}")
    nltk_stemmers.nltk_stemmer.cache_clear()
    assert nltk_stemmers.nltk_stemmer("porter") == "all of nltk.stem.porter"
    nltk_stemmers.nltk_stemmer.cache_clear()
