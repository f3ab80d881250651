"""`replicate attest`: does this machine get what was published? One small file says it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ir_replications.engine.commands.machines.attestation import TIER, attest_here
from ir_replications.engine.commands.machines.emulate import attest_under
from ir_replications.engine.commands.options import HOME, IN_CHECKOUT
from ir_replications.engine.cores import at_most
from ir_replications.engine.door import USER_PATH, tell
from ir_replications.engine.evidence import is_published
from ir_replications.engine.paper_check import sound_papers
from ir_replications.engine.registry import papers
from ir_replications.reports.attestation.arithmetics import ARITHMETICS
from ir_replications.reports.attestation.machines import write_machine
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import find_cache_dir

ALL = "all"


@click.command()
@click.option(
    "--paper",
    "chosen",
    multiple=True,
    metavar="PAPER",
    help="Only this one; default: each published one.",
)
@click.option(
    "--arithmetic",
    "arithmetics",
    multiple=True,
    type=click.Choice([*(each.name for each in ARITHMETICS), ALL]),
    help="Compute like another processor, each in a process of its own.",
)
@click.option(
    "--out",
    type=USER_PATH,
    default=HOME / "machines",
    help="Folder of the file (default: reports/machines).",
)
@click.option(
    "--store",
    type=USER_PATH,
    default=None,
    help="Keep the fresh records in this new folder; default: a temporary one.",
)
@click.option(
    "--values",
    type=USER_PATH,
    default=None,
    help="Also write the largest deviation of every number to this folder.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=None,
    help="Cells side by side; default: one, with --arithmetic as many as cores.",
)
@click.pass_context
def attest(
    context: click.Context,
    chosen: tuple[str, ...],
    arithmetics: tuple[str, ...],
    out: Path,
    store: Path | None,
    values: Path | None,
    jobs: int | None,
) -> None:
    """Run the embedded tier afresh and compare it with the published records.

    Writes one file on this machine, without host name, user name or path, and ends with status 1
    when anything disagrees. `--arithmetic all` does so once per arithmetic.
    """
    if not IN_CHECKOUT:
        raise InputError("the published records are not installed; attest in a clone of the suite")
    known = papers()
    for name in chosen:
        if name not in known:
            raise InputError(f"no paper named {name!r}; the papers are: {', '.join(known)}")
    asked = chosen or [name for name in sound_papers() if is_published(name, TIER)]
    if not asked:
        raise InputError("nothing to attest: no paper has published records of the embedded tier")
    if store is not None and store.exists() and any(store.iterdir()):
        raise InputError(f"{store}: is not empty; attest needs a fresh folder, name another one")
    if arithmetics:
        names = [each.name for each in ARITHMETICS] if ALL in arithmetics else list(arithmetics)
        machines = attest_under(
            dict.fromkeys(names), chosen, out, store=store, values=values, jobs=at_most(jobs)
        )
    else:
        with fresh_folders(store) as folder:
            machines = [
                attest_here(asked, folder, values, full=not chosen, jobs=at_most(jobs or 1))
            ]
        tell(f"written: {write_machine(machines[0], out)}")
    context.exit(1 if any(machine.disagreements for machine in machines) else 0)


@contextmanager
def fresh_folders(store: Path | None) -> Iterator[Path]:
    """A folder for the records, and for the block a cache that holds nothing but the models.

    Weights trained, scores and texts kept by an earlier run would be that run's arithmetic.
    """
    models = find_cache_dir() / "models"
    models.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("IR_REPLICATIONS_CACHE")
    with tempfile.TemporaryDirectory(prefix="attest-") as temporary:
        cache = Path(temporary) / "cache"
        cache.mkdir()
        (cache / "models").symlink_to(models.resolve(), target_is_directory=True)
        os.environ["IR_REPLICATIONS_CACHE"] = str(cache)
        try:
            yield store or Path(temporary) / "store"
        finally:
            if before is None:
                del os.environ["IR_REPLICATIONS_CACHE"]
            else:
                os.environ["IR_REPLICATIONS_CACHE"] = before
