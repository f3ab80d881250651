"""Printed tables in CSV files: rows by their full name, and what is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.shared.data.printed import read_printed
from ir_replications.shared.errors import InputError


def test_rows_have_the_name_of_library_and_system(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('library,system,"x, y",Avg\nL,a,1.5,\n,b,-2,3e-1\n')
    printed = read_printed(path)
    assert printed.columns == ("x, y", "Avg")
    assert printed.rows == {"L a": (1.5, None), "b": (-2.0, 0.3)}
    assert printed.libraries == {"L a": "L", "b": ""}


def test_the_library_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("system,x\na,1\n")
    assert read_printed(path).rows == {"a": (1.0,)}
    assert read_printed(path).libraries == {"a": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: expected the columns"),
        ("library,x\na,1\n", ":1: expected the columns"),
        ("system,library,x\na,L,1\n", ":2: expected 2 numbers"),
        ("library,system\nL,a\n", ":1: expected the columns"),
        ("system,x,x\na,1,1\n", ":1: expected the columns"),
        ("library,system,x,y\n,a,1\n", ":2: expected 2 numbers"),
        ("system,x,y\na,1,1,1\n", ":2: expected 2 numbers"),
        ("system,x\na,1\na,1\n", ":3: expected 1 numbers"),
        ("library,system,x\n,,1\n", ":2: expected 1 numbers"),
        ("system,x\na,one\n", ":2: expected 1 numbers"),
        ("system,x\na,nan\n", ":2: expected 1 numbers"),
        ("system,x\na,1e999\n", ":2: expected 1 numbers"),
        ('system,x\n"a,1\n', ": not valid CSV"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_printed(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
