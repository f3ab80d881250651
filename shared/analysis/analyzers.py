"""The named analyzers: how a text is split into words, and what each distinct word becomes."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import Stemmer

from ir_replications.shared.errors import InputError
from ir_replications.shared.versions import version

# bm25s and nltk (for its stemmers, with all it imports: 2 s) are imported by those who need them.


@dataclass(frozen=True)
class Analyzer:
    """`split` cuts a text into pieces; `terms` gives the tokens of one piece, none to drop it.

    `terms` is called once per distinct piece of a batch, which is what makes a slow stemmer
    affordable. `version` names everything that decides the output, so that stored tokens of
    another version are never used.
    """

    name: str
    version: str
    split: Callable[[str], list[str]]
    terms: Callable[[str], Sequence[str]]


def _bm25s() -> Analyzer:
    from bm25s.stopwords import STOPWORDS_EN

    stop = frozenset(STOPWORDS_EN)
    stem = Stemmer.Stemmer("english", 0).stemWord
    words = re.compile(r"(?u)\b\w\w+\b").findall
    return Analyzer(
        "bm25s",
        f"1/bm25s {version('bm25s')}/PyStemmer {version('PyStemmer')}",
        lambda text: words(text.lower()),
        lambda word: () if word in stop else (stem(word),),
    )


def _lucene() -> Analyzer:
    from ir_replications.shared.analysis import standard

    return Analyzer(
        "lucene",
        f"1/regex {version('regex')}/nltk {version('nltk')}/bm25s {version('bm25s')}",
        re.compile(r"[^\x00-\x20]+").findall,  # no Lucene token reaches over an ASCII blank
        standard.terms,
    )


# Typographic quotes and dashes become ASCII ones before punctuation becomes blanks: one table.
_QUOTES_AND_DASH = "\u2018\u2019\u00b4\u201c\u201d\u2013"
_BLANKS = str.maketrans(dict.fromkeys(string.punctuation + _QUOTES_AND_DASH, " "))
_ACRONYM_DOT = re.compile(r"\.(?!(\S[^. ])|\d)")


def _split_baguetter(text: str) -> list[str]:
    text = text.lower().replace("&", " and ")
    if "." in text:
        text = _ACRONYM_DOT.sub("", text)
    return text.translate(_BLANKS).split()


def _baguetter() -> Analyzer:
    from bm25s.stopwords import STOPWORDS_EN_PLUS
    from nltk.stem.snowball import EnglishStemmer

    # nltk's Snowball English, because PyStemmer's later version stems 1 word in 1,000 otherwise
    # ("organization" -> organ / organiz).
    stop = frozenset(STOPWORDS_EN_PLUS)  # the 179 words of NLTK's list of 2024
    stem = EnglishStemmer().stem
    return Analyzer(
        "baguetter",
        f"1/nltk {version('nltk')}/bm25s {version('bm25s')}",
        _split_baguetter,
        lambda word: () if word in stop else (stem(word),),
    )


def _baguetter_in(language: str) -> Analyzer:
    """The same steps for another language, whose words its Snowball stemmer and list decide."""
    from bm25s import stopwords as lists

    stop = frozenset(getattr(lists, f"STOPWORDS_{language.upper()}"))
    stem = Stemmer.Stemmer(language, 0).stemWord
    return Analyzer(
        f"baguetter-{language}",
        f"1/PyStemmer {version('PyStemmer')}/bm25s {version('bm25s')}",
        _split_baguetter,
        lambda word: () if word in stop else (stem(word),),
    )


_BUILDERS: dict[str, Callable[[], Analyzer]] = {
    "lucene": _lucene,
    "bm25s": _bm25s,
    "baguetter": _baguetter,
}
ANALYZERS: tuple[str, ...] = tuple(_BUILDERS)
# Languages with both a Snowball stemmer and a stop word list; analyzer "baguetter-<language>".
LANGUAGES = (
    "danish", "dutch", "french", "german", "italian", "norwegian", "portuguese", "russian",
    "spanish", "swedish", "turkish",
)  # fmt: skip


@cache
def get_analyzer(name: str) -> Analyzer:
    """The analyzer of that name. Raises InputError for an unknown name."""
    family, _, language = name.partition("-")
    if family == "baguetter" and language in LANGUAGES:
        return _baguetter_in(language)
    if name not in _BUILDERS:
        raise InputError(
            f"unknown analyzer {name!r}: expected one of {', '.join(ANALYZERS)}, "
            f"or baguetter-<language> with one of {', '.join(LANGUAGES)}"
        )
    return _BUILDERS[name]()
