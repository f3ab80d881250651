"""How many processes are worth starting: as many as the cores that this one may use."""

from __future__ import annotations

import os
from pathlib import Path

from ir_replications.shared.entry import say
from ir_replications.shared.errors import InputError

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "200000 100000": microseconds of each period


def usable_cores() -> int:
    """Cores that this process may use: its affinity, within a container's quota."""
    try:
        found = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        found = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text("ascii").split()
        found = min(found, round(int(quota) / int(period)))  # "max": no quota
    except (OSError, ValueError, ZeroDivisionError):
        pass
    return max(1, found)


def at_most(jobs: int | None) -> int:
    """How many of `jobs` (None: as many as there are cores) run side by side, with a line if fewer.

    More processes than cores take memory and turns from each other and end no sooner. Raises
    InputError for fewer than one.
    """
    cores = usable_cores()
    if jobs is None:
        return cores
    if jobs < 1:
        raise InputError(f"{jobs} jobs: expected at least 1")
    if jobs > cores:
        say(f"note: {jobs} jobs on {cores} usable cores: {cores} run side by side")
    return min(jobs, cores)
