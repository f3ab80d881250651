"""The command lines that make records: `replicate run`, down to the cells that were asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ir_replications.reports.claims.toml_reader import Selector

_OPTIONS = {"experiment": "--experiment", "collection": "--collection", "split": "--split"}
_OF_RECORDS = ("label",)  # in selectors, but in no config


def run_command(
    paper: str, tier: str, selectors: Sequence[Selector], named: Mapping[str, str] | None = None
) -> str:
    """The command that runs the cells of these selectors, and few others.

    `named` gives what stands for a collection on the command line, where that is not its id. What
    only some selectors ask for narrows nothing.
    """
    parts = ["replicate", "run", paper, "--tier", tier]
    for key, option in _OPTIONS.items():
        for name in _values(key, selectors):
            parts += [option, (named or {}).get(name, name)]
    keys = dict.fromkeys(key for selector in selectors for key in selector)
    for key in keys:
        values = _values(key, selectors)
        general = any(selector.get(key, "") == "" for selector in selectors)
        typed = not any("," in value or not value for value in values)
        if key not in _OPTIONS and key not in _OF_RECORDS and not general and typed:
            parts += ["--where", f"{key}={','.join(values)}"]
    return shlex.join(parts)


def config_text(value: Any) -> str:
    """A config's value as it is typed: 10.0 as 10, True as true."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(key: str, selectors: Sequence[Selector]) -> list[str]:
    """What the selectors ask for by a key, each once, in their order."""
    found: dict[str, None] = {}
    for selector in selectors:
        value = selector.get(key, [])
        found.update(dict.fromkeys(map(config_text, value if isinstance(value, list) else [value])))
    return list(found)
