"""Recipes: one YAML file per training run, read into a typed dataclass."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from shared.errors import InputError
from shared.rehearsal import shortened

T = TypeVar("T")


def read_recipe(path: Path | str, kind: type[T], /, **changes: Any) -> T:
    """Read a YAML mapping into the dataclass `kind`; `changes` that are not None replace values.

    Raises InputError that names the file and the key for a file that cannot be read, a key that
    is unknown or missing, and a value of another type. Whole numbers serve as floats. Settings of
    a rehearsal (shared.rehearsal) come last.
    """
    try:
        data = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not valid YAML; correct that line") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of settings")
    data |= {k: v for k, v in changes.items() if v is not None}
    return _build(kind, shortened(data), str(path))


def _build(kind: type[T], data: dict[str, Any], where: str) -> T:
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(typing.cast(Any, kind))}
    for name in data:
        if name not in known:
            raise InputError(f"{where}: unknown key {name!r}; expected one of {', '.join(known)}")
    values = {}
    for name, field in known.items():
        if name in data:
            values[name] = _value(data[name], hints[name], f"{where}: {name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{where}: the key {name!r} is missing")
    return kind(**values)


def _value(value: Any, hint: Any, where: str) -> Any:
    """The value as the type hint asks for it."""
    options = (
        typing.get_args(hint)
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        else (hint,)
    )
    for option in options:
        if option is type(None) and value is None:
            return None
        if is_dataclass(option) and isinstance(value, dict):
            return _build(typing.cast(Any, option), value, where)
        if typing.get_origin(option) is tuple and isinstance(value, list):
            inner = typing.get_args(option)[0]
            return tuple(_value(item, inner, where) for item in value)
        if typing.get_origin(option) is typing.Literal:
            # YAML 1.1 reads off as false and on as true.
            word = {False: "off", True: "on"}[value] if isinstance(value, bool) else value
            for meant in (value, word):
                if meant in typing.get_args(option):
                    return meant
        if option is float and type(value) in (int, float):
            return float(value)
        # YAML 1.1 reads 1e-6 as a text: accept what Python reads as a number.
        if option is float and isinstance(value, str) and _is_number(value):
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
    wanted = " or ".join(_name(option) for option in options)
    raise InputError(f"{where} is {value!r}; expected {wanted}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _name(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return " or ".join(repr(value) for value in typing.get_args(option))
    if option is type(None):
        return "null"
    if typing.get_origin(option) is tuple:
        return "a list"
    return getattr(option, "__name__", str(option))
