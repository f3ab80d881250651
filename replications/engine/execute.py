"""Run cells: every one is a pure function of its config and writes one record."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ir_replications.engine import registry
from ir_replications.engine.context import IN_COLLECTION, JUDGED, Context
from ir_replications.engine.experiment import Outcome
from ir_replications.engine.jobs import Job
from ir_replications.reports.records import provenance
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import (
    DivergedError,
    InputError,
    InputWarning,
    MissingDependencyError,
)
from ir_replications.shared.own_code import code_of
from ir_replications.shared.rehearsal import KEY, rehearsal
from ir_replications.shared.retrieval.runs import Run, why_not_writable


def code_digest(paper: str) -> str:
    """Digest of the paper's code as it was when this process first asked: what it then runs."""
    if paper == registry.BENCH:  # made of all papers' methods: whatever its stages import
        return code_of(f"ir_replications.{paper}.experiments.registry")
    return provenance.running_code(paper)


def reusable(record: Record, job: Job, context: Context, *, keep: bool = False) -> bool:
    """True when a record is finished and made on these very data by this very code.

    With `keep`, code does not matter.
    """
    if record.status != "ok" or record.provenance.get(KEY) != rehearsal():
        return False
    if not keep and record.provenance.get("code_sha256") != code_digest(job.paper):
        return False
    noted = record.provenance.get("data", {})
    try:
        same = all(context.fingerprint(name) == sha256 for name, sha256 in noted.items())
        # Which judgements count is noted as a collection is read, in the record and now.
        return same and all(
            noted.get(name) == sha256
            for name, sha256 in context.data.items()
            if name.startswith(JUDGED) and name.removeprefix(JUDGED) in noted
        )
    except MissingDependencyError:  # files that are no longer there: the cell itself will say so
        return False


def run_job(
    job: Job,
    store_root: Path,
    *,
    data_root: Path | None = None,
    download: bool = True,
    folders: Mapping[str, Path] | None = None,
    keep: bool = False,
    judged_in_collection: bool = False,
) -> tuple[Record, bool]:
    """Run one cell and write its record; returns (record, was it reused).

    A finished record of the same code and data is returned as it is; with `keep` one made by
    other code too. Bad input ends the run; any other failure becomes a record that says so, but
    never takes the place of a finished one.
    """
    store = Store(store_root)
    make = partial(
        Context, data_root, download, folders or {}, judged_in_collection=judged_in_collection
    )
    if found := finished(job, store, make(), keep=keep):
        return found, True
    record, run = measure(job, make())
    return save(store, record, run), False


def finished(job: Job, store: Store, context: Context, *, keep: bool = False) -> Record | None:
    """The record that the store holds of this cell where nothing has to be run again, or None."""
    found = store.get(job.paper, job.experiment, job.tier, job.config)
    if found and store.has_run(found) and reusable(found, job, context, keep=keep):
        return found
    return None


def save(store: Store, record: Record, run: Run | bytes | None) -> Record:
    """Put a record and its run into the store; a failure never takes the place of a result."""
    if record.error:
        # Asked now: another process may have finished the cell meanwhile.
        found = store.get(record.paper, record.experiment, record.tier, record.config)
        if found and found.status == "ok":
            return record
    return store.put(record, run)


def measure(job: Job, context: Context) -> tuple[Record, Run | None]:
    """Run one cell; its record, and the run to keep beside it. Writes to no store.

    Raises InputError for bad input; any other failure is in the record.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    code = code_digest(job.paper)  # before it runs: files may be edited meanwhile
    if split := job.config.get("split"):
        context = replace(context, splits={job.config["collection"]: split})
    outcome, error = Outcome(), None
    try:
        experiment = registry.experiments(job.paper)[job.experiment]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # they are in the context's notes
            outcome = experiment.run(job.config, context)
    except (MissingDependencyError, DivergedError) as failure:
        error = str(failure)
    except InputError:
        raise
    except Exception as failure:
        if _stopped(failure):  # compiled code has made another error of it
            raise KeyboardInterrupt from failure
        error = _describe(failure)
    if outcome.run is not None and (reason := why_not_writable(outcome.run)):
        outcome.facts["run_file"] = f"none: {reason}"
        outcome.run = None
    if context.notes:
        outcome.facts["input_notes"] = list(dict.fromkeys(context.notes))
    known = provenance.collect(
        paper=job.paper,
        command=job.command(context.folders)
        + (f" {IN_COLLECTION}" if context.judged_in_collection else ""),
        seed=job.config.get("seed"),
        data=dict(context.data),
        models=outcome.models,
        started=started,
        wall_s=time.perf_counter() - clock,
        code_sha256=code,
        data_mismatch=list(context.mismatches),
    )
    try:
        return _record(job, outcome, error, known), outcome.run
    except InputError as unusable:  # a number that is not finite
        return _record(job, Outcome(), str(unusable), known), None


def _record(job: Job, outcome: Outcome, error: str | None, known: dict[str, Any]) -> Record:
    return Record.create(
        paper=job.paper,
        experiment=job.experiment,
        tier=job.tier,
        label=job.label,
        config=job.config,
        error=error,
        means=outcome.scores.means if outcome.scores else {},
        per_query=outcome.scores.per_query if outcome.scores else {},
        facts=outcome.facts,
        provenance=known,
    )


def _stopped(failure: BaseException | None) -> bool:
    """Whether an error goes back to a signal that ends the process."""
    while failure is not None and not isinstance(failure, KeyboardInterrupt):
        failure = failure.__cause__ or failure.__context__
    return failure is not None


def _describe(failure: Exception) -> str:
    """One line: kind, message, and the line of code that raised it."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    message = " ".join(f"{type(failure).__name__}: {failure}".split())
    return f"{message} ({Path(frame.filename).name}, line {frame.lineno})"
