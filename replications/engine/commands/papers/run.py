"""`replicate run`: run a paper's experiments and print what they measured."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ir_replications.engine.commands.chosen import chosen_collections, usual_split
from ir_replications.engine.commands.options import (
    collection_names,
    data_root_option,
    json_option,
    paper_names,
    show_json,
    store_option,
    tier_option,
)
from ir_replications.engine.commands.papers.narrow import narrowed
from ir_replications.engine.commands.papers.tables import measured, planned, show_plan, show_results
from ir_replications.engine.context import IN_COLLECTION, cached_collection
from ir_replications.engine.door import tell
from ir_replications.engine.executors import execute
from ir_replications.engine.jobs import Job, plan_jobs, told
from ir_replications.engine.paper_check import sound_papers
from ir_replications.engine.registry import experiments
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.data import check_available
from ir_replications.shared.data.root import find_data_root
from ir_replications.shared.errors import InputError
from ir_replications.shared.progress import progress
from ir_replications.shared.rehearsal import VARIABLE, rehearsal


@click.command()
@click.argument("paper", shell_complete=paper_names)
@tier_option
@click.option(
    "--collection",
    "collections",
    multiple=True,
    shell_complete=collection_names,
    help="A BEIR folder or a collection id.",
)
@click.option(
    "--split", help="Judgements of --collection to evaluate; default: test, or the only ones."
)
@click.option("--experiment", "only", multiple=True, help="E1, E2, ...; default: all.")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE[,VALUE]",
    help="Only cells with this in the config.",
)
@data_root_option
@store_option
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Cells run side by side; default: 1, on Ray as many as it has CPUs.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where cells run: here, or on the Ray cluster of RAY_ADDRESS or of this machine (else one "
    "is started for the run). Every node needs this version of ir-replications; it reads the data "
    "root at its own IR_REPLICATIONS_DATA or at the path given here, and models from its own "
    "cache. Folders given by --collection are sent; records and run files come back.",
)
@click.option("--keep", is_flag=True, help="Accept finished records made by other code.")
@click.option(
    IN_COLLECTION,
    is_flag=True,
    help="Leave out judgements of documents that a collection lacks, and queries with no other; "
    "by default they count, as in the benchmarks.",
)
@click.option("--no-download", is_flag=True, help="Use only what is on this machine.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and its cost; run nothing.")
@json_option
@click.pass_context
def run(
    context: click.Context,
    paper: str,
    tier: str | None,
    collections: tuple[str, ...],
    split: str | None,
    only: tuple[str, ...],
    where: tuple[str, ...],
    data_root: Path | None,
    store: Path,
    jobs: int | None,
    executor: str,
    keep: bool,
    judged_in_collection: bool,
    no_download: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the experiments of PAPER (or `all`) and write one record per cell."""
    tier = tier or ("small" if collections else "embedded")
    find_data_root(data_root)  # one that does not exist is refused now
    if split is not None and not collections:
        raise InputError("--split is of the collections named by --collection: name one")
    names, folders = chosen_collections(collections, data_root, split, download=not no_download)
    splits = {}
    if split is not None:
        usual = {name: usual_split(name, folders, data_root, not no_download) for name in names}
        splits = {name: split for name in names if usual[name] != split}
    asked = _of_all(only) if paper == "all" else {paper: only}
    chosen = list(asked)
    cells = [
        job
        for each, its in asked.items()
        for job in plan_jobs(each, tier, collections=names, only=its, splits=splits)
    ]
    cells = narrowed(cells, where)
    _say_what_is_left_out(chosen, names, only)
    if not collections:
        cells = _at_hand(cells, data_root, download=not no_download)
    if not cells:
        raise InputError(
            f"nothing to run: no cell at tier {tier} for what was asked; `replicate list` shows "
            "which experiment has which tier"
        )
    if dry_run and as_json:
        show_json([planned(job, folders) for job in cells])
        return
    if dry_run:
        show_plan(tier, cells, folders=folders, data_root=data_root, store=store)
        return
    _check_writable(store)
    records = _run(
        cells,
        store,
        as_json,
        n_jobs=jobs,
        executor=executor,
        data_root=data_root,
        download=not no_download,
        folders=folders,
        keep=keep,
        judged_in_collection=judged_in_collection,
    )
    if as_json:
        show_json([measured(record) for record in records])
    else:
        show_results(cells, records)
    place = shlex.quote(str(store))
    pages = f"replicate report --store {place}"
    if rehearsal():
        tell(f"note: a rehearsal ({VARIABLE}): no number here is evidence", err=True)
        pages = f"replicate report --store {place} --out <folder>"
    tell(f"records: {store}; `{pages}` for pages", err=as_json)
    mismatches = [line for r in records for line in r.provenance.get("data_mismatch", [])]
    for line in dict.fromkeys(mismatches):
        tell(f"note: {line}; numbers on it are not compared with the paper's", err=True)
    _say_notes(records, folders, data_root, download=not no_download)
    for record in records:
        if reason := record.facts.get("run_file"):
            tell(f"note: {told(record)}: run file {reason}", err=True)
    failed = [record for record in records if record.status == "error"]
    for record in failed:
        tell(f"failed: {told(record)}: {record.error}", err=True)
    context.exit(1 if failed else 0)


