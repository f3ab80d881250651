"""Fresh and published evidence of a paper side by side: what the claim tests compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from replications.commands.options import PUBLISHED
from replications.execute import PAPERS_FOLDER, execute, experiments, plan_jobs
from reports.claims import Claim, Paper, load_paper
from reports.drift import data_changes, drift, measures_machine
from reports.judge import Finding, Judgement, judge
from reports.results import Record, Store
from reports.verdicts import Verdict
from shared.errors import InputError
from shared.rehearsal import VARIABLE, is_rehearsal, rehearsal


@dataclass
class Evidence:
    """A paper's records and verdicts at one tier, fresh from this code where it was run."""

    paper: Paper
    tier: str
    fresh: Sequence[Record] | None

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
                raise InputError(f"{store.path(record)}: is of a rehearsal; delete it")
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
        if self.fresh is None:
            return lines
        lines += [f"{f.id}: not run; {f.command}" for f in found if f.verdict is Verdict.NOT_RUN]
        before = {finding.id: finding for finding in self.recorded.findings}
        for finding in found:
            old = before.get(finding.id)
            if old is None or old.verdict is Verdict.NOT_RUN:
                lines.append(f"{finding.id}: no published record; publish this tier's records")
            elif measures_machine(claim.check.measure):
                continue
            elif self._comparable(finding, old) and finding.verdict is not old.verdict:
                lines.append(
                    f"{finding.id}: verdict is now {finding.verdict.word!r}, "
                    f"published as {old.verdict.word!r}"
                )
        return lines

    def drift(self) -> list[str]:
        """Numbers that moved from the published records of the same config and data.

        A cell that has no published record is one line too: its numbers are pinned by nothing.
        """
        lines = []
        for experiment in experiments(self.paper.id).values():
            if experiment.drift is None:
                continue
            published = [r for r in self.published if r.experiment == experiment.id]
            fresh = [r for r in self.fresh or () if r.experiment == experiment.id]
            lines += drift(published, fresh, experiment.drift)
            known = {record.key for record in published}
            if new := [record.label for record in fresh if record.key not in known]:
                lines.append(
                    f"{experiment.id}: {len(new)} cells have no published record, e.g. {new[0]}; "
                    "publish this tier's records"
                )
        return lines

    def not_compared(self) -> list[str]:
        """Fresh cells whose data or models are not the published ones, one line each."""
        return data_changes(self.published, self.fresh or ())

    def _comparable(self, finding: Finding, old: Finding) -> bool:
        """Same data on both sides, and no sampled text in between."""
        known = experiments(self.paper.id)
        names = {record.experiment for record in finding.records}
        return _data(finding) == _data(old) and all(known[name].drift is not None for name in names)


def _data(finding: Finding) -> dict[str, str]:
    return {k: v for r in finding.records for k, v in r.provenance.get("data", {}).items()}


def gather(
    paper: str, tier: str, *, store: Path, data_root: Path | None, run: bool, n_jobs: int = 1
) -> Evidence:
    """Evidence of a paper at a tier; with `run`, its experiments run now, into `store`.

    Raises InputError in a rehearsal, which is no evidence.
    """
    if rehearsal():
        raise InputError(f"no claim is tested in a rehearsal; unset {VARIABLE}")
    fresh = None
    if run:
        jobs = plan_jobs(paper, tier)
        results = execute(jobs, store, n_jobs=n_jobs, data_root=data_root)
        fresh = [record for record, _ in results]
    return Evidence(load_paper(PAPERS_FOLDER / paper), tier, fresh)
