"""Compiled functions: kept on disk for the next start where that can be, and said when built."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numba as nb
from numba.core import event
from numba.core.caching import FunctionCache, NullCache
from numba.core.compiler_lock import global_compiler_lock

from ir_replications.shared.entry import say
from ir_replications.shared.errors import InputError
from ir_replications.shared.locks import turn_at
from ir_replications.shared.scratch import private_folder

config: Any = import_module("numba.core.config")

_OURS = "ir_replications."
_VARIABLE = "NUMBA_CACHE_DIR"


def compiled(sources: tuple[Path, ...] = (), **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: numba's njit with these options, with a cache on disk where one can be.

    `sources`: every file with code of the function, where that is more than its own file: it holds
    the code of the functions that it calls, and numba would not notice an edit there.

    The cache lies where numba puts it: in NUMBA_CACHE_DIR, beside the source, or in the user's
    cache folder; where none of them can be written, in a private temporary folder; else nowhere.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        announce_compilation()
        dispatcher = nb.njit(**options)(function)
        try:
            dispatcher._cache = _Kept(function)
        except RuntimeError:  # numba found no place
            dispatcher._cache = _kept_elsewhere(function)
        if sources and isinstance(dispatcher._cache, FunctionCache):  # else nothing is kept
            dispatcher._cache._cache_file._source_stamp = _stamp(sources)
        dispatcher.compile = _in_turn(dispatcher, dispatcher.compile)
        return dispatcher

    return decorate


def _in_turn(dispatcher: Any, compile: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`compile` by one process at a time: the next finds what the first one kept.

    Two that wrote numba's index of a function at once would lose entries or mix them up.
    """

    def compile_in_turn(signature: Any) -> Any:
        with ExitStack() as held:
            held.enter_context(global_compiler_lock)  # first: another thread may hold it
            if isinstance(dispatcher._cache, FunctionCache) and not dispatcher.is_compiling:
                index = Path(dispatcher._cache._cache_file._index_path)
                with suppress(InputError):  # no file can be made there, or no locks
                    held.enter_context(turn_at(index.with_suffix(".lock")))
            return compile(signature)

    return compile_in_turn


@cache
def _stamp(sources: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(nb.__version__.encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


class _Kept(FunctionCache):
    """Numba's cache, which fails neither on a damaged file nor on a full disk."""

    def load_overload(self, *arguments: Any) -> Any:
        """What was compiled before, or None."""
        try:
            return super().load_overload(*arguments)
        except Exception:  # pickle raises everything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Keep what was compiled, if that can be."""
        with suppress(OSError):
            super().save_overload(*arguments)


def _kept_elsewhere(function: Callable[..., Any]) -> Any:
    folder = private_folder("kernels")
    if folder is not None:
        # Other processes that this one starts look there too.
        os.environ[_VARIABLE] = config.CACHE_DIR = str(folder)
        with suppress(RuntimeError):
            return _Kept(function)
    os.environ[_VARIABLE] = config.CACHE_DIR = ""
    return NullCache()


class _SayOnce(event.Listener):
    """Writes one line to stderr when the first of our functions is compiled, not loaded."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        """A function is about to be compiled; those of numba itself are parts of another."""
        dispatcher = event.data["dispatcher"]
        if not self.said and dispatcher.py_func.__module__.startswith(_OURS):
            self.said = True
            say(f"note: compiling search kernels, {_how_long(dispatcher)}")

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


def _how_long(dispatcher: Any) -> str:
    """Where the result is kept."""
    advice = f"set {_VARIABLE} to a folder that can be written"
    if isinstance(dispatcher._cache, NullCache):
        return f"in every process anew: no folder can be written to keep them; {advice}"
    folder = private_folder("kernels")
    if folder is not None and str(folder) == config.CACHE_DIR:
        return f"kept in {folder}; {advice} to keep them longer"
    return "once on this machine"


@cache
def announce_compilation() -> None:
    """Have this process say when it compiles."""
    event.register("numba:compile", _SayOnce())
