"""The errors a user can cause; the command line prints them as one line and exits with status 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input: one line naming the file and line, what was expected and what to do."""


class DivergedError(InputError):
    """A training whose loss or gradient is not finite: it ends, what else was asked for goes on."""


class MissingDependencyError(InputError):
    """A package, file or model that only some work needs is absent; the message says the remedy."""


class InputWarning(UserWarning):
    """Input that can be used and most likely was not meant so; the command line prints a note."""


@contextmanager
def costs_this_cell() -> Iterator[None]:
    """What is not to be had here (a model, a collection) fails what asks for it; others go on."""
    try:
        yield
    except InputError as error:
        raise MissingDependencyError(str(error)) from error
