"""What every paper's test_claims.py collects; see conftest.py for the fixtures."""

from __future__ import annotations

from ir_replications.engine.evidence import Evidence
from ir_replications.reports.claims.reader import Claim


def test_claim(evidence: Evidence, claim: Claim) -> None:
    """No experiment failed, and no verdict changed from the published one."""
    assert not evidence.problems(claim)


def test_numbers_are_the_published_ones(fresh_evidence: Evidence) -> None:
    """The numbers of the chosen tier agree with the committed records, each by its kind."""
    assert not fresh_evidence.comparison.disagreements
