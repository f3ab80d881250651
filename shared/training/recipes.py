"""Recipes: one YAML file per training run, read into a typed dataclass."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ir_replications.shared.errors import InputError
from ir_replications.shared.processor import has_bfloat16
from ir_replications.shared.reading import finite_number, is_finite, is_whole, read_text, user_path
from ir_replications.shared.rehearsal import shortened
from ir_replications.shared.training.bounds import bounds_of, check_value, hints_of, options_of

T = TypeVar("T")


@dataclass(frozen=True)
class _Place:
    """Where a mapping stands: the file, the keys around it, the lines of its own keys."""

    path: str
    inside: str
    lines: Mapping[str, int]

    def of(self, name: str) -> str:
        """File, line and the keys around the key `name`."""
        line = f":{self.lines[name]}" if name in self.lines else ""
        return f"{self.path}{line}: {self.inside}"


def named_recipe(folder: Path, name: str, kind: type[T], /, **changes: Any) -> T:
    """The recipe `name`.yaml of a folder, or the file that `name` is the path of.

    A precision "auto" becomes the one that this machine computes faster in.
    Raises InputError for a name that is neither, and as `read_recipe`.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    path = folder / f"{name}.yaml"
    if name not in known:
        path = user_path(name)
        if path.suffix not in (".yaml", ".yml") or not os.path.lexists(path):
            raise InputError(
                f"no recipe {name!r:.200}; expected a .yaml file or one of {', '.join(known)}"
            )
    recipe = read_recipe(path, kind, **changes)
    if getattr(recipe, "precision", None) == "auto":
        suited = "bfloat16" if has_bfloat16() else "float32"
        return replace(typing.cast(Any, recipe), precision=suited)
    return recipe


def read_recipe(path: Path | str, kind: type[T], /, **changes: Any) -> T:
    """Read a YAML mapping into the dataclass `kind`; `changes` that are not None replace values.

    Raises InputError that names the file, line and key for a file that cannot be read, a key that
    is unknown, missing or given twice, a value of another type, one that is not finite and one out
    of the bounds that its field declares (shared.training.bounds). Whole numbers serve as floats.
    Settings of a rehearsal (shared.rehearsal) come last.
    """
    from ir_replications.shared.yaml_reader import Settings, parse_yaml  # 40 ms

    data = parse_yaml(read_text(path), str(path))
    if not isinstance(data, Settings):
        raise InputError(f"{path}: expected a mapping of settings")
    given = {k: v for k, v in changes.items() if v is not None}
    for name in given:
        data.lines.pop(name, None)
    return _build(kind, shortened(data | given), _Place(str(path), "", data.lines))


def _build(kind: type[T], data: Mapping[str, Any], place: _Place) -> T:
    hints = hints_of(typing.cast(Any, kind))
    known = {field.name: field for field in fields(typing.cast(Any, kind))}
    for name in data:
        if name not in known:
            raise InputError(
                f"{place.of(name)}unknown key {name!r:.60}; expected one of {', '.join(known)}"
            )
    values = {}
    for name, field in known.items():
        if name in data:
            values[name] = _value(data[name], hints[name], name, place)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{place.of(name)}the key {name!r} is missing")
    try:
        return kind(**values)
    except InputError as error:  # settings that do not go together
        raise InputError(f"{place.of('')}{error}") from error


def _value(value: Any, hint: Any, name: str, place: _Place) -> Any:
    """The value as the type hint asks for it, inside its bounds."""
    options = [bounds_of(option) for option in options_of(hint)]
    for option, bounds in options:
        if is_dataclass(option) and isinstance(value, dict):
            inner = _Place(place.path, f"{place.inside}{name}: ", getattr(value, "lines", {}))
            return _build(typing.cast(Any, option), value, inner)
        found = _taken(value, option, name, place)
        if found is not _OTHER:
            check_value(found, bounds, f"{place.of(name)}{name}")
            return found
    wanted = " or ".join(
        ", ".join([_name(option), *map(str, bounds)]) for option, bounds in options
    )
    raise InputError(f"{place.of(name)}{name} is {value!r:.60}; expected {wanted}")


_OTHER = object()  # of another type


def _taken(value: Any, option: Any, name: str, place: _Place) -> Any:
    """The value as one type has it, `_OTHER` where it is of another."""
    if option is type(None):
        return None if value is None else _OTHER
    if typing.get_origin(option) is tuple and isinstance(value, list):
        inner = typing.get_args(option)[0]
        return tuple(_value(item, inner, name, place) for item in value)
    if typing.get_origin(option) is typing.Literal:
        # YAML 1.1 reads off as false and on as true.
        word = {False: "off", True: "on"}[value] if isinstance(value, bool) else value
        return word if isinstance(word, str) and word in typing.get_args(option) else _OTHER
    if option is float:
        # YAML 1.1 reads 1e-6 as a text.
        number = finite_number(value) if isinstance(value, str) else value
        return float(number) if number is not None and is_finite(number) else _OTHER
    if option is int:
        return value if is_whole(value, at_least=-(2**63)) else _OTHER
    return value if isinstance(option, type) and type(value) is option else _OTHER


def _name(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return " or ".join(repr(value) for value in typing.get_args(option))
    if option is type(None):
        return "null"
    if typing.get_origin(option) is tuple:
        return "a list"
    return "a finite number" if option is float else getattr(option, "__name__", str(option))
