"""Several arithmetics on one machine, each in a process of its own, all cores busy to the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.table import Table

from ir_replications.engine.commands.options import console
from ir_replications.engine.door import tell
from ir_replications.reports.attestation.arithmetics import (
    NATIVE,
    Arithmetic,
    ignored,
    named,
    why_not_offered,
    without_switches,
)  # fmt: skip
from ir_replications.reports.attestation.libraries import Libraries, probe
from ir_replications.reports.attestation.machines import Machine, read_machines, write_machine
from ir_replications.reports.claims.kinds import COMPARED
from ir_replications.shared.errors import InputError


def attest_under(
    names: Iterable[str],
    papers: Sequence[str],
    out: Path,
    *,
    store: Path | None = None,
    values: Path | None = None,
    jobs: int = 1,
) -> list[Machine]:
    """`replicate attest` under each arithmetic; prints what each said, then a table of all.

    `jobs` cells run at a time: those of all arithmetics where each can have one, else those of one
    arithmetic after another, so that none runs alone at the end. One that this machine cannot
    offer, or whose libraries compute as they do natively, is left out with a line that says so.
    Raises InputError when a process fails to write its file.
    """
    native = probe(_environment(named(NATIVE), None))
    chosen = [each for name in names if _worth_running(each := named(name), native)]
    if not chosen:
        raise InputError("nothing to attest: this machine offers none of these arithmetics")
    at_once = len(chosen) if jobs >= len(chosen) else 1
    options = [word for paper in papers for word in ("--paper", paper)]
    options += ["--jobs", str(jobs // at_once)]
    if values is not None:
        options += ["--values", str(values)]
    with tempfile.TemporaryDirectory(prefix="attest-") as folder:

        def one(arithmetic: Arithmetic) -> Machine:
            own = Path(folder) / arithmetic.name
            kept = [] if store is None else ["--store", str(store / arithmetic.name)]
            command = ["attest", "--out", str(own), *options, *kept]
            tell(f"--- {arithmetic.name}: started")
            done = subprocess.run(
                [sys.executable, "-P", "-m", "ir_replications", *command],
                env=_environment(arithmetic, native) | {"PYTHONIOENCODING": "utf-8"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="backslashreplace",
            )
            # In one piece: two processes side by side would mix their lines.
            text = "".join(f"  {line}\n" for line in done.stdout.splitlines())
            tell(f"--- {arithmetic.name}: exit status {done.returncode}\n{text}".rstrip())
            if not (found := read_machines(own)):
                raise InputError(f"arithmetic {arithmetic.name} ended without a result; see above")
            return found[0]

        with ThreadPoolExecutor(at_once) as pool:
            machines = list(pool.map(one, chosen))
    for machine in machines:
        tell(f"written: {write_machine(machine, out)}")
    show_machines(machines)
    return machines


def show_machines(machines: Sequence[Machine]) -> None:
    """Print a row per arithmetic and paper: values compared, largest deviation of each kind."""
    table = Table(title="largest deviation from the published records", title_justify="left")
    kinds = [kind.value for kind in COMPARED]
    for column in ("arithmetic", "paper", "values", *kinds, "disagree"):
        left = column in ("arithmetic", "paper")
        table.add_column(column, justify="left" if left else "right")
    for machine in machines:
        for paper, found in machine.papers.items():
            sizes = [f"{found.deviation[k]:.2g}" if k in found.deviation else "" for k in kinds]
            count = f"{sum(found.compared.values()):,}"
            wrong = str(len(found.disagreements))
            table.add_row(machine.arithmetic, paper, count, *sizes, wrong)
    console().print(table)


def _worth_running(arithmetic: Arithmetic, native: Libraries) -> bool:
    if reason := why_not_offered(arithmetic):
        tell(f"--- {arithmetic.name}: not offered here: {reason}")
        return False
    if not arithmetic.emulated:
        return True
    real = probe(_environment(arithmetic, native))
    if real.results == native.results:
        tell(
            f"--- {arithmetic.name}: every library gives the same results as natively "
            f"({', '.join(f'{k}: {v}' for k, v in sorted(real.runs.items()))}); not run twice"
        )
        for line in ignored(arithmetic, real, native):
            tell(f"  NOT AS TOLD: {line}")
        return False
    return True


def _environment(arithmetic: Arithmetic, native: Libraries | None) -> dict[str, str]:
    wanted = {} if native is None else arithmetic.environment(native)
    # Idle threads give way at once: the cores are shared with another arithmetic.
    passive = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {**without_switches(os.environ), **passive, "OMP_NUM_THREADS": "1", **wanted}
