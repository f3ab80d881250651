"""The first code of a command's process: no stray modules, caches that can be written, one door."""

from __future__ import annotations

# The C half of `signal`: what is imported before it finds no handler for Ctrl-C.
import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def start(place: str, name: str = "") -> NoReturn:
    """Be the command at `place` ("module:attribute"); end with its exit status.

    What the command imports is imported here, where a signal and a missing package end in a line.
    `name` is how its help calls it, by default by its module.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _stop)
    forget_working_directory()
    from ir_replications.shared.entry import loaded, run_process

    def work() -> int | None:
        from importlib import import_module

        from ir_replications.shared.scratch import redirect_caches

        redirect_caches()
        from ir_replications.engine.door import call

        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        loaded()
        if asked := os.environ.get("_REPLICATE_COMPLETE"):
            from click.shell_completion import shell_complete

            return shell_complete(command, {}, "replicate", "_REPLICATE_COMPLETE", asked)
        return call(command, sys.argv[1:], name or f"python -m {module}")

    run_process(work)


def forget_working_directory() -> None:
    """Have no file of the working directory stand for a library: `python -m` puts it first."""
    try:
        here = os.getcwd()
    except FileNotFoundError:  # a folder that was removed
        here = ""
    if sys.path and sys.path[0] in ("", here):
        del sys.path[0]


def _stop(_number: int, _frame: object) -> None:
    os.write(2, b"stopped\n")
    os._exit(130)
