"""One machine, one arithmetic: run the embedded tier, compare, and say what computed it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

from ir_replications.engine import registry
from ir_replications.engine.door import tell
from ir_replications.engine.evidence import Evidence, gather
from ir_replications.engine.executors import execute
from ir_replications.engine.jobs import plan_jobs
from ir_replications.engine.side_by_side import threads_split
from ir_replications.reports.attestation.arithmetics import (
    BY_HAND,
    Arithmetic,
    ignored,
    recognise,
    switches_set,
    without_switches,
)  # fmt: skip
from ir_replications.reports.attestation.libraries import Libraries, probe
from ir_replications.reports.attestation.machines import TEXT_LIMIT, Agreement, Machine
from ir_replications.reports.claims.drift import deviations, same_data
from ir_replications.reports.pages.cite import records_digest
from ir_replications.reports.records import provenance
from ir_replications.shared.files import atomic_write

TIER = "embedded"


def attest_here(
    chosen: Sequence[str], store: Path, values: Path | None = None, *, full: bool, jobs: int = 1
) -> Machine:
    """Run papers' embedded tier, `jobs` cells at a time, into `store`; what the machine got.

    Under another arithmetic than the processor's, experiments that measure time are left out.

    `values` is a folder for the largest deviation of every number. `full` says that these are all
    the papers there are.
    """
    # Also for the probes, which say with how many threads the cells compute.
    with threads_split(jobs) if jobs > 1 else nullcontext():
        return _attest(chosen, store, values, full=full, jobs=jobs)


def _attest(
    chosen: Sequence[str], store: Path, values: Path | None, *, full: bool, jobs: int
) -> Machine:
    switches = switches_set(os.environ)
    real = probe()
    native = probe(without_switches(os.environ)) if switches else real
    arithmetic = recognise(switches, real, native)
    lines = ignored(arithmetic, real, native)
    _say(arithmetic, real, lines)
    started = datetime.now(UTC)
    # Times say nothing of an emulated processor, and are compared with nothing.
    timed = {paper: timed_experiments(paper) if arithmetic.emulated else [] for paper in chosen}
    only = {
        paper: [name for name in registry.experiments(paper) if name not in timed[paper]]
        for paper in chosen
    }
    if jobs > 1:  # those of all papers at once; `gather` then finds them in the store
        cells = [job for paper in chosen for job in plan_jobs(paper, TIER, only=only[paper])]
        for _ in execute(cells, store, n_jobs=jobs):
            pass
    found, moved = {}, {}
    for paper in chosen:
        evidence = gather(paper, TIER, store=store, data_root=None, run=True, only=only[paper])
        found[paper] = _agreement(evidence, timed[paper])
        moved[paper] = largest_deviations(evidence)
        say_agreement(paper, found[paper])
    if values is not None:
        with atomic_write(values / f"{arithmetic.name.replace(' ', '-')}.json") as handle:
            handle.write(json.dumps(moved, indent=1, sort_keys=True) + "\n")
    return Machine(
        date=started.date().isoformat(),
        processor=provenance.cpu_model(),
        cores=os.cpu_count(),
        instruction_sets=provenance.instruction_sets(),
        system=provenance.operating_system(),
        arithmetic=arithmetic.name,
        emulated=arithmetic.emulated,
        switches=switches,
        ignored=lines,
        threads=real.threads,
        libraries=real.runs,
        results=real.results,
        python=platform.python_version(),
        packages=provenance.package_versions(),
        git=provenance.git_state(),
        full=full,
        papers=found,
    )


def say_agreement(paper: str, found: Agreement) -> None:
    """Print one line per paper, and one per disagreement."""
    sizes = ", ".join(
        f"{kind} {found.deviation[kind]:.2g}" for kind in found.deviation if found.compared[kind]
    )
    word = "DISAGREES" if found.disagreements else "agrees"
    count = sum(found.compared.values())
    tell(f"{paper}: {word}; {count:,} values compared; largest deviation: {sizes or 'none'}")
    for line in found.disagreements:
        tell(f"  disagrees: {line}")
    for line in found.left_out:
        tell(f"  left out: {line}")


def largest_deviations(evidence: Evidence) -> dict[str, dict[str, dict[str, object]]]:
    """{experiment: {number: {"kind", "deviation"}}}: the largest over cells and list places.

    Deviations are as `reports.claims.drift.Deviation.size` defines them for the kind.
    """
    known = {record.key: record for record in evidence.published}
    largest: dict[str, dict[str, dict[str, object]]] = {}
    sizes: dict[tuple[str, str], float] = {}
    for record in evidence.fresh or ():
        old = known.get(record.key)
        if old is None or old.status != record.status or not same_data(old, record):
            continue
        for each in deviations(evidence.paper, evidence.numbers, old, record):
            key = (each.experiment, each.name)
            if each.size >= sizes.get(key, 0.0):
                sizes[key] = each.size
                entry: dict[str, object] = {"kind": each.kind.value, "deviation": each.size}
                largest.setdefault(each.experiment, {})[each.name] = entry
    return largest


def timed_experiments(paper: str) -> list[str]:
    """Names of the experiments whose numbers are times and speeds."""
    return [
        name for name, experiment in registry.experiments(paper).items() if experiment.measures_time
    ]


def _agreement(evidence: Evidence, timed: Sequence[str]) -> Agreement:
    comparison = evidence.comparison
    times = [f"{name}: times, which are measured natively alone" for name in timed]
    return Agreement(
        verdicts={verdict.word: n for verdict, n in evidence.judged.counts().items()},
        compared={kind: n for kind, n in comparison.compared.items() if n},
        deviation={k: float(x) for k, x in comparison.deviation.items() if comparison.compared[k]},
        disagreements=[_line(text) for text in evidence.disagreements()],
        left_out=[_line(text) for text in (*comparison.left_out, *times)],
        records=records_digest(evidence.published),
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:TEXT_LIMIT]


def _say(arithmetic: Arithmetic, real: Libraries, lines: Sequence[str]) -> None:
    tell(
        f"{provenance.cpu_model() or 'unknown processor'}, {os.cpu_count()} cores, "
        f"{provenance.operating_system()}"
    )
    tell(f"arithmetic: {arithmetic.name} ({arithmetic.title})")
    if arithmetic.name == BY_HAND:
        tell("  " + " ".join(f"{k}={v}" for k, v in arithmetic.switches.items()))
    for library, said in sorted(real.runs.items()):
        tell(f"  {library}: {said}")
    tell("  threads: " + ", ".join(f"{name} {n}" for name, n in real.threads.items()))
    for line in lines:
        tell(f"  NOT AS TOLD: {line}")
