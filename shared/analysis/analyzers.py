"""The named analyzers: how a text is split into words, and what each distinct word becomes."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import Stemmer

from ir_replications.shared.analysis.nltk_stemmers import nltk_stemmer
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.versions import version

# bm25s and nltk's stemmers are imported by those who need them.


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

    # nltk's Snowball English, because PyStemmer's later version stems 1 word in 1,000 otherwise
    # ("organization" -> organ / organiz).
    stop = frozenset(STOPWORDS_EN_PLUS)  # the 179 words of NLTK's list of 2024
    stem = nltk_stemmer("snowball").EnglishStemmer().stem
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


def _characters() -> Analyzer:
    """The authors' steps with the tokenizer that their Chinese README gives: every character."""
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    stop = frozenset(STOPWORDS_EN_PLUS)
    return Analyzer(
        "characters",
        f"1/bm25s {version('bm25s')}",
        lambda text: list("".join(_split_baguetter(text))),
        lambda character: () if character in stop else (character,),
    )


# Han, kana and Hangul, in runs; other words as they stand.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\uac00-\ud7af"
_CJK_OR_WORD = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+")


def _pairs(run: str) -> Sequence[str]:
    if not re.match(f"[{_CJK}]", run):
        return (run,)
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


def _bigrams() -> Analyzer:
    return Analyzer("bigrams", "1", lambda text: _CJK_OR_WORD.findall(text.lower()), _pairs)


def _janome() -> Analyzer:
    try:
        from janome.tokenizer import Tokenizer
    except ImportError as error:
        raise MissingDependencyError(
            "analyzer 'janome' needs janome: pip install 'ir-replications[japanese]'"
        ) from error
    tokenizer = Tokenizer(wakati=True)
    return Analyzer(
        "janome",
        f"1/janome {version('janome')}",
        lambda text: [str(word) for word in tokenizer.tokenize(text.lower())],
        lambda word: (word,) if any(map(str.isalnum, word)) else (),
    )


_BUILDERS: dict[str, Callable[[], Analyzer]] = {
    "lucene": _lucene,
    "bm25s": _bm25s,
    "baguetter": _baguetter,
    "characters": _characters,
    "bigrams": _bigrams,
    "janome": _janome,
}
ANALYZERS: tuple[str, ...] = ("lucene", "bm25s", "baguetter")
# For text without blanks between words: every character; pairs of neighbours in Han, kana and
# Hangul; Japanese words by the dictionary of Janome (extra "japanese").
WITHOUT_BLANKS: tuple[str, ...] = ("characters", "bigrams", "janome")
# Languages with both a Snowball stemmer and a stop word list; analyzer "baguetter-<language>".
LANGUAGES = (
    "danish", "dutch", "french", "german", "italian", "norwegian", "portuguese", "russian",
    "spanish", "swedish", "turkish",
)  # fmt: skip


@cache
def get_analyzer(name: str) -> Analyzer:
    """The analyzer of that name.

    Raises InputError for an unknown name, MissingDependencyError where its package is absent.
    """
    family, _, language = name.partition("-")
    if family == "baguetter" and language in LANGUAGES:
        return _baguetter_in(language)
    if name not in _BUILDERS:
        raise InputError(
            f"unknown analyzer {name!r}: expected one of {', '.join(_BUILDERS)}, "
            f"or baguetter-<language> with one of {', '.join(LANGUAGES)}"
        )
    return _BUILDERS[name]()
