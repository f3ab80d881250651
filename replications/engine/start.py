"""The first code of a command's process: own packages, caches that can be written, one door."""

from __future__ import annotations

# The C half of `signal`: what is imported before it finds no handler for Ctrl-C.
import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start(place: str, name: str = "") -> NoReturn:
    """Be the command at `place` ("module:attribute"); end with its exit status.

    What the command imports is imported here, where a signal and a missing package end in a line.
    `name` is how its help calls it, by default by its module.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _stop)
    own_packages_first()
    from ir_replications.shared.entry import loaded, run_process

    def work() -> int | None:
        from importlib import import_module

        from ir_replications.shared.scratch import redirect_caches

        redirect_caches()
        from ir_replications.engine.door import call

        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        loaded()
        return call(command, sys.argv[1:], name or f"python -m {module}")

    run_process(work)


def own_packages_first() -> None:
    """Have `shared` and `reports` mean this suite's, whatever lies in the working directory.

    `python -m` puts that folder first; the command `replicate` does not, and does not need it.
    """
    from importlib.util import find_spec

    try:
        here = os.getcwd()
    except FileNotFoundError:  # a folder that was removed
        here = ""
    elsewhere = not here or os.path.realpath(here) != os.path.realpath(ROOT)
    if elsewhere and sys.path and sys.path[0] in ("", here):
        del sys.path[0]
    for package in ("shared", "reports"):
        spec = find_spec(package)
        if spec is None or spec.origin != os.path.join(ROOT, package, "__init__.py"):
            sys.path.insert(0, ROOT)  # a folder of PYTHONPATH hides it
            return


def _stop(_number: int, _frame: object) -> None:
    os.write(2, b"stopped\n")
    os._exit(130)
