"""How a command of a module ends: whatever the user or the machine causes is one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from shared.errors import InputError

AGAIN = "run the same command again to go on"


@contextmanager
def one_line_ends() -> Iterator[None]:
    """Print bad input, what the system refuses and want of memory as one line; exit status 2.

    After Ctrl-C the status is 130. Other failures are ours and keep their traceback.
    """
    try:
        yield
    except InputError as error:
        _end(str(error))
    except BrokenPipeError:  # whoever read the output has gone
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or ' '.join(str(error).split())}")
    except MemoryError:
        _end(f"not enough memory; close other programs or choose smaller batches, and {AGAIN}")
    except RuntimeError as error:
        if not _of_memory(error):
            raise
        _end(f"not enough memory ({str(error).splitlines()[0]:.100}); smaller batches need less")
    except KeyboardInterrupt:
        click.echo(f"interrupted; {AGAIN}", err=True)
        sys.exit(130)


def _of_memory(error: RuntimeError) -> bool:
    """Whether torch could not get the memory it asked for, on a CPU or a GPU."""
    return any(sign in str(error) for sign in ("out of memory", "can't allocate memory"))


def _end(message: str) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(2)
