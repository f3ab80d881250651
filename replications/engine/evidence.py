"""Fresh and published evidence of a paper side by side: what the claim tests compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ir_replications.engine.commands.options import PUBLISHED
from ir_replications.engine.executors import execute
from ir_replications.engine.jobs import plan_jobs
from ir_replications.engine.registry import PAPERS_FOLDER
from ir_replications.reports.claims.drift import Comparison, compare
from ir_replications.reports.claims.judge import Finding, Judgement, judge
from ir_replications.reports.claims.kinds import Kind, Numbers, load_numbers
from ir_replications.reports.claims.reader import Claim, Paper, load_paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from ir_replications.shared.rehearsal import VARIABLE, is_rehearsal, rehearsal


@dataclass
class Evidence:
    """A paper's records and verdicts at one tier, fresh from this code where it was run.

    `only` are the experiments that ran; empty for all.
    """

    paper: Paper
    numbers: Numbers
    tier: str
    fresh: Sequence[Record] | None
    only: Sequence[str] = ()

    @cached_property
    def published(self) -> list[Record]:
        """The committed records of this tier, digests and run files verified.

        Raises InputError for a record of a rehearsal.
        """
        store = Store(PUBLISHED)
        records = store.records(self.paper.id, self.tier)
        for record in records:
            store.check_run(record)
            if is_rehearsal(record.provenance):
                raise InputError(f"{store.where(record)}: is of a rehearsal; delete it")
        return records

    @cached_property
    def recorded(self) -> Judgement:
        """Verdicts of the published records."""
        return judge(self.paper, self.published, self.tier)

    @cached_property
    def judged(self) -> Judgement:
        """Verdicts of the fresh records, or of the published ones where nothing was run."""
        if self.fresh is None:
            return self.recorded
        return judge(self.paper, self.fresh, self.tier)

    def findings(self, claim: Claim) -> list[Finding]:
        """The findings of one claim, one per group."""
        return [finding for finding in self.judged.findings if finding.claim == claim.id]

    def problems(self, claim: Claim) -> list[str]:
        """Why the claim's test must be red; an honest "not reproduced" is no problem."""
        found = self.findings(claim)
        lines = [f"{f.id}: {f.why}" for f in found if f.verdict is Verdict.ERROR]
        if self.fresh is None or (self.only and not self._ran(claim)):
            return lines
        lines += [f"{f.id}: not run; {f.command}" for f in found if f.verdict is Verdict.NOT_RUN]
        before = {finding.id: finding for finding in self.recorded.findings}
        for finding in found:
            old = before.get(finding.id)
            if old is None or old.verdict is Verdict.NOT_RUN:
                lines.append(f"{finding.id}: no published record; publish this tier's records")
            elif self._comparable(finding, old) and finding.verdict is not old.verdict:
                lines.append(
                    f"{finding.id}: verdict is now {finding.verdict.word!r}, "
                    f"published as {old.verdict.word!r}"
                )
        return lines

    @cached_property
    def comparison(self) -> Comparison:
        """Every fresh number held against its published value, by what it is."""
        return compare(self.paper, self.numbers, self.published, self.fresh or ())

    def disagreements(self) -> list[str]:
        """Numbers outside their rule and problems of claims: what makes this evidence disagree."""
        problems = [line for claim in self.paper.claims for line in self.problems(claim)]
        return [*self.comparison.disagreements, *problems]

    def _comparable(self, finding: Finding, old: Finding) -> bool:
        """Same data on both sides, and no time or speed, which no two machines share."""
        measure = self._measure(finding)
        kinds = {
            rule.kind for record in finding.records for rule in self.numbers.rules(record, measure)
        }
        return _data(finding) == _data(old) and Kind.MACHINE not in kinds

    def _ran(self, claim: Claim) -> bool:
        check = claim.check
        named = {side.get("experiment") for side in (check.select, check.a, check.b)} - {None}
        return named <= set(self.only)

    def _measure(self, finding: Finding) -> str:
        return next(c.check.measure for c in self.paper.claims if c.id == finding.claim)


def _data(finding: Finding) -> dict[str, str]:
    return {k: v for r in finding.records for k, v in r.provenance.get("data", {}).items()}


def is_published(paper: str, tier: str) -> bool:
    """Whether any record of the paper's tier is committed; a new paper has none to compare with."""
    return any((PUBLISHED / paper / tier).rglob("[!.]*.json*"))


def gather(
    paper: str,
    tier: str,
    *,
    store: Path,
    data_root: Path | None,
    run: bool,
    only: Sequence[str] = (),
) -> Evidence:
    """Evidence of a paper at a tier; with `run`, its experiments run now, into `store`.

    `only` names the experiments to run and judge; default: all. Raises InputError in a rehearsal,
    which is no evidence.
    """
    if rehearsal():
        raise InputError(f"no claim is tested in a rehearsal; unset {VARIABLE}")
    fresh = None
    if run:
        jobs = plan_jobs(paper, tier, only=only)
        results = execute(jobs, store, data_root=data_root)
        fresh = [record for record, _ in results]
    folder = PAPERS_FOLDER / paper
    return Evidence(load_paper(folder), load_numbers(folder), tier, fresh, only)
