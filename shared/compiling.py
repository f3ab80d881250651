"""Say once that compiled functions are built; numba keeps them on disk for the next start."""

from __future__ import annotations

import sys
from functools import cache

from numba.core import event

_OURS = ("replications.", "shared.")


class _SayOnce(event.Listener):
    """Writes one line to stderr when the first of our functions is compiled, not loaded."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        """A function is about to be compiled; those of numba itself are parts of another."""
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith(_OURS):
            self.said = True
            print("note: compiling search kernels, once on this machine", file=sys.stderr)

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


@cache
def announce_compilation() -> None:
    """Have this process say when it compiles; to be called before the first compiled function."""
    event.register("numba:compile", _SayOnce())
