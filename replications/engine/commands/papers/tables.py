"""What `replicate run` prints: the plan of a dry run, and the numbers of a finished one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ir_replications.engine.commands.options import Table, console
from ir_replications.engine.door import tell
from ir_replications.engine.jobs import Job
from ir_replications.engine.registry import experiments
from ir_replications.reports.records.record import Record
from ir_replications.shared.data import collection_size, list_collections
from ir_replications.shared.evaluation.metrics import DEFAULT_MEASURES
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.models.references import check_model, list_models
from ir_replications.shared.printable import printable

RECORD_MB = 0.1  # a record with per-query values, and a run file for the few that have one


def show_plan(
    tier: str,
    cells: Sequence[Job],
    *,
    folders: Mapping[str, Path],
    data_root: Path | None,
    store: Path,
) -> None:
    """Print what would run, how long it takes, what it would download and store."""
    table = Table(title=f"what would run at tier {tier}", title_justify="left")
    for column in ("paper", "experiment", "what", "cells", "time and needs (every cell)"):
        table.add_column(column, justify="right" if column == "cells" else "left")
    for paper, name in dict.fromkeys((job.paper, job.experiment) for job in cells):
        experiment = experiments(paper)[name]
        number = sum((job.paper, job.experiment) == (paper, name) for job in cells)
        cost = experiment.cost.get(tier, "not estimated")
        table.add_row(paper, name, printable(experiment.title), str(number), cost)
    console().print(table)
    download = _collections(cells, folders, data_root) + _models(cells)
    known = sum(size for size in download if size is not None)
    unknown = sum(size is None for size in download)
    amount = (
        f"at least {known:,.0f} MB ({unknown} of unknown size)"
        if unknown
        else (f"about {known:,.0f} MB")
    )
    tell(
        f"downloads: {amount} into {printable(find_cache_dir())}; "
        f"records: about {max(1, len(cells) * RECORD_MB):,.0f} MB into {printable(store)}"
    )


def _collections(
    cells: Sequence[Job], folders: Mapping[str, Path], data_root: Path | None
) -> list[float | None]:
    """Print a line on each collection; megabytes to download, None where nobody knows."""
    entries = {entry.id: entry for entry in list_collections(data_root=data_root)}
    found: list[float | None] = []
    for name in _values(cells, "collection"):
        if name in folders:
            tell(printable(f"collection {name}: folder {folders[name]}"))
            continue
        tell(printable(f"collection {name}: {collection_size(name, data_root=data_root)}"))
        entry = entries.get(name)
        found.append(entry.megabytes or (0 if entry.here else None) if entry else None)
    return found


def _models(cells: Sequence[Job]) -> list[float | None]:
    """Print a line on each model; megabytes to download, None where nobody knows."""
    wheels = {model.ref: model.download_bytes / 1e6 for model in list_models()}
    found: list[float | None] = []
    for ref in _values(cells, "model"):
        size = 0.0 if not check_model(ref) else wheels.get(ref)
        words = (
            "size not known before it is downloaded"
            if size is None
            else (f"{size:,.0f} MB to download" if size else "in the cache")
        )
        tell(printable(f"model {ref}: {words}"))
        found.append(size)
    return found


def show_results(cells: Sequence[Job], records: Sequence[Record]) -> None:
    """Print one table per experiment: cells x measures, or cells x facts where it has none.

    `records` are those of `cells`, in their order.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    columns: dict[tuple[str, str], dict[str, None]] = {}
    for job, record in zip(cells, records, strict=True):
        if record.status == "ok":
            at = (job.paper, job.experiment)
            groups.setdefault(at, []).append(record)
            told = {key: None for key, value in job.config.items() if value is not None}
            columns.setdefault(at, {}).update(told)
    for (paper, experiment), group in groups.items():
        # What is the same in every row stands once, above: the columns left fit a terminal.
        keys, shared = [], []
        for key in columns[paper, experiment]:
            values = {record.config.get(key) for record in group}
            if len(values) > 1 or key in ("collection", "system"):
                keys.append(key)
            else:
                shared.append(f"{key} {values.pop()}")
        title = f"{paper} {experiment}{': ' if shared else ''}{', '.join(shared)}"
        found = {measure for record in group for measure in record.means}
        measures = [m for m in DEFAULT_MEASURES if m in found]
        measures += sorted(found - set(measures))
        table = _across(title, keys, measures, group)
        out = console()
        narrow = measures and not table.fits(out.width)
        out.print(_down(title, keys, measures, group) if narrow else table)


def _across(
    title: str, keys: Sequence[str], measures: Sequence[str], records: Sequence[Record]
) -> Table:
    """A row for each cell, a column for each measure; facts where there is none."""
    table = _table(title, keys)
    for measure in measures:
        table.add_column(printable(measure), justify="right")
    if not measures:
        table.add_column("measured")
    for record in records:
        means = [f"{record.means[m]:.4f}" if m in record.means else "" for m in measures]
        facts = [", ".join(_scalars(record.facts))]
        table.add_row(*map(printable, [*_texts(record, keys), *(means or facts)]))
    return table


def _down(
    title: str, keys: Sequence[str], measures: Sequence[str], records: Sequence[Record]
) -> Table:
    """A row for each measure of each cell, for more measures than there is room for columns."""
    table = _table(title, keys)
    table.add_column("measured")
    table.add_column("mean", justify="right")
    for record in records:
        texts = _texts(record, keys)
        for measure in measures:
            mean = f"{record.means[measure]:.4f}" if measure in record.means else ""
            table.add_row(*map(printable, [*texts, measure, mean]))
            texts = [""] * len(keys)
    return table


def _table(title: str, keys: Sequence[str]) -> Table:
    table = Table(title=printable(title), title_justify="left")
    for key in keys:
        table.add_column(printable(key))
    return table


def _texts(record: Record, keys: Sequence[str]) -> list[str]:
    return ["" if (v := record.config.get(key)) is None else str(v) for key in keys]


def planned(job: Job, folders: Mapping[str, Path]) -> dict[str, Any]:
    """A cell of a dry run for JSON: what it is, its cost, and its own command."""
    return {
        "paper": job.paper, "tier": job.tier, "experiment": job.experiment, "label": job.label,
        "config": job.config, "cost": experiments(job.paper)[job.experiment].cost.get(job.tier),
        "command": job.command(folders),
    }  # fmt: skip


def measured(record: Record) -> dict[str, Any]:
    """A finished cell for JSON: its record without values per query and provenance."""
    return {
        "paper": record.paper, "tier": record.tier, "experiment": record.experiment,
        "label": record.label, "config": record.config, "status": record.status,
        "error": record.error, "means": record.means, "facts": record.facts,
        "config_hash": record.config_hash, "digest": record.digest,
    }  # fmt: skip


def _scalars(facts: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            yield f"{prefix}{name} {value:.4g}"
        elif isinstance(value, (int, str)):
            yield f"{prefix}{name} {value}"


def _values(cells: Sequence[Job], key: str) -> list[str]:
    return list(dict.fromkeys(job.config[key] for job in cells if job.config.get(key)))
