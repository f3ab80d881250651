"""The log of a training: JSON Lines, an object of metrics for each logged step."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write
from ir_replications.shared.reading import is_whole, parse_json, read_text


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line, without the metrics that are no finite number: JSON has none."""
    told = {k: v for k, v in entry.items() if not isinstance(v, float) or math.isfinite(v)}
    with open(path, "a", encoding="utf-8") as handle:
        handle.write(json.dumps(told) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, none where there is no file; a last one cut off by a kill is left out.

    Raises InputError, with the line, for a line that is no object or whose step is no number.
    """
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = []
    lines = read_text(path).split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entry = parse_json(line, str(path))
        except InputError:
            entry = None
        if isinstance(entry, dict) and is_whole(entry.get("step", 0)):
            entries.append(entry)
        elif number < len(lines):
            raise InputError(
                f"{path}:{number}: not a line of metrics; delete the lines from there on"
            )
    return entries


def cut(path: Path, step: int) -> None:
    """Drop the lines after a step."""
    text = until(path, step)
    with atomic_write(path) as handle:
        handle.write(text)


def until(path: Path, step: int | None) -> str:
    """The lines up to a step, or all of them, as `append` writes them."""
    kept = [e for e in read(path) if step is None or e.get("step", 0) <= step]
    return "".join(json.dumps(entry) + "\n" for entry in kept)
