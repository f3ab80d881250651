"""The released code's steps from a text to tokens, each of which can be left out or changed."""

from __future__ import annotations

import re
import string
from collections.abc import Callable

Split = Callable[[str], list[str]]

_QUOTES_AND_DASH = "\u2018\u2019\u00b4\u201c\u201d\u2013"
_ACRONYM_DOT = re.compile(r"\.(?!(\S[^. ])|\d)")


def splitter(stem: Callable[[str], str], change: str) -> Split:
    """Text -> tokens; `change` names the step that is changed, any other name none of them."""
    from bm25s.stopwords import STOPWORDS_EN, STOPWORDS_EN_PLUS

    lists = {"33 stop words": STOPWORDS_EN, "no stop words": ()}
    stop = frozenset(lists.get(change, STOPWORDS_EN_PLUS))
    removed = string.punctuation
    if change != "quotes and dashes as they are":
        removed += _QUOTES_AND_DASH
    blanks = str.maketrans(dict.fromkeys(removed, " "))

    def split(text: str) -> list[str]:
        text = text.lower()
        if change != "ampersands as they are":
            text = text.replace("&", " and ")
        if change != "dots of acronyms as blanks":
            text = _ACRONYM_DOT.sub("", text)
        words = (word for word in text.translate(blanks).split() if word not in stop)
        return [token for token in map(stem, words) if token]

    return split