def _of_all(only: Sequence[str]) -> dict[str, list[str]]:
    """Papers with those of their experiments that are asked for; a paper without any is left out.

    Raises InputError for an experiment that no paper has.
    """
    sound = sound_papers()
    asked = {paper: [name for name in only if name in experiments(paper)] for paper in sound}
    for name in only:
        if not any(name in its for its in asked.values()):
            raise InputError(f"no paper has an experiment {name!r}; `replicate list` shows them")
        without = [paper for paper, its in asked.items() if name not in its]
        if without:
            tell(f"note: {', '.join(without)}: no experiment {name}", err=True)
    return {paper: its for paper, its in asked.items() if its or not only}


def _say_what_is_left_out(chosen: list[str], names: list[str], only: Sequence[str]) -> None:
    for paper in chosen if names and not only else ():
        if ids := [each.id for each in experiments(paper).values() if each.needs_model]:
            options = " ".join(f"--experiment {name}" for name in ids)
            tell(
                f"note: {paper} {', '.join(ids)} left out: needs a language model; ask with "
                f"{options}",
                err=True,
            )


def _say_notes(
    records: list[Record], folders: dict[str, Path], data_root: Path | None, *, download: bool
) -> None:
    """What cells noted about their input, each line once; of a folder, what was not said before."""
    said = {
        f"{name}: {note}"
        for name, path in folders.items()
        for note in cached_collection(path, data_root, download).notes
    }
    notes = [line for record in records for line in record.facts.get("input_notes", [])]
    for line in dict.fromkeys(notes):
        if line not in said:
            tell(f"note: {line}", err=True)


def _at_hand(cells: list[Job], data_root: Path | None, *, download: bool) -> list[Job]:
    """The cells whose collections are here or can be fetched; the others are counted."""
    reasons: dict[str, str] = {}
    for name in _named(cells):
        try:
            check_available(name, data_root=data_root, download=download)
        except InputError as error:
            reasons[name] = str(error)
    kept = [job for job in cells if job.config.get("collection") not in reasons]
    if cells and not kept:
        raise InputError(next(iter(reasons.values())))
    if reasons:
        names = ", ".join(list(reasons)[:5]) + (", ..." if len(reasons) > 5 else "")
        tell(
            f"note: {len(cells) - len(kept)} of {len(cells)} cells left out: {len(reasons)} "
            f"collections are not at hand ({names}); {next(iter(reasons.values()))}",
            err=True,
        )
    return kept


def _named(cells: list[Job]) -> list[str]:
    return list(dict.fromkeys(j.config["collection"] for j in cells if "collection" in j.config))


def _check_writable(store: Path) -> None:
    """Fail before the work, not after it; a rehearsal's store is marked as one."""
    try:
        Store(store).claim(bool(rehearsal()))
        with tempfile.TemporaryFile(dir=store) as file:
            file.write(b"x")
    except OSError as error:
        raise InputError(
            f"{store}: cannot be written ({error.strerror}); choose another folder with --store"
        ) from error


def _run(cells: list[Job], store: Path, quiet: bool, **options: Any) -> list[Record]:
    """Run the cells under a progress bar; records in the order of the cells.

    Where stdout is for JSON, `quiet`, the last line goes to stderr.
    """
    records: list[Record] = []
    reused = 0
    in_order = options["executor"] == "local" and options["n_jobs"] in (None, 1)

    def coming() -> str:
        return told(cells[min(len(records), len(cells) - 1)]) if in_order else ""

    with progress(len(cells), "cells", coming()) as follower:
        for record, was_reused in execute(cells, store, **options):
            records.append(record)
            reused += was_reused
            follower.advance(label=coming(), kept=was_reused)
    tell(f"{len(records)} cells: {len(records) - reused} run, {reused} kept from before", err=quiet)
    by_key = {record.key: record for record in records}
    return [by_key[job.key] for job in cells]
