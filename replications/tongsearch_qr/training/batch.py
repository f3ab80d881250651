"""How many questions one optimiser step sees."""

from __future__ import annotations

from typing import NamedTuple

from ir_replications.shared.errors import InputError


class Batch(NamedTuple):
    """Sizes of one optimiser step."""

    completions: int
    prompts: int


def batch_arithmetic(per_device: int, accumulation: int, processes: int, group: int) -> Batch:
    """Completions and distinct prompts of a step; the paper's script: 16 x 4 x 3 in groups of 16.

    Raises InputError where the completions do not divide into groups.
    """
    completions = per_device * accumulation * processes
    if min(per_device, accumulation, processes, group) < 1 or completions % group:
        raise InputError(
            f"{per_device} x {accumulation} x {processes} completions do not divide into groups "
            f"of {group}; expected a multiple of the group size"
        )
    return Batch(completions, completions // group)
