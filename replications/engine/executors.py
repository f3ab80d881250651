"""Cells one by one, side by side on this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ir_replications.engine.cores import at_most
from ir_replications.engine.execute import run_job
from ir_replications.engine.jobs import Job
from ir_replications.engine.registry import experiments
from ir_replications.reports.records.record import Record
from ir_replications.shared.errors import InputError


def execute(
    jobs: Sequence[Job],
    store_root: Path,
    *,
    n_jobs: int | None = None,
    executor: str = "local",
    **options: Any,
) -> Iterator[tuple[Record, bool]]:
    """Run cells, yielding each (record, reused) as it ends; several may run side by side.

    `n_jobs` is how many: by default one, in the order of the cells, or with the executor "ray",
    which runs cells as tasks of a Ray cluster, as many as the cluster has CPUs. On this machine
    alone no more run than there are cores. Raises InputError for fewer than one.
    """
    if n_jobs is not None and n_jobs < 1:
        raise InputError(f"{n_jobs} jobs: expected at least 1")
    if executor == "ray":
        from ir_replications.engine.ray_executor import execute_on_ray

        yield from execute_on_ray(jobs, store_root, n_jobs=n_jobs, **options)
        return
    if executor != "local":
        raise InputError(f"no executor named {executor!r}; expected local or ray")
    n_jobs = at_most(n_jobs or 1)
    if n_jobs == 1:
        for job in jobs:
            yield run_job(job, store_root, **options)
        return
    from concurrent.futures.process import BrokenProcessPool

    from ir_replications.engine.side_by_side import side_by_side

    try:
        yield from side_by_side(
            lanes_of(jobs), n_jobs, partial(run_job, store_root=store_root, **options)
        )
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, most often for want of memory; finished cells are kept: "
            "run the same command with fewer --jobs"
        ) from error


def lanes_of(jobs: Sequence[Job]) -> dict[Hashable, list[Job]]:
    """The cells of each experiment that needs a model, and of each paper's others together.

    The former come first, since they take longest, but for one: the longest lane of the others is
    second, for two processes that begin alike would compile the same modules and kernels twice.
    """
    long: dict[Hashable, list[Job]] = {}
    short: dict[Hashable, list[Job]] = {}
    for job in jobs:
        if experiments(job.paper)[job.experiment].needs_model:
            long.setdefault((job.paper, job.experiment), []).append(job)
        else:
            short.setdefault(job.paper, []).append(job)
    second = sorted(short, key=lambda name: -len(short[name]))[:1]
    order = [*[*long][:1], *second, *[*long][1:], *short]
    return {name: (long | short)[name] for name in order}
