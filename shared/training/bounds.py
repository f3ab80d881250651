"""What a setting may be, declared at its field: Annotated[int, Bounds(1, 100)].

`read_recipe` checks each value that a file gives, `check_bounds` what was built in another way.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal

from ir_replications.shared.errors import InputError


@dataclass(frozen=True)
class Bounds:
    """The least and the largest number, or of a list how many; `above`, `below` leave them out."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def allow(self, value: Any) -> bool:
        """Whether a number, or the length of a list, is inside; NaN never is."""
        number = len(value) if isinstance(value, tuple) else value
        least = self.low < number if self.above else self.low <= number
        return least and (number < self.high if self.below else number <= self.high)

    def __str__(self) -> str:
        low = f"above {self.low:,g}" if self.above else f"{self.low:,g} or more"
        return f"{low}, {'below' if self.below else 'at most'} {self.high:,g}"


@dataclass(frozen=True)
class Words:
    """A text that matches `pattern` from end to end; `meaning` says it in words."""

    pattern: str
    meaning: str

    def allow(self, value: Any) -> bool:
        """Whether the text matches."""
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.meaning


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def allow(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return value in self.words

    def __str__(self) -> str:
        return " or ".join(map(repr, self.words))


Limit = Bounds | Words | Choice

# Wider than anything that was ever trained, narrow enough for a slip of the keyboard.
Steps = Annotated[int, Bounds(1, 500_000)]
Batch = Annotated[int, Bounds(1, 65_536)]
Length = Annotated[int, Bounds(1, 131_072)]  # tokens
Depth = Annotated[int, Bounds(1, 10_000)]  # documents of a query
Few = Annotated[int, Bounds(1, 4_096)]  # ranks, processes, threads, repeated updates
Seed = Annotated[int, Bounds(0, 2**32 - 1)]  # NumPy's
Rate = Annotated[float, Bounds(0, 1, above=True)]
Precision = Literal["bfloat16", "float32", "auto"]  # "auto": see recipes.named_recipe
Share = Annotated[float, Bounds(0, 1, below=True)]
Inner = Annotated[float, Bounds(0, 1, above=True, below=True)]
Weight = Annotated[float, Bounds(0, 1_000)]
Scale = Annotated[float, Bounds(0, 1_000, above=True)]
# In the name of a folder.
Name = Annotated[str, Words(r"\w[\w.+ -]{0,99}", "1 to 100 letters, digits, _, ., + and -")]
Ref = Annotated[str, Words(r"[^\x00-\x1f\x7f-\x9f]{1,1000}", "a text of one line")]
Refs = Annotated[tuple[Ref, ...], Bounds(1, 1_000)]


def bounds_of(hint: Any) -> tuple[Any, list[Limit]]:
    """(the type without Annotated, its bounds)."""
    if typing.get_origin(hint) is not Annotated:
        return hint, []
    kind, *notes = typing.get_args(hint)
    return kind, [note for note in notes if isinstance(note, Limit)]


def options_of(hint: Any) -> tuple[Any, ...]:
    """The types that a hint allows: those of a union, else the hint itself."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


@cache
def hints_of(kind: Hashable) -> dict[str, Any]:
    """The type of every field of a dataclass, with its bounds."""
    return typing.get_type_hints(typing.cast(type, kind), include_extras=True)


def check_bounds(settings: Any, name: str) -> None:
    """Raise InputError, starting with `name`, where a field of a dataclass is out of its bounds.

    Dataclasses inside are checked as well.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            check_bounds(value, f"{name}: {field.name}")
        elif value is not None:
            for option in options_of(hints_of(typing.cast(Any, type(settings)))[field.name]):
                kind, declared = bounds_of(option)
                if typing.get_origin(kind) is typing.Literal:
                    declared = [Choice(typing.get_args(kind))]
                check_value(value, declared, f"{name}: {field.name}")


def check_value(value: Any, bounds: list[Limit], where: str) -> None:
    """Raise InputError where a value is out of one of the bounds."""
    for bound in bounds:
        if not bound.allow(value):
            what = f"has {len(value)} entries" if isinstance(value, tuple) else f"is {value!r:.60}"
            raise InputError(f"{where} {what}; expected {bound}")
