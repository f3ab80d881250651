"""Which modules of the project run while something is called, seen from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ir_replications.shared.own_code import WITHOUT, files_of


def modules_run(call: Callable[[], object]) -> set[str]:
    """The modules whose functions ran, without tests, their tiny models and reports/."""
    found: set[str] = set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            found.add(frame.f_globals.get("__name__") or "")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return {
        name
        for name in found
        if name.startswith("ir_replications.")
        and not name.startswith("ir_replications.reports.")
        and ".tests." not in name
        and not name.rpartition(".")[2].startswith("tiny_")
    }


def modules_of(*modules: str) -> set[str]:
    """The modules that a digest of these covers."""
    return set(files_of(*modules))


def left_out() -> set[str]:
    """The modules that a digest leaves out on purpose."""
    return set(WITHOUT)
