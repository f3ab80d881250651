"""Run experiments: every cell is a pure function of its config and writes one record."""

from __future__ import annotations

import hashlib
import importlib
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import ir_replications
from ir_replications.reports.records import provenance
from ir_replications.reports.records.commands import run_command
from ir_replications.reports.records.record import Record, config_hash
from ir_replications.reports.records.store import Store
from ir_replications.shared.analysis import Tokens, corpus_tokens, tokenize, unreadable
from ir_replications.shared.data import UNPINNED, Collection, check_collection, load_collection
from ir_replications.shared.data.collection import fingerprint
from ir_replications.shared.data.pools import COMPLETE
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import (
    DivergedError,
    InputError,
    InputWarning,
    MissingDependencyError,
)
from ir_replications.shared.evaluation.metrics import Scores
from ir_replications.shared.files import sha256_unchanged
from ir_replications.shared.printable import printable
from ir_replications.shared.rehearsal import KEY, rehearsal
from ir_replications.shared.retrieval.runs import Run, why_not_writable

PAPERS_FOLDER = Path(ir_replications.__file__).resolve().parent
TIERS = ("embedded", "small", "paper")

# Beside collections, a record's data name files of the data root that are no collection,
FILES = "files:"
# and a collection's judgements of documents that it lacks, which its sha256 does not cover.
JUDGED, IN_COLLECTION = "judgements:", "--judged-in-collection"

T = TypeVar("T")
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What was asked for: the tier and the collections that its cells are made for."""

    tier: str
    collections: tuple[str, ...]
    chosen: bool = False  # True: the user named the collections


@dataclass
class Outcome:
    """What one cell measured; `run` is kept as a TREC file beside the record when given."""

    scores: Scores | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None
    models: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """One experiment of a paper: `cells(plan)` lists configs, `run(config, context)` does one."""

    id: str
    title: str
    cells: Callable[[Plan], list[dict[str, Any]]]
    run: Callable[[Config, Context], Outcome]
    cost: Mapping[str, str]
    needs_model: bool = False  # left out on a user's own collection unless asked for by id


@dataclass
class Context:
    """What a cell may reach: collections and their tokens, each remembered by checksum.

    With `judged_in_collection`, judgements of documents that a collection lacks are left out.
    """

    data_root: Path | None = None
    download: bool = True
    folders: Mapping[str, Path] = field(default_factory=dict)
    judged_in_collection: bool = False
    splits: Mapping[str, str] = field(default_factory=dict)  # collection -> what the user chose
    data: dict[str, str] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def collection(self, name: str) -> Collection:
        """The collection, noted in this cell's provenance: its sha256, and if it is not as pinned.

        Numbers on data that differ from the manifest are kept and never compared with a paper's.
        """
        found = cached_collection(self.folders.get(name, name), self.data_root, self.download)
        if name not in self.data:
            self.data[name] = found.sha256
            lines = [] if name in self.folders else check_collection(found)
            self.mismatches += [line for line in lines if not line.startswith(UNPINNED)]
            self._note_judgements(name, found)
        found = found.with_split(self.splits[name]) if name in self.splits else found
        return _judged_inside(found) if self.judged_in_collection else found

    def _note_judgements(self, name: str, found: Collection) -> None:
        """Note the judgements of documents that a collection lacks, which its sha256 leaves out."""
        counted = _counted_outside(found, whole=name in self.folders)
        if self.judged_in_collection and _counted_outside(found, whole=True) != NONE:
            self.data[f"{JUDGED}{name}"] = NONE
            line = f"{name}: judgements of documents that it lacks are left out ({IN_COLLECTION})"
            (self.notes if name in self.folders else self.mismatches).append(line)
        if self.judged_in_collection or counted == NONE:
            return
        self.data[f"{JUDGED}{name}"] = counted
        kept = [
            line for line in found.notes if ", kept: " in line and not line.startswith(COMPLETE)
        ]
        self.notes += [f"{name}: {line}" for line in kept]

    def files(self, name: str) -> Path:
        """A file or folder of the data root that is no collection, noted with its sha256."""
        root = find_data_root(self.data_root)
        if root is None or not (root / name).exists():
            raise MissingDependencyError(
                f"{name}: not in the data root ({root or 'none is set'}); set IR_REPLICATIONS_DATA "
                "to a folder that holds it"
            )
        self.data[f"{FILES}{name}"] = files_sha256(root / name)
        return root / name

    def fingerprint(self, name: str) -> str:
        """The sha256 that a record notes for a collection or for files."""
        if name.startswith(FILES):
            self.files(name.removeprefix(FILES))
            return self.data[name]
        if name.startswith(JUDGED):
            self.collection(name.removeprefix(JUDGED))
            return self.data.get(name, "")
        return self.collection(name).sha256

    def tokens(self, name: str, analyzer: str, title: str) -> Tokens:
        """Documents of a collection as tokens, cached on disk by checksum."""
        self.collection(name)
        ref = self.folders.get(name, name)
        tokens = _tokens(ref, self.data_root, self.download, analyzer, title)
        self._note_unreadable(name, tokens, analyzer)
        return tokens

    def topics(self, name: str, split: str, analyzer: str) -> dict[str, list[str]]:
        """Analysed queries of a split: query id -> tokens."""
        topics = self.collection(name).topics(split)
        tokens = tokenize(list(topics.values()), analyzer)
        self._note_unreadable(name, tokens, analyzer)
        return dict(zip(topics, tokens, strict=True))

    def _note_unreadable(self, name: str, tokens: Tokens, analyzer: str) -> None:
        if line := unreadable(tokens, analyzer):
            self.notes.append(f"{name}: {line}")


NONE = fingerprint((), {}, {}, {})  # of no judgement at all


@lru_cache(maxsize=16)
def _counted_outside(collection: Collection, whole: bool = False) -> str:
    """Fingerprint of judgements of absent documents; a pool's complete ones only if `whole`.

    In a data root those are read, and noted, as a file.
    """
    splits = [split for split in collection.qrels if whole or split != COMPLETE]
    return collection.outside_sha256([split for split in splits if collection.outside(split)])


@lru_cache(maxsize=4)
def _judged_inside(collection: Collection) -> Collection:
    return collection.judged_inside()


@lru_cache(maxsize=4)
def cached_collection(ref: str | Path, data_root: Path | None, download: bool) -> Collection:
    """`load_collection`, remembered in this process."""
    return load_collection(ref, data_root=data_root, download=download)


def files_sha256(place: Path) -> str:
    """One file's sha256; of a folder, that of its files' names and sums, hidden ones left out."""
    if place.is_file():
        return sha256_unchanged(place)
    lines = [
        f"{sha256_unchanged(path)}  {path.relative_to(place).as_posix()}\n"
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@lru_cache(maxsize=8)
def _tokens(
    ref: str | Path, data_root: Path | None, download: bool, analyzer: str, title: str
) -> Tokens:
    return corpus_tokens(cached_collection(ref, data_root, download), analyzer, title)


@dataclass(frozen=True)
class Job:
    """One cell to run, in this process or another."""

    paper: str
    tier: str
    experiment: str
    config: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of this cell's record."""
        hashed = config_hash(
            self.config, paper=self.paper, experiment=self.experiment, tier=self.tier
        )
        return (self.paper, self.experiment, self.tier, hashed)

    @property
    def label(self) -> str:
        """Short name, also of its files: texts of the config as they are, numbers by name."""
        values = {k: v for k, v in self.config.items() if v is not None and k != "seed"}
        return " ".join(v if isinstance(v, str) else f"{k}={v}" for k, v in values.items())

    def command(self, folders: Mapping[str, Path] | None = None) -> str:
        """The command that runs this cell; a folder of the user's is named from where it lies."""
        own = {name: f"./{folder.name}" for name, folder in (folders or {}).items()}
        selector = {"experiment": self.experiment, **self.config}
        return run_command(self.paper, self.tier, [selector], own)


