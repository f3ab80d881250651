"""What every reader does first: paths, pipes, texts, JSON and numbers."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import (
    finite_number,
    is_finite,
    is_whole,
    open_input,
    parse_json,
    read_json,
    read_text,
    user_path,
    whole_number,
)


def test_a_tilde_is_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("x")
    assert user_path("~/a.txt") == tmp_path / "a.txt"
    assert read_text("~/a.txt") == "x"


@pytest.mark.parametrize("path", ["", "a\0b", "~nobody-has-this-name/x"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(InputError, match=r"no path|no such user"):
        user_path(path)


def test_a_pipe_is_read_and_one_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text('{"a": 1}'))
    writer.start()
    assert read_json(pipe) == {"a": 1}
    writer.join()
    with pytest.raises(InputError, match="nobody writes to"):
        open_input(pipe)


def test_a_folder_and_a_device_are_no_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        open_input(tmp_path)
    with pytest.raises(InputError, match="is a device"):
        open_input("/dev/null")
    with pytest.raises(InputError, match="cannot be read"):
        open_input(tmp_path / "absent")


def test_a_mark_is_read_over_at_the_start_and_refused_at_a_joint(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\xef\xbb\xbf\n")
    assert read_text(path) == "one\ntwo\ufeff\n"
    path.write_bytes(b"one\ntwo\n\xef\xbb\xbfthree\n")
    with pytest.raises(InputError, match=r"t:3: a byte order mark"):
        read_text(path)
    path.write_bytes(b"one\n\xff\n")
    with pytest.raises(InputError, match=r"t:2: not UTF-8"):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "a": 1}', "'a' is given twice"),
        ('{"b": {"a": 1, "a": 2}}', "'a' is given twice"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ("[-Infinity]", "-Infinity is no JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5_000, "too many digits"),
        ('{"a": 1,}', "malformed JSON"),
        ("", "malformed JSON"),
        (r'"\ud800"', "half a character"),
    ],
)
def test_what_is_no_json(text: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"^here.*{re.escape(why)}"):
        parse_json(text, "here")


def test_json_says_the_line_and_may_repeat_a_key_with_its_value() -> None:
    with pytest.raises(InputError, match=r"here:2: malformed"):
        parse_json('{"a": 1,\n"b" 2}\n', "here")
    assert parse_json('{"a": 1, "a": 1}', "here", repeats=True) == {"a": 1}
    with pytest.raises(InputError, match="given twice"):
        parse_json('{"a": 1, "a": 2}', "here", repeats=True)
    assert parse_json(r'"\ud83d\ude00"', "here") == "\U0001f600"


def test_numbers_are_ascii_and_finite() -> None:
    assert [whole_number(t) for t in ("12", "-1", "+3", "007")] == [12, -1, 3, 7]
    for text in ("1_0", "\uff11\uff12", "\u0663", " 1", "1 ", "1.0", "", "-", "1e3", "9" * 19):
        assert whole_number(text) is None
    assert [finite_number(t) for t in ("1", "-.5", "1.", "1e-6", "2E3")] == [1, -0.5, 1, 1e-6, 2000]
    for text in ("1_0", "\uff11", "nan", "inf", "1e999", "1e99999", " 1", "", ".", "0x1", "1e"):
        assert finite_number(text) is None


def test_parsed_numbers() -> None:
    assert is_whole(0) and is_whole(3, at_least=1) and not is_whole(0, at_least=1)
    assert not is_whole(True) and not is_whole(1.0) and not is_whole(2**63) and not is_whole("1")
    assert is_finite(1) and is_finite(-0.5)
    for value in (True, float("nan"), float("inf"), 10**400, "1", None):
        assert not is_finite(value)
