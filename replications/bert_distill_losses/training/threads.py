"""Torch's threads on a CPU, fixed for as long as a model is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def fixed_threads(n: int) -> Iterator[None]:
    """Let torch compute with `n` threads to the end of the block, whatever the environment says.

    Another number adds in another order, which rounds otherwise and gives other weights.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
