"""Public names of a package that are imported when they are asked for: torch takes seconds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def public_name(package: str, places: Mapping[str, str], name: str) -> Any:
    """What `name` stands for, for a package's `__getattr__`; `places` maps names to submodules.

    Raises AttributeError for any other name, as a module does.
    """
    if name not in places:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f"{package}.{places[name]}"), name)
