"""What a training tells of how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from ir_replications.shared.progress import Lines
from ir_replications.shared.training.distributed import is_first


class Steps:
    """Counts what is done on a bar of the terminal, or in lines where there is none."""

    def __init__(self, bar: Any, lines: Lines) -> None:
        self._bar, self._lines = bar, lines

    def advance(self, number: int = 1) -> None:
        """`number` more are done."""
        self._bar.update(number)
        if is_first() and self._bar.disable:
            self._lines.advance(number)

    def note(self, **values: float) -> None:
        """Show values beside the bar."""
        self._bar.set_postfix(values, refresh=False)


@contextmanager
def followed(total: int, unit: str, *, done: int = 0, name: str | None = None) -> Iterator[Steps]:
    """Tell of `total` things, `done` of them by an earlier run; `name` stands before the bar.

    Of several processes the first tells.
    """
    lines = Lines(total, unit)
    if is_first():
        lines.advance(done, kept=True)
    hidden = None if is_first() else True  # None: hidden where stderr is no terminal
    with tqdm(total=total, initial=done, desc=name or unit, disable=hidden) as bar:
        yield Steps(bar, lines)
