"""What ids, titles, texts and grades may be."""

from __future__ import annotations

import math
import unicodedata
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_replications.shared.errors import InputError
from ir_replications.shared.fields import MAX_GRADE, check_grade, check_id, check_text, check_title


def unfit(id: str) -> bool:
    """Whether a file of tab-separated lines could lose or change this id, said another way."""
    kinds = {unicodedata.category(character) for character in id}
    return not id or id != id.strip() or bool(kinds & {"Cc", "Cs", "Zl", "Zp"}) or "\ufeff" in id


@given(st.text(st.characters(), max_size=4))
def test_an_id_is_refused_where_a_file_could_not_hold_it(id: str) -> None:
    if unfit(id):
        with pytest.raises(InputError, match=r"^f:3: id ") as caught:
            check_id(id, "id", "f:3")
        assert str(caught.value).isprintable()
    else:
        assert check_id(id, "id") == id


@pytest.mark.parametrize(
    "id", ["0", "MED-10", '"Weird Al" 1', "<dbpedia:Ü>", "日本 語", "م\u200cن", "#1", "=1+1"]
)
def test_ids_of_real_collections_stay(id: str) -> None:
    assert check_id(id, "id") == id


def test_an_id_is_a_text_and_in_tables_perhaps_a_whole_number() -> None:
    assert check_id(12, "id", numbers=True) == "12"
    for value in (12, None, True, 1.0, ["a"], b"a"):
        with pytest.raises(InputError, match=r"^id is \w+, expected a string in quotes$"):
            check_id(value, "id")
    for value in (None, True, 1.0, -1, 10**5000):
        with pytest.raises(InputError, match=r"^id is \w+, expected a string in quotes$"):
            check_id(value, "id", numbers=True)


def test_a_title_may_be_null_and_a_text_may_not() -> None:
    assert (check_title(None), check_title(""), check_title("T")) == ("", "", "T")
    assert check_text("", "text") == ""
    for value in (0, False, [], ["T"]):
        with pytest.raises(InputError, match=r'^f:1: "title" is \w+, expected a string'):
            check_title(value, "f:1")
    with pytest.raises(InputError, match="text is NoneType"):
        check_text(None, "text")
    with pytest.raises(InputError, match=r"text holds '\\ud83d', half a character"):
        check_text("x\ud83d", "text")


@pytest.mark.parametrize(
    ("value", "grade"),
    [
        (2, 2), (2.0, 2), ("2", 2), ("2.0", 2), (" 2 ", 2), ("+2", 2), ("-1", -1), (-0.0, 0),
        (np.int64(3), 3), (np.float32(3), 3), (Fraction(4, 2), 2), (1000, 1000),
    ],
)  # fmt: skip
def test_whole_numbers_are_grades(value: object, grade: int) -> None:
    found = check_grade(value)
    assert found == grade and type(found) is int


@pytest.mark.parametrize(
    "value",
    [
        1.5, "1.5", True, False, np.bool_(True), None, "", "x", "1_0", "\uff11", "\u0661", "0x1",
        "nan", "inf", math.nan, math.inf, [1], "1\u00a0", "1e99999", "2e0",
    ],
)  # fmt: skip
def test_what_is_no_grade(value: object) -> None:
    with pytest.raises(InputError, match=r"^f:7: grade .* is not a whole number"):
        check_grade(value, "f:7")


@pytest.mark.parametrize("value", [1001, -1001, 1e300, "9" * 18, 10**400])
def test_grades_have_bounds(value: object) -> None:
    with pytest.raises(InputError, match=rf"^grade .*, expected one of -{MAX_GRADE} to") as caught:
        check_grade(value)
    assert len(str(caught.value)) < 120


def test_a_grade_of_thousands_of_digits_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^grade of too many digits, expected one of"):
        check_grade(10**5000)


def test_a_grade_in_powers_of_ten_is_none_since_trec_eval_reads_another() -> None:
    for text in ("1e3", "1E1", "2e0"):
        with pytest.raises(InputError, match="is not a whole number"):
            check_grade(text, "here")
    assert check_grade("2.0", "here") == 2 and check_grade(1e2, "here") == 100
