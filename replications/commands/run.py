"""`replicate run`: run a paper's experiments and print what they measured."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from replications.commands.options import console, data_root_option, store_option, tier_option
from replications.execute import Job, execute, experiments, papers, plan_jobs
from reports.results import Record
from shared.data import collection_size, load_collection
from shared.errors import InputError


@click.command()
@click.argument("paper")
@tier_option
@click.option(
    "--collection", "collections", multiple=True, help="A BEIR folder or a collection id."
)
@click.option("--experiment", "only", multiple=True, help="E1, E2, ...; default: all.")
@data_root_option
@store_option
@click.option("--jobs", type=click.IntRange(1), default=1, help="Cells run side by side.")
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local")
@click.option("--keep", is_flag=True, help="Accept finished records made by other code.")
@click.option("--no-download", is_flag=True, help="Use only what is on this machine.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and its cost; run nothing.")
@click.pass_context
def run(
    context: click.Context,
    paper: str,
    tier: str | None,
    collections: tuple[str, ...],
    only: tuple[str, ...],
    data_root: Path | None,
    store: Path,
    jobs: int,
    executor: str,
    keep: bool,
    no_download: bool,
    dry_run: bool,
) -> None:
    """Run the experiments of PAPER (or `all`) and write one record per cell."""
    tier = tier or ("small" if collections else "embedded")
    folders: dict[str, Path] = {}
    for ref in collections:
        folders |= local_folder(ref)
    paths = {str(path): name for name, path in folders.items()}
    names = [paths.get(str(Path(ref).resolve()), ref) for ref in collections] or None
    chosen = papers() if paper == "all" else [paper]
    cells = [job for each in chosen for job in plan_jobs(each, tier, collections=names, only=only)]
    if dry_run:
        _show_plan(chosen, tier, cells, data_root)
        return
    command = "replicate run " + " ".join(
        [paper, "--tier", tier]
        + [part for name in names or () for part in ("--collection", name)]
        + [part for experiment in only for part in ("--experiment", experiment)]
    )
    records = _run(
        cells,
        store,
        n_jobs=jobs,
        executor=executor,
        data_root=data_root,
        download=not no_download,
        folders=folders,
        command=command,
        keep=keep,
    )
    _show_results(records)
    failed = [record for record in records if record.status == "error"]
    for record in failed:
        click.echo(f"failed: {record.experiment} {record.label}: {record.error}", err=True)
    context.exit(1 if failed else 0)


def local_folder(ref: str) -> dict[str, Path]:
    """{collection id: folder} for a folder, {} for an id; a broken folder is refused here."""
    path = Path(ref).expanduser().resolve()
    if path.is_dir():
        collection = load_collection(path)
        for note in collection.notes:
            click.echo(f"note: {collection.id}: {note}", err=True)
        return {collection.id: path}
    if ref.startswith((".", "/", "~")):
        raise InputError(f"{ref}: no such folder; expected a BEIR folder or a collection id")
    return {}


def _run(cells: list[Job], store: Path, **options: object) -> list[Record]:
    records, reused = [], 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("cells", total=len(cells))
        for record, was_reused in execute(cells, store, **options):  # type: ignore[arg-type]
            records.append(record)
            reused += was_reused
            progress.update(task, advance=1, description=f"{record.experiment}")
    click.echo(f"{len(records)} cells: {len(records) - reused} run, {reused} kept from before")
    return records


def _show_plan(chosen: list[str], tier: str, cells: list[Job], data_root: Path | None) -> None:
    table = Table(title=f"what would run at tier {tier}", title_justify="left")
    for column in ("paper", "experiment", "what", "cells", "cost"):
        table.add_column(column)
    for paper in chosen:
        for experiment in experiments(paper).values():
            number = sum(j.paper == paper and j.experiment == experiment.id for j in cells)
            if number:
                cost = experiment.cost.get(tier, "not estimated")
                table.add_row(paper, experiment.id, experiment.title, str(number), cost)
    console().print(table)
    named = dict.fromkeys(job.config["collection"] for job in cells if "collection" in job.config)
    for name in named:
        click.echo(f"collection {name}: {collection_size(name, data_root=data_root)}")


def _show_results(records: list[Record]) -> None:
    """One table per experiment that measured retrieval: cells x measures."""
    by_experiment: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.means:
            by_experiment.setdefault((record.paper, record.experiment), []).append(record)
    for (paper, experiment), group in by_experiment.items():
        measures = list(dict.fromkeys(measure for record in group for measure in record.means))
        table = Table(title=f"{paper} {experiment}", title_justify="left")
        keys = [
            key
            for key in dict.fromkeys(key for record in group for key in record.config)
            if any(record.config.get(key) is not None for record in group)
        ]
        for key in keys:
            table.add_column(key)
        for measure in measures:
            table.add_column(measure, justify="right")
        for record in group:
            values = [_text(record.config.get(key)) for key in keys]
            means = [f"{record.means[m]:.4f}" if m in record.means else "" for m in measures]
            table.add_row(*values, *means)
        console().print(table)


def _text(value: object) -> str:
    return "" if value is None else str(value)
