"""The cells that claims are judged by, run once beside all other tests, whatever the workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

FIRST_WORKER = "gw0"
WORKERS = 2  # one alone would be what all tests wait for in the end
_ASK_S = 0.2
_END = "cells.end"  # empty, or what ended the run


class Cells:
    """The chosen tier's cells of all papers whose claims are tested.

    Of several pytest-xdist workers the first runs them, in processes of their own; all others wait
    for their end. `shared` is a folder that all of them see.
    """

    def __init__(
        self,
        papers: Sequence[str],
        tier: str,
        store: Path,
        data_root: Path | None,
        shared: Path,
    ) -> None:
        self._end = shared / _END
        if papers and os.environ.get("PYTEST_XDIST_WORKER", FIRST_WORKER) == FIRST_WORKER:
            threading.Thread(
                target=self._run, args=(papers, tier, store, data_root), daemon=True
            ).start()

    def _run(self, papers: Sequence[str], tier: str, store: Path, data_root: Path | None) -> None:
        from ir_replications.engine.cores import usable_cores
        from ir_replications.engine.execute import run_job
        from ir_replications.engine.executors import lanes_of
        from ir_replications.engine.jobs import plan_jobs
        from ir_replications.engine.side_by_side import side_by_side
        from ir_replications.shared.errors import InputError

        said = ""
        try:
            jobs = []
            for paper in papers:
                with suppress(InputError):  # a broken registry: said where its claims are judged
                    jobs += plan_jobs(paper, tier)
            lanes = lanes_of(jobs)
            run = partial(run_job, store_root=store, data_root=data_root)
            for _ in side_by_side(lanes, min(WORKERS, usable_cores()), run):
                pass
        except BaseException as failure:  # raised again in the process that asks
            said = f"{type(failure).__name__}: {failure}"
        part = self._end.with_suffix(".part")
        part.write_text(said, "utf-8")
        part.replace(self._end)

    def wait(self) -> None:
        """Until every cell has its record; raises RuntimeError with what ended the run before."""
        while not self._end.exists():
            time.sleep(_ASK_S)
        if said := self._end.read_text("utf-8"):
            raise RuntimeError(f"the cells could not be run: {said}")
