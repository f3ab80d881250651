"""The first code of a command's process: own packages, caches that can be written, one door."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start(place: str, name: str) -> NoReturn:
    """Be the command at `place` ("module:attribute"), called `name`; end with its status.

    What the command imports is imported here, where a signal and a missing package end in a line.
    """
    own_packages_first()
    from shared.entry import loaded, run_process

    def work() -> int | None:
        from importlib import import_module

        from shared.scratch import redirect_caches

        redirect_caches()
        from replications.door import call

        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        loaded()
        return call(command, sys.argv[1:], name)

    sys.exit(run_process(work))


def own_packages_first() -> None:
    """Have `shared` and `reports` mean this suite's, whatever lies in the working directory.

    `python -m` puts that folder first; the command `replicate` does not, and does not need it.
    """
    from importlib.util import find_spec

    try:
        here = os.getcwd()
    except FileNotFoundError:  # a folder that was removed
        here = ""
    if sys.path and sys.path[0] in ("", here) and os.path.realpath(here) != os.path.realpath(ROOT):
        del sys.path[0]
    for package in ("shared", "reports"):
        spec = find_spec(package)
        if spec is None or spec.origin != os.path.join(ROOT, package, "__init__.py"):
            sys.path.insert(0, ROOT)  # a folder of PYTHONPATH hides it
            return
