"""Typed access to a TOML table; what is wrong is said with file, entry and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ir_replications.shared.errors import InputError
from ir_replications.shared.printable import printable, shown
from ir_replications.shared.reading import is_finite, is_whole, read_text

Scalar = str | int | float | bool
Selector = Mapping[str, Scalar | list[Scalar]]
Parts = tuple[str | tuple[str, ...], ...]  # an inner tuple has the weight of one part
LARGEST = 1e15  # float64 has no decimals left for larger numbers
DECIMALS = 15
_LINE_BREAK = re.compile(r"[ \t]*\n\s*")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises InputError, starting with the path, where it is none."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = printable(error)
    except RecursionError:
        what = "nested too deeply"
    except ValueError:  # int() of thousands of digits
        what = "a number of too many digits"
    raise InputError(f"{path}: not valid TOML ({what}); correct that line")


class Keys:
    """The keys of one TOML table; each is taken once, `done` refuses what is left."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.left = dict(data)
        self.where = where

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise InputError about one key."""
        raise InputError(f"{self.where}: key {shown(key)} {expected}")

    def name_by(self, key: str) -> None:
        """Name this entry by one of its values in later messages."""
        if isinstance(self.left.get(key), str):
            self.where = f"{self.where} {shown(self.left[key])}"

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.left:
            self.fail(key, "is unknown here; remove it or correct its spelling")

    def text(self, key: str, *, required: bool = False, default: str = "") -> str:
        """A text on one line; surrounding blanks are removed, a line break counts as a blank."""
        value = self._take(key, required, default)
        if not isinstance(value, str):
            self.fail(key, f'must be text, e.g. {key} = "..."')
        if required and not value.strip():
            self.fail(key, "must not be empty")
        if printable(value, lines=True) != value:
            self.fail(key, f"holds a control character: {printable(value)[:60]}")
        return _LINE_BREAK.sub(" ", value.strip())

    def name(self, key: str, *, default: str = "", required: bool = False) -> str:
        """A text that is not empty where it is given, or `default`."""
        return self.text(key, required=required or key in self.left, default=default)

    def url(self, key: str) -> str:
        """A text that is empty or an http(s) address, since pages make a link of it."""
        value = self.text(key)
        if value and not value.startswith(("https://", "http://")):
            self.fail(key, "must start with https://")
        return value

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        value = self._take(key, required, [])
        if not isinstance(value, list) or not all(_is_text(item) for item in value):
            self.fail(key, f'must be a list of texts, e.g. {key} = ["..."]')
        if required and not value:
            self.fail(key, "must not be empty")
        return tuple(value)

    def parts(self, key: str) -> Parts:
        """A list of texts; a list inside it stands for one part, the mean of its members."""
        given = key in self.left
        value = self._take(key, False, [])
        if not isinstance(value, list) or (given and not value):
            self.fail(key, f'must be a list of texts, e.g. {key} = ["..."]')
        members = [part if isinstance(part, list) else [part] for part in value]
        names = [name for group in members for name in group]
        if not all(_is_text(name) for name in names):
            self.fail(key, f'must be a list of texts, e.g. {key} = ["..."]')
        if len(set(names)) < len(names) or not all(members):
            self.fail(key, "must not repeat a name or hold an empty list")
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)

    def parts_by(self, key: str, names: Sequence[str]) -> Mapping[str, Parts]:
        """Parts that hold for every name, or a table that gives each name its own."""
        value = self.left.get(key)
        if not isinstance(value, dict):
            same = self.parts(key)
            return dict.fromkeys(names, same) if same else {}
        inner = self.table(key)
        if not inner.left:
            self.fail(key, "must not be empty; name a tier's groups, or leave it out")
        lists = {name: inner.parts(name) for name in names if name in inner.left}
        inner.done()
        return lists

    def choice(self, key: str, allowed: Sequence[str], *, required: bool = False) -> str:
        """One of `allowed`, or "" when absent."""
        value = self._take(key, required, "")
        if value not in allowed and (required or value != ""):
            self.fail(key, f"must be one of {', '.join(allowed)}; found {shown(value)}")
        return value

    def choices(
        self, key: str, allowed: Sequence[str], *, required: bool = False, none: bool = False
    ) -> tuple[str, ...]:
        """A list of values out of `allowed`, in their order; `none`: it may be empty."""
        given = key in self.left
        value = self._take(key, required, [])
        known = isinstance(value, list) and all(item in allowed for item in value)
        if not known or (given and not value and not none):
            self.fail(key, f"must be a list out of {', '.join(allowed)}; found {shown(value)}")
        return tuple(item for item in allowed if item in value)

    def flag(self, key: str) -> bool:
        """true or false; absent is false."""
        value = self._take(key, False, False)
        if not isinstance(value, bool):
            self.fail(key, "must be true or false")
        return value

    def integer(self, key: str, *, default: int = 0, at_most: int = 10**6) -> int:
        """A whole number from 0 to `at_most`."""
        value = self._take(key, False, default)
        if not is_whole(value) or value > at_most:
            self.fail(key, f"must be a whole number >= 0, at most {at_most}; found {shown(value)}")
        return int(value)

    def decimals(self, key: str, *, default: int = 0) -> int:
        """How many digits after the point are printed."""
        return self.integer(key, default=default, at_most=DECIMALS)

    def number(
        self,
        key: str,
        *,
        required: bool = False,
        default: float | None = None,
        at_least: float = -LARGEST,
        at_most: float = LARGEST,
        above: float | None = None,
    ) -> float | None:
        """A finite number inside these limits (and `above` one), or `default` when absent."""
        if key not in self.left and not required:
            return default
        value = self._take(key, required, default)
        if not is_finite(value) or not at_least <= value <= at_most:
            limits = f" from {at_least:g} to {at_most:g}"
        elif above is not None and not value > above:
            limits = f" above {above:g}"
        else:
            return float(value)
        self.fail(key, f"must be a number{limits}; found {shown(value)}")

    def scale(self, key: str) -> float | None:
        """What a measure is multiplied by to be the printed number; None when absent."""
        return self.number(key, at_least=1e-9, at_most=1e9)

    def tolerance(self, key: str) -> float | None:
        """Half the width of an accepted band, not negative; None when absent."""
        return self.number(key, at_least=0.0)

    def numbers(self, key: str) -> float | Mapping[str, float] | None:
        """A number, or a table of numbers (one per group), or None when absent."""
        value = self._take(key, False, None)
        if value is None:
            return None
        each = value if isinstance(value, dict) else {"": value}
        if not each or not all(is_finite(n) and abs(n) <= LARGEST for n in each.values()):
            self.fail(key, "must be a finite number or a table of them, one per group")
        named = {name: float(number) for name, number in each.items()}
        return named if isinstance(value, dict) else named[""]

    def values(self, key: str, width: int) -> tuple[float | None, ...]:
        """`width` printed values, "" for one without a source; absent: all without."""
        value = self._take(key, False, [""] * width)
        if not isinstance(value, list) or len(value) != width:
            found = len(value) if isinstance(value, list) else "no list"
            self.fail(key, f"must have {width} entries, one per column; found {found}")
        for item in value:
            if item != "" and not (is_finite(item) and abs(item) <= LARGEST):
                self.fail(
                    key, f'must hold numbers, or "" where no source gives one; not {shown(item)}'
                )
        return tuple(None if item == "" else float(item) for item in value)

    def selector(self, key: str, *, required: bool = False) -> Selector:
        """A table of config values; a list stands for any of its values."""
        value = self._take(key, required, {})
        if not isinstance(value, dict):
            self.fail(key, f'must be a table, e.g. {key} = {{system = "..."}}')
        if required and not value:
            self.fail(key, f'must not be empty: it would stand for every record, e.g. {key} = '
                      '{system = "..."}')  # fmt: skip
        for name, item in value.items():
            names = item if isinstance(item, list) else [item]
            if name in ("experiment", "label") and not (names and all(map(_is_text, names))):
                self.fail(key, f"entry {name!r} must be a text or a list of them")
            for single in item if isinstance(item, list) and item else [item]:
                if not isinstance(single, (str, bool)) and not is_finite(single):
                    self.fail(
                        key,
                        f"entry {shown(name)} must be text, a finite number, true, false or a list",
                    )
        return value

    def table(self, key: str, *, required: bool = False) -> Keys:
        """A sub-table."""
        value = self._take(key, required, {})
        if not isinstance(value, dict):
            self.fail(key, f"must be a table, written [{key}]")
        return Keys(value, f"{self.where}: [{key}]")

    def mapping(self, key: str) -> Keys:
        """A sub-table of named sub-tables."""
        return self.table(key)

    def tables(self, key: str, *, required: bool = False) -> list[Keys]:
        """A list of tables."""
        value = self._take(key, required, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fail(key, f"must be a list of tables, written [[{key}]]")
        if required and not value:
            self.fail(key, "must not be empty")
        return [Keys(item, f"{self.where}: [[{key}]] {n}") for n, item in enumerate(value, 1)]

    def _take(self, key: str, required: bool, default: Any) -> Any:
        if key not in self.left and required:
            self.fail(key, "is missing")
        return self.left.pop(key, default)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and printable(value) == value
