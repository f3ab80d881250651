"""What of a user's text reaches a terminal, a page or a message."""

from __future__ import annotations

import unicodedata

import pytest

from ir_replications.shared.printable import printable, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("\x9b31mred", r"\x9b31mred"),  # CSI in one character
        ("a\rb\x08\x7f\x00", r"a\rb\x08\x7f\x00"),
        ("two\nlines\t", r"two\nlines\t"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("a\u2066b\u2069\u2028", r"a\u2066b\u2069\u2028"),
        ("caf\udce9", r"caf\udce9"),  # a file name that is not UTF-8
        ("\ufeffx", r"\ufeffx"),
    ],
)
def test_what_acts_is_made_visible(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "日本 語",
        "\u0645\u06cc\u200c\u062e",
        "👩\u200d🔬",
        "a\u3000b\u00a0c",
        "é\u2212",
        "C:\\x",
        "[red]",
    ],
)
def test_texts_of_every_script_stay(text: str) -> None:
    assert printable(text) == text == printable(text, lines=True)


def test_every_control_character_of_unicode_is_made_visible() -> None:
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp"):
            assert printable(chr(code)).isascii() and printable(chr(code)).isprintable()


def test_lines_may_be_kept() -> None:
    assert printable("a\n\tb\r\x1b\u2028", lines=True) == "a\n\tb\\r\\x1b\\u2028"


def test_a_quoted_value_is_short_and_one_line() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, {"a": deep}, 10**5_000, [-(10**5_000)], "x" * 10_000, "\x1b[2J\n"):
        text = shown(value)
        assert len(text) < 200 and text.isprintable()
    assert shown("=<") == "'=<'" and shown(3) == "3" and shown(None) == "None"
    assert shown(10**400) == "<number of 1329 bits>"
