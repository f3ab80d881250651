"""Cells as tasks of a Ray cluster: nodes measure, this process keeps the store.

The user's own folders go into Ray's object store, from which each node unpacks them once into its
cache. Everything else is read where the cell runs: collections by id from the node's data root,
cache or the hub, tokens and models from the node's cache. A task gives back its record and the
bytes of its run file, so a node needs no file of this machine.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from ir_replications.engine.context import Context, files_sha256
from ir_replications.engine.execute import code_digest, finished, measure, save
from ir_replications.engine.jobs import Job, told
from ir_replications.engine.registry import experiments
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.reading import user_path

RETRIES = 2
"""How often a cell is run again whose worker was killed."""

# Without a bound, Ray runs for ever again what it killed for want of memory.
os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
# The default of new versions, about which older ones warn.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    import ray
    from ray import exceptions
except ImportError as error:
    raise MissingDependencyError(
        "--executor ray needs Ray: pip install 'ir-replications[ray]'"
    ) from error

Measured = tuple[Record, bytes | None]


@dataclass(frozen=True)
class Parcel:
    """A folder of the machine that asks, as a zip archive in Ray's object store."""

    tail: Path  # the end of its path, by which a collection is named
    sha256: str
    archive: ray.ObjectRef

    @classmethod
    def of(cls, folder: Path) -> Parcel:
        """The folder with every file in it, whatever the experiments may read of them."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", strict_timestamps=False) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        tail = Path(*folder.parts[1:][-3:])
        return cls(tail, files_sha256(folder), ray.put(content.getvalue()))

    def folder(self) -> Path:
        """The same folder in this node's cache, unpacked by the first task that needs it."""
        place = find_cache_dir() / "sent" / self.sha256 / self.tail
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not place.is_dir():
                content = io.BytesIO(ray.get(self.archive))
                with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
                    made = Path(scratch) / "folder"
                    zipfile.ZipFile(content).extractall(made)
                    shutil.move(made, place)
        return place


@dataclass(frozen=True)
class Request:
    """What every task of a run is told."""

    joined: bool  # a cluster of others, whose nodes have places of their own
    data_root: Path | None
    download: bool
    folders: Mapping[str, Path | Parcel]
    code: Mapping[str, str]  # paper -> digest of its code on the machine that asks
    judged_in_collection: bool


@dataclass(frozen=True)
class Refusal:
    """Bad input that a task met: the whole run ends with this line."""

    line: str


def execute_on_ray(
    jobs: Sequence[Job],
    store_root: Path,
    *,
    n_jobs: int | None = None,
    data_root: Path | None = None,
    download: bool = True,
    folders: Mapping[str, Path] | None = None,
    keep: bool = False,
    judged_in_collection: bool = False,
) -> Iterator[tuple[Record, bool]]:
    """Run cells on Ray, yielding each (record, reused) as it ends; at most `n_jobs` at a time.

    A cell takes one CPU, and one GPU where the cluster has any and the experiment needs a model.
    A cell whose worker was killed is run again, RETRIES times. Raises InputError when the cluster
    does not answer, for bad input and for a node that lacks the data root or has other code.
    """
    store, left = Store(store_root), []
    context = Context(data_root, download, folders or {}, judged_in_collection=judged_in_collection)
    for job in jobs:
        if record := finished(job, store, context, keep=keep):
            yield record, True
        else:
            left.append(job)
    if not left:
        return
    with connected(n_jobs) as joined:
        code = {job.paper: code_digest(job.paper) for job in left}
        own = context.folders
        sent = {name: Parcel.of(path) for name, path in own.items()} if joined else own
        root = data_root.absolute() if data_root else None
        request = ray.put(Request(joined, root, download, sent, code, judged_in_collection))
        for record, run in _results(left, request, n_jobs or len(left)):
            yield save(store, record, run), False