def papers() -> list[str]:
    """Every folder that holds a claims.toml is a paper."""
    return sorted(p.parent.name for p in PAPERS_FOLDER.glob("*/claims.toml"))


def experiments(paper: str) -> dict[str, Experiment]:
    """The paper's experiments by id, from its experiments/registry.py.

    Raises InputError for a paper that is none, and for a registry that cannot be used.
    """
    if paper not in papers():
        raise InputError(f"no paper named {paper!r}; the papers are: {', '.join(papers())}")
    return _of_registry(paper, lambda module: {each.id: each for each in module.EXPERIMENTS})


def default_collections(paper: str, tier: str) -> tuple[str, ...]:
    """The collections a paper's experiments use at a tier when the user names none.

    Raises InputError for a registry that cannot be used.
    """
    return _of_registry(paper, lambda module: tuple(module.COLLECTIONS[tier]))


def _of_registry(paper: str, read: Callable[[Any], T]) -> T:
    """What `read` finds in a paper's registry; whatever its code raises is one line."""
    try:
        return read(importlib.import_module(f"ir_replications.{paper}.experiments.registry"))
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and not missing.startswith("ir_replications"):
            raise  # a package to install, which is no fault of the paper
        path = PAPERS_FOLDER / paper / "experiments" / "registry.py"
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
        raise InputError(f"{path}: cannot be used ({what}; {place}); correct it") from error


def plan_jobs(
    paper: str,
    tier: str,
    *,
    collections: Sequence[str] | None = None,
    only: Sequence[str] = (),
    splits: Mapping[str, str] | None = None,
) -> list[Job]:
    """The cells that a request stands for, in order, without loading any data.

    `splits` names the split to evaluate of collections where it is not their default one.
    """
    known = experiments(paper)
    for name in only:
        if name not in known:
            raise InputError(
                f"{paper} has no experiment {name!r}; its experiments are: {', '.join(known)}"
            )
    chosen = bool(collections)
    plan = Plan(tier, tuple(collections or default_collections(paper, tier)), chosen)
    return [
        Job(paper, tier, experiment.id, _with_split(config, splits or {}))
        for experiment in known.values()
        if (experiment.id in only if only else not (chosen and experiment.needs_model))
        for config in experiment.cells(plan)
    ]


def _with_split(config: dict[str, Any], splits: Mapping[str, str]) -> dict[str, Any]:
    split = splits.get(config.get("collection", ""))
    return config if split is None else {**config, "split": split}


@lru_cache(maxsize=8)
def code_digest(paper: str) -> str:
    """Digest of the paper's code as it was when this process first asked: what it then runs."""
    return provenance.code_digest(paper)


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
    if split := job.config.get("split"):
        context = replace(context, splits={job.config["collection"]: split})
    outcome, error = Outcome(), None
    try:
        experiment = experiments(job.paper)[job.experiment]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # they are in the context's notes
            outcome = experiment.run(job.config, context)
    except (MissingDependencyError, DivergedError) as failure:
        error = str(failure)
    except InputError:
        raise
    except Exception as failure:
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
        code_sha256=code_digest(job.paper),
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


def _describe(failure: Exception) -> str:
    """One line: kind, message, and the line of code that raised it."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    message = " ".join(f"{type(failure).__name__}: {failure}".split())
    return f"{message} ({Path(frame.filename).name}, line {frame.lineno})"
