"""Typed access to a TOML table; what is wrong is said with file, entry and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from shared.errors import InputError

Scalar = str | int | float | bool
Selector = Mapping[str, Scalar | list[Scalar]]
Parts = tuple[str | tuple[str, ...], ...]  # an inner tuple has the weight of one part


class Keys:
    """The keys of one TOML table; each is taken once, `done` refuses what is left."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.left = dict(data)
        self.where = where

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise InputError about one key."""
        raise InputError(f"{self.where}: key {key!r} {expected}")

    def name_by(self, key: str) -> None:
        """Name this entry by one of its values in later messages."""
        if isinstance(self.left.get(key), str):
            self.where = f"{self.where} {self.left[key]!r}"

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.left:
            self.fail(key, "is unknown here; remove it or correct its spelling")

    def text(self, key: str, *, required: bool = False, default: str = "") -> str:
        """A text; surrounding blanks of multi-line strings are removed."""
        value = self._take(key, required, default)
        if not isinstance(value, str):
            self.fail(key, f'must be text, e.g. {key} = "..."')
        if required and not value.strip():
            self.fail(key, "must not be empty")
        return value.strip()

    def url(self, key: str) -> str:
        """A text that is empty or an http(s) address, since pages make a link of it."""
        value = self.text(key)
        if value and not value.startswith(("https://", "http://")):
            self.fail(key, "must start with https://")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(key, False, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(key, f'must be a list of texts, e.g. {key} = ["..."]')
        return tuple(value)

    def parts(self, key: str) -> Parts:
        """A list of texts; a list inside it stands for one part, the mean of its members."""
        value = self._take(key, False, [])
        members = [part if isinstance(part, list) else [part] for part in value]
        names = [name for group in members for name in group]
        if not isinstance(value, list) or not all(isinstance(name, str) for name in names):
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
        lists = {name: inner.parts(name) for name in names if name in inner.left}
        inner.done()
        return lists

    def choice(self, key: str, allowed: Sequence[str], *, required: bool = False) -> str:
        """One of `allowed`, or "" when absent."""
        value = self._take(key, required, "")
        if value not in allowed and (required or value != ""):
            self.fail(key, f"must be one of {', '.join(allowed)}; found {value!r}")
        return value

    def choices(
        self, key: str, allowed: Sequence[str], *, required: bool = False
    ) -> tuple[str, ...]:
        """A list of values out of `allowed`, in the order of `allowed`."""
        value = self._take(key, required, [])
        if not isinstance(value, list) or any(item not in allowed for item in value):
            self.fail(key, f"must be a list out of {', '.join(allowed)}; found {value!r}")
        return tuple(item for item in allowed if item in value)

    def flag(self, key: str) -> bool:
        """true or false; absent is false."""
        value = self._take(key, False, False)
        if not isinstance(value, bool):
            self.fail(key, "must be true or false")
        return value

    def integer(self, key: str, *, default: int = 0) -> int:
        """A whole number that is not negative."""
        value = self._take(key, False, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.fail(key, "must be a whole number >= 0")
        return value

    def number(
        self, key: str, *, required: bool = False, default: float | None = None
    ) -> float | None:
        """A number, or `default` when absent."""
        value = self._take(key, required, default)
        if value is default:
            return default
        if not is_number(value):
            self.fail(key, f"must be a number; found {value!r}")
        return float(value)

    def numbers(self, key: str) -> float | Mapping[str, float] | None:
        """A number, or a table of numbers (one per group), or None when absent."""
        value = self._take(key, False, None)
        if isinstance(value, dict) and all(is_number(item) for item in value.values()):
            return {name: float(item) for name, item in value.items()}
        if value is not None and not is_number(value):
            self.fail(key, "must be a number or a table of numbers, one per group")
        return None if value is None else float(value)

    def values(self, key: str, width: int) -> tuple[float | None, ...]:
        """`width` printed values, "" for one without a source; absent: all without."""
        value = self._take(key, False, [""] * width)
        if not isinstance(value, list) or len(value) != width:
            found = len(value) if isinstance(value, list) else "no list"
            self.fail(key, f"must have {width} entries, one per column; found {found}")
        for item in value:
            if item != "" and not is_number(item):
                self.fail(key, f'must hold numbers, or "" where no source gives one; not {item!r}')
        return tuple(None if item == "" else float(item) for item in value)

    def selector(self, key: str, *, required: bool = False) -> Selector:
        """A table of config values; a list stands for any of its values."""
        value = self._take(key, required, {})
        if not isinstance(value, dict):
            self.fail(key, f'must be a table, e.g. {key} = {{system = "..."}}')
        for name, item in value.items():
            for single in item if isinstance(item, list) else [item]:
                if not isinstance(single, (str, int, float, bool)):
                    self.fail(key, f"entry {name!r} must be text, a number, true, false or a list")
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
        return [Keys(item, f"{self.where}: [[{key}]] {n}") for n, item in enumerate(value, 1)]

    def _take(self, key: str, required: bool, default: Any) -> Any:
        if key not in self.left and required:
            self.fail(key, "is missing")
        return self.left.pop(key, default)


def is_number(value: Any) -> bool:
    """True for a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