@contextmanager
def connected(n_jobs: int | None) -> Iterator[bool]:
    """A Ray cluster to give tasks to; yields whether it was there before.

    In this order: the one that this process is connected to, that of RAY_ADDRESS, the one that
    runs on this machine, and a new one of `n_jobs` CPUs (None: all of this machine) for this run.
    """
    if ray.is_initialized():
        yield True
        return
    address = os.environ.get("RAY_ADDRESS")
    # Lines of the workers would break the progress bar.
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address:
            _reach(address)
        if joined := address != "local":
            ray.init("auto", **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        if address:
            raise InputError(
                f"RAY_ADDRESS={address}: no Ray cluster can be joined there ({_line(error)}); "
                "start one with `ray start`, or unset RAY_ADDRESS to use this machine alone"
            ) from error
        joined = False
    if not joined:
        ray.init("local", num_cpus=n_jobs, include_dashboard=False, **quiet)
    try:
        yield joined
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise OSError or ValueError where nobody listens; Ray itself would try for minutes."""
    if address not in ("auto", "local"):
        place = urlsplit(address if "://" in address else f"//{address}")
        socket.create_connection((place.hostname, place.port or 10001), timeout=10).close()


def _results(jobs: Sequence[Job], request: ray.ObjectRef, limit: int) -> Iterator[Measured]:
    """What the cells measured, in the order in which they end; no more than `limit` at a time."""
    has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(run_cell)
    waiting = list(reversed(jobs))
    running: dict[ray.ObjectRef, Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                job = waiting.pop()
                gpus = int(has_gpu and experiments(job.paper)[job.experiment].needs_model)
                running[task.options(num_gpus=gpus).remote(job, request)] = job
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield _result(done, running.pop(done))
    finally:
        for left in running:
            ray.cancel(left, force=True)


def _result(task: ray.ObjectRef, job: Job) -> Measured:
    """What a task gave back. Raises InputError in place of everything else that can end it."""
    try:
        found = ray.get(task)
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, exceptions.RayError):
            raise InputError(
                f"{told(job)}: Ray lost what the cell was given "
                f"({_line(error.cause)}); finished cells are kept: run the same command again"
            ) from error
        raise InputError(
            f"{told(job)}: a Ray worker cannot run it ({_line(error.cause)}); "
            "every node needs this version of ir-replications and what the paper needs"
        ) from error
    except exceptions.RayError as error:
        raise InputError(
            f"{told(job)}: its worker was killed {RETRIES + 1} times, most often "
            f"for want of memory ({type(error).__name__}); finished cells are kept: run the same "
            "command with fewer --jobs or on nodes with more memory"
        ) from error
    if isinstance(found, Refusal):
        raise InputError(found.line)
    return found


def run_cell(job: Job, request: Request) -> Measured | Refusal:
    """One cell, on the node that has a CPU for it; its record and run file."""
    try:
        if request.joined and code_digest(job.paper) != request.code[job.paper]:
            raise InputError(
                f"has other code of {job.paper} than the machine that asks; install the same "
                "version of ir-replications on every node"
            )
        root = node_data_root(request.data_root, joined=request.joined)
        folders = {
            name: place.folder() if isinstance(place, Parcel) else place
            for name, place in request.folders.items()
        }
        context = Context(
            root, request.download, folders, judged_in_collection=request.judged_in_collection
        )
        record, run = measure(job, context)
    except InputError as error:
        return Refusal(f"{_node()}: {error}" if request.joined else str(error))
    if run is None:
        return record, None
    with tempfile.TemporaryDirectory() as scratch:
        written = Store(scratch)
        record = written.put(record, run)
        return record, written.run_path(record).read_bytes()


def node_data_root(asked: Path | None, *, joined: bool) -> Path | None:
    """Where this node has the data root: its own IR_REPLICATIONS_DATA, else the path asked for.

    Raises InputError when there is no such folder on this node.
    """
    own = os.environ.get("IR_REPLICATIONS_DATA") if joined else None
    root = user_path(own) if own else asked
    if root is not None and not root.is_dir():
        raise InputError(
            f"{root}: no such data root here; mount or copy it to this path, or set "
            "IR_REPLICATIONS_DATA to where it lies before `ray start` on this node"
        )
    return root


def _node() -> str:
    """The node of this task, as its owner knows it."""
    number = ray.get_runtime_context().get_node_id()
    return f"node {ray.util.get_node_ip_address()} ({number[:8]})"


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
