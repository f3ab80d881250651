"""No published number is without a kind, and no error without a bound that it keeps."""

from __future__ import annotations

import pytest

from replications.commands.options import PUBLISHED
from replications.execute import PAPERS_FOLDER, papers
from reports.claims import load_paper
from reports.drift import compare
from reports.kinds import Kind, load_numbers
from reports.store import Store


@pytest.mark.parametrize("name", papers())
def test_every_published_number_has_a_kind_and_agrees_with_itself(name: str) -> None:
    records = Store(PUBLISHED).records(name)
    folder = PAPERS_FOLDER / name
    found = compare(load_paper(folder), load_numbers(folder), records, records)
    assert found.disagreements == () and found.left_out == ()
    assert found.compared[Kind.EXACT.value] > 100
    numbers = [kind for kind in (Kind.FLOAT64, Kind.FLOAT32) if found.compared[kind.value]]
    assert numbers and all(found.deviation[kind.value] == 0 for kind in numbers)
