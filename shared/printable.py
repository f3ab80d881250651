"""Text of others on its way to a terminal, a page or a message: nothing in it acts."""

from __future__ import annotations

import re
import reprlib

from ir_replications.shared.reading import finite_number

# Controls and escapes; overrides that turn the direction of what follows; line and paragraph
# separators; halves of characters, which no encoding can write.
_ACTING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_IN_LINES = re.compile(_ACTING.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))

# What a spreadsheet takes for a formula; the last four are full-width.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


class _Short(reprlib.Repr):
    """`repr` cut short, at any depth, for numbers of any length."""

    def repr_int(self, x: int, level: int) -> str:
        """Digits, or how many bits: Python gives no digits of very long numbers."""
        return repr(x) if x.bit_length() <= 64 else f"<number of {x.bit_length()} bits>"


_short = _Short()
_short.maxstring = _short.maxother = 60
_short.maxlevel = 2


def printable(text: object, *, lines: bool = False) -> str:
    r"""The text with characters that act made visible: ESC as \x1b, an override as \u202e.

    The result is one line, unless `lines` keeps line breaks and tabs. Letters of every script,
    joiners and blanks stay as they are.
    """
    text = str(text)
    if text.isprintable():  # by Unicode's categories: nothing of the patterns is
        return text
    pattern = _IN_LINES if lines else _ACTING
    return pattern.sub(lambda match: ascii(match[0])[1:-1], text)


def shown(value: object) -> str:
    """A parsed value as a message quotes it: short and in one line, whatever its size and depth."""
    return printable(_short.repr(value))


def spreadsheet_text(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would run it (OWASP, CSV Injection)."""
    return f"'{text}" if _FORMULA.match(text) and finite_number(text) is None else text
