"""What the pages say about attested machines: a row for each, a sentence for each paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ir_replications.reports.attestation.machines import Machine
from ir_replications.reports.claims.kinds import Kind
from ir_replications.reports.pages.cite import records_digest
from ir_replications.reports.pages.formatting import count
from ir_replications.reports.records.record import Record

TIER = "embedded"
# A number that is "exact" is equal or disagrees: it has no size to show.
SIZED = {
    Kind.FLOAT64: "float64",
    Kind.FLOAT32: "float32",
    Kind.ERROR: "error bound",
    Kind.TRAINED: "trained",
}


@dataclass(frozen=True)
class MachineRow:
    """One machine as text; `sizes` are in the order of SIZED, `notes` say what limits the row."""

    machine: Machine
    agrees: bool
    compared: str
    sizes: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Verified:
    """Attested machines, and by paper the digest of the published records of the embedded tier."""

    machines: Sequence[Machine] = ()
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Headings of the kinds of numbers."""
        return list(SIZED.values())

    @property
    def rows(self) -> list[MachineRow]:
        """A row per machine."""
        return [self._row(machine) for machine in self.machines]

    def sentence(self, paper: str) -> str:
        """On how many machines a paper's embedded tier was run again, and whether they agree."""
        known = [machine for machine in self.machines if paper in machine.papers]
        now = [m for m in known if m.papers[paper].records == self.published.get(paper)]
        real = {_processor(machine) for machine in now if not machine.emulated}
        emulated = {(_processor(m), m.arithmetic) for m in now if m.emulated}
        older = len(known) - len(now)
        end = f"; {count(older, 'more run')} against older records." if older else "."
        if not now:
            return f"The embedded tier was not yet run again against these records{end}"
        parts = [f"on {count(len(real), 'machine')}"] if real else []
        if emulated:
            parts.append(f"under {count(len(emulated), 'emulated arithmetic')}")
        wrong = sum(bool(machine.papers[paper].disagreements) for machine in now)
        outcome = f"{wrong} of {len(now)} runs disagree" if wrong else "all agree"
        return f"The embedded tier was run again {' and '.join(parts)}: {outcome}{end}"

    def _row(self, machine: Machine) -> MachineRow:
        notes = []
        if not machine.is_current(self.published):
            notes.append("compared with older records")
        if not machine.full:
            notes.append(f"only {', '.join(machine.papers)}")
        left_out = [line for found in machine.papers.values() for line in found.left_out]
        for why, n in Counter(line.rpartition(": ")[2] for line in left_out).items():
            notes.append(f"{n} left out: {why}")
        if machine.git is None:
            notes.append("commit unknown")
        elif machine.git["dirty"]:
            notes.append("code with uncommitted changes")
        notes += machine.ignored
        sizes = machine.deviation
        return MachineRow(
            machine,
            agrees=not machine.disagreements,
            compared=f"{machine.compared:,}",
            sizes=[_size(sizes[kind.value]) if kind.value in sizes else "" for kind in SIZED],
            notes=notes,
        )


def verified(machines: Sequence[Machine], published: Iterable[Record]) -> Verified:
    """Machines beside what is published today; records of other tiers do not matter."""
    by_paper: dict[str, list[Record]] = {}
    for record in published:
        if record.tier == TIER:
            by_paper.setdefault(record.paper, []).append(record)
    return Verified(machines, {paper: records_digest(own) for paper, own in by_paper.items()})


def _processor(machine: Machine) -> tuple[str | None, str, tuple[str, ...]]:
    return (machine.processor, machine.system, tuple(machine.instruction_sets))


def _size(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}".replace("e-0", "e-")
