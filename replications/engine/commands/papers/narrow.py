"""Cells narrowed by what is in their config: `--where arm=A2,A5 --where seed=1`."""

from __future__ import annotations

from collections.abc import Sequence

from ir_replications.engine.jobs import Job
from ir_replications.reports.records.commands import config_text
from ir_replications.shared.errors import InputError


def narrowed(cells: list[Job], conditions: Sequence[str]) -> list[Job]:
    """The cells that meet every condition "key=value" or "key=value,value".

    A cell without the key does not meet it. Raises InputError for a condition of another form, and
    for a key or a value that no cell has: the message lists those that there are.
    """
    for condition in conditions:
        key, equals, values = condition.partition("=")
        wanted = [value.strip() for value in values.split(",")]
        if not equals or not all(wanted):
            raise InputError(f"--where {condition!r}: expected key=value or key=value,value")
        known = {config_text(job.config[key]) for job in cells if key in job.config}
        if cells and not known:
            keys = sorted({name for job in cells for name in job.config})
            raise InputError(f"--where {condition!r}: no cell has {key!r}, but {', '.join(keys)}")
        if cells and (strange := [value for value in wanted if value not in known]):
            raise InputError(
                f"--where {condition!r}: no cell has {key}={strange[0]}; found: "
                f"{', '.join(sorted(known))}"
            )
        cells = [
            job for job in cells if key in job.config and config_text(job.config[key]) in wanted
        ]
    return cells
