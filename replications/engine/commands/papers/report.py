"""`replicate report`: render the pages from the published and the local records."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import click
from click.core import ParameterSource

from ir_replications.engine.commands.options import MACHINES, PAGES, PUBLISHED, store_option
from ir_replications.engine.cores import usable_cores
from ir_replications.engine.door import USER_PATH, tell
from ir_replications.engine.registry import PAPERS_FOLDER
from ir_replications.reports.attestation.machines import read_machines
from ir_replications.reports.pages.machine_views import verified
from ir_replications.reports.pages.render import benches_in, render_site
from ir_replications.reports.records.store import Store, overlay
from ir_replications.shared.errors import InputError


@click.command()
@click.option("--out", type=USER_PATH, default=PAGES, help="Folder of the pages.")
@store_option
@click.option("--published-only", is_flag=True, help="Leave out the records of --store.")
@click.option("--store-only", is_flag=True, help="Leave out the published records.")
def report(out: Path, store: Path, published_only: bool, store_only: bool) -> None:
    """Render one page per paper and an index.

    A rehearsal's store is rendered alone, into a folder of its own.
    """
    named = click.get_current_context().get_parameter_source("store") is not ParameterSource.DEFAULT
    if named and not store.is_dir():
        raise InputError(f"{store}: no such folder of records; name one that `replicate run` wrote")
    if store_only and published_only:
        raise InputError("--store-only and --published-only leave nothing; give one of them")
    local, machines = Store(store), None
    gc.disable()  # records stay until the end: the collector would walk all of them in vain
    try:
        if local.rehearsed and not published_only:
            _check_apart(out, "the store is a rehearsal's")
            records = local.records()
        elif store_only:
            _check_apart(out, "--store-only leaves the published records out")
            records = local.records()
        else:
            records = Store(PUBLISHED).records()
            machines = verified(read_machines(MACHINES), records)
            records = records if published_only else overlay(records, local.records())
        gc.freeze()
        gc.enable()
        index = render_site(
            PAPERS_FOLDER, records, out, machines, benches=benches_in(out), processes=usable_cores()
        )
    finally:
        gc.enable()
        gc.unfreeze()
    tell(f"{len(records)} records -> {index}")


def _check_apart(out: Path, reason: str) -> None:
    """Raise InputError where pages of one store would take the place of the published ones."""
    if os.path.realpath(out) == os.path.realpath(PAGES):
        raise InputError(f"{reason}; name a folder for its pages with --out")
