"""No published number is without a kind, and no error without a bound that it keeps."""

from __future__ import annotations

import pytest

from ir_replications.engine.commands.options import PUBLISHED
from ir_replications.engine.evidence import is_published
from ir_replications.engine.experiment import TIERS
from ir_replications.engine.registry import PAPERS_FOLDER, experiments, papers
from ir_replications.reports.claims.drift import compare
from ir_replications.reports.claims.kinds import Kind, load_numbers, numbers_of
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.records.store import Store


@pytest.mark.parametrize("name", [p for p in papers() if any(is_published(p, t) for t in TIERS)])
def test_every_published_number_has_a_kind_and_agrees_with_itself(name: str) -> None:
    records = Store(PUBLISHED).records(name)
    folder = PAPERS_FOLDER / name
    found = compare(load_paper(folder), load_numbers(folder), records, records)
    assert found.disagreements == () and found.left_out == ()
    assert found.compared[Kind.EXACT.value] > 0
    numbers = [kind for kind in (Kind.FLOAT64, Kind.FLOAT32) if found.compared[kind.value]]
    assert numbers and all(found.deviation[kind.value] == 0 for kind in numbers)


def test_a_timed_experiment_measures_times_beside_its_counts() -> None:
    timed = [
        (name, each)
        for name in papers()
        for each, e in experiments(name).items()
        if e.measures_time
    ]
    assert ("bmx", "E7") in timed
    for name, experiment in timed:
        numbers = load_numbers(PAPERS_FOLDER / name)
        records = Store(PUBLISHED).records(name, "embedded")
        own = [record for record in records if record.experiment == experiment]
        names = {
            number for r in own for held in (r.means, r.facts) for number, _ in numbers_of(held)
        }
        assert {numbers.rule(experiment, n).kind for n in names} == {Kind.MACHINE, Kind.EXACT}
