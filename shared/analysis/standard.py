"""Lucene's StandardTokenizer and English filters in Python: UAX #29 words and their terms.

Approximations: word-break properties are those of the `regex` package's Unicode version (Lucene:
12.1), so characters that Unicode added or reclassified since may split otherwise; emoji
sequences follow a simplified pattern; lengths count code points, Lucene's count UTF-16 units; of
more than 255 underscores before a letter none is kept.
Measured against Anserini's Java analyzer on 46,724 fields of scientific, web and forum text (43,900
of them ASCII): every token stream was equal. test_lucene.py repeats the comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import regex  # type: ignore[import-untyped]
from bm25s.stopwords import STOPWORDS_EN

from ir_replications.shared.analysis.nltk_stemmers import nltk_stemmer

MAX_TOKEN_LENGTH = 255  # Lucene's default: a longer token is cut, not dropped

# The ASCII part: words join over _, letters also over ' . : and digits over ' . , ;
# Possessive and guarded underscores keep a long line of them linear.
_ASCII_RUN = r"(?:[A-Za-z](?:(?:_++|[':.])?[A-Za-z])*|[0-9](?:(?:_++|['.,;])?[0-9])*)+"
_ASCII = re.compile(rf"(?:(?<!_)_++)?{_ASCII_RUN}(?:_++{_ASCII_RUN})*_*")


def _unicode_pattern() -> str:
    """The word rules of UAX #29 (WB4 to WB13d) that Lucene's grammar follows."""
    ext = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+"

    def unit(*members: str) -> str:
        return f"(?:[{''.join(members)}]{ext})"

    hebrew, single, double = r"\p{WB=Hebrew_Letter}", r"\p{WB=Single_Quote}", r"\p{WB=Double_Quote}"
    # U+00B8 and U+02E5-02EB became letters after Unicode 12.1.
    letter = unit(r"\p{WB=ALetter}", hebrew, r"--[\u00B8\u02E5-\u02EB]")
    numeric = unit(r"\p{WB=Numeric}", r"\uFF10-\uFF19")
    katakana = unit(r"\p{WB=Katakana}")
    mid_letter = unit(r":\p{WB=MidLetter}", r"\p{WB=MidNumLet}", single)
    mid_number = unit(r"\p{WB=MidNum}", r"\p{WB=MidNumLet}", single)
    under = unit(r"\p{WB=ExtendNumLet}")
    leading = r"(?:(?<!\p{WB=ExtendNumLet})" + f"{under}++)?"
    number_run = f"{numeric}(?:(?:{under}*|{mid_number}){numeric})*"
    letter_run = f"{letter}(?:(?:{under}*|{mid_letter}){letter})*"
    hebrew_run = f"{unit(hebrew)}(?:{unit(double)}{unit(hebrew)}|{unit(single)})"
    run = f"(?:{katakana}(?:{under}*{katakana})*|(?:{hebrew_run}|{number_run}|{letter_run})+)"
    # The listed symbols were pictographic in Unicode 12.1 and are so no more.
    symbols = r"\u2388\u2600-\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712"
    pictograph = rf"[\p{{Extended_Pictographic}}{symbols}\u2763-\u2767]"
    emoji = rf"(?:{pictograph}[\uFE0F\p{{Emoji_Modifier}}]*)"
    return "|".join(
        (
            rf"[#*0-9]\uFE0F\u20E3{ext}",
            f"{leading}{run}(?:{under}++{run})*{under}*",
            r"\p{LB=Complex_Context}" + rf"(?:{ext}" + r"\p{LB=Complex_Context})*" + ext,
            unit(r"\p{Script=Han}"),
            unit(r"\p{Script=Hiragana}"),
            r"\p{WB=Regional_Indicator}{2}" + ext,
            rf"{emoji}(?:\u200D{emoji})*{ext}",
        )
    )


_UNICODE = regex.compile(_unicode_pattern(), regex.VERSION1)


def split(text: str) -> list[str]:
    """The tokens of Lucene's StandardTokenizer, as written, those above 255 characters cut."""
    pattern = _ASCII if text.isascii() else _UNICODE
    words = pattern.findall(text)
    if words and max(map(len, words)) > MAX_TOKEN_LENGTH:
        words = []
        for found in pattern.finditer(text):
            words.extend(_cut(text, found.start(), found.end(), pattern.match))
    return words


def _cut(text: str, start: int, end: int, match: Callable) -> list[str]:
    """The token at [start, end), in pieces that fit Lucene's buffer of 255 characters."""
    if end - start <= MAX_TOKEN_LENGTH:
        return [text[start:end]]
    pieces = []
    while start < end:
        piece = match(text, start, min(end, start + MAX_TOKEN_LENGTH))
        if piece:
            pieces.append(piece.group())
        start = piece.end() if piece else start + 1
    return pieces


_STOP_WORDS = frozenset(STOPWORDS_EN)  # bm25s's English list is Lucene's ENGLISH_STOP_WORDS_SET
_STEMMER = nltk_stemmer("porter").PorterStemmer
_PORTER = _STEMMER(mode=_STEMMER.MARTIN_EXTENSIONS)  # the variant of Lucene's Java class


def _lower(word: str) -> str:
    """Java's character-wise lower case: no final sigma, no expansion of one character into two."""
    return word.lower() if word.isascii() else "".join(c.lower()[0] for c in word)


@lru_cache(maxsize=1 << 17)
def term(word: str) -> str:
    """Possessive 's removed, lower case, "" for a stop word, else Porter's stem."""
    if word[-1:] in "sS" and word[-2:-1] in ("'", "\u2019", "\uff07"):
        word = word[:-2]
    word = _lower(word)
    return "" if word in _STOP_WORDS else _PORTER.stem(word, to_lowercase=False)


def terms(text: str) -> list[str]:
    """The token stream of Anserini's DefaultEnglishAnalyzer."""
    return [found for word in split(text) if (found := term(word))]
