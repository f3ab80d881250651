"""Which files of the project run while something is called, seen from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ir_replications.shared.own_code import ROOT, WITHOUT, files_of


def files_run(call: Callable[[], object]) -> set[str]:
    """Paths inside the checkout of the files whose functions ran, without tests and reports/."""
    found: set[str] = set()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            found.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    inside = {
        Path(name).relative_to(ROOT).as_posix() for name in found if name.startswith(f"{ROOT}/")
    }
    return {
        name
        for name in inside
        if name.startswith(("shared/", "replications/"))
        and not Path(name).name.startswith(("test_", "tiny_", "conftest"))
    }


def names_of(*modules: str) -> set[str]:
    """Paths inside the checkout of the files that a digest of the modules covers."""
    return {path.relative_to(ROOT).as_posix() for path in files_of(*modules)}


def left_out() -> set[str]:
    """Paths of the modules that a digest leaves out on purpose."""
    return {f"{name.replace('.', '/')}.py" for name in WITHOUT}
