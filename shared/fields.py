"""What an id, a title, a text and a grade may be: one rule each, for every reader and writer."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import NoReturn

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import finite_number, is_whole, whole_number

MAX_GRADE = 1000  # trec_eval keeps a table as long as the highest grade

# Control characters, line separators, a byte order mark, halves of characters.
_NEVER_IN_IDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def check_id(value: object, what: str, where: str = "", *, numbers: bool = False) -> str:
    """The id of a query or a document; with `numbers`, a whole number stands for its digits.

    Ids are texts; the columns of a table may be of numbers instead. An id is not empty, neither
    begins nor ends with white space, and holds no control character, line break, byte order mark
    or half a character, so that tab-separated judgements can hold it. Raises InputError, starting
    with `where` if given, that calls the id `what`.
    """
    # Printable characters but the blank are neither white space nor controls: most ids end here.
    if type(value) is str and value.isprintable() and value and " " not in (value[0], value[-1]):
        return value
    if not isinstance(value, str):
        if not numbers or not is_whole(value):
            _refuse(where, f"{what} is {type(value).__name__}, expected a string in quotes")
        return str(value)
    if not value:
        _refuse(where, f"{what} is empty; give one")
    if value.strip() != value:
        _refuse(where, f"{what} {value[:60]!r} begins or ends with white space; remove it")
    if found := _NEVER_IN_IDS.search(value):
        _refuse(where, f"{what} {value[:60]!r} holds the character {found[0]!a}; remove it")
    return value


def check_text(value: object, what: str, where: str = "") -> str:
    """A text, which may be empty; InputError, starting with `where`, for anything else."""
    if not isinstance(value, str):
        _refuse(where, f"{what} is {type(value).__name__}, expected a string in quotes")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            half = value[error.start]
            _refuse(where, f"{what} holds {half!a}, half a character; write the whole one")
    return value


def check_title(value: object, where: str = "") -> str:
    """A title, "" where a record has none or null; InputError for what is no text."""
    return "" if value is None else check_text(value, '"title"', where)


def check_grade(value: object, where: str = "") -> int:
    """A grade, given as number or as text: 2 and 2.0 are 2, 1.5 and True are no grades.

    Raises InputError, starting with `where`, for what is no whole number in ASCII digits, and for
    grades beyond MAX_GRADE on either side.
    """
    number = _whole(value)
    if number is None:
        _refuse(where, f"grade {_shown(value)} is not a whole number; write one such as 1")
    if abs(number) > MAX_GRADE:
        _refuse(where, f"grade {_shown(number)}, expected one of -{MAX_GRADE} to {MAX_GRADE}")
    return number


def _whole(value: object) -> int | None:
    if isinstance(value, str):
        text = value.strip(" \t")
        found: float | None = whole_number(text)
        if found is None and "e" not in text.lower():  # trec_eval reads 1e3 as 1
            found = finite_number(text)
        value = found
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    return int(number) if math.isfinite(number) and number.is_integer() else None


def _shown(value: object) -> str:
    if type(value) is int and value.bit_length() > 64:
        return "of too many digits"
    simple = isinstance(value, str | Real) or value is None
    return repr(value)[:60] if simple else f"of type {type(value).__name__}"


def _refuse(where: str, what: str) -> NoReturn:
    raise InputError(f"{where}: {what}" if where else what)
