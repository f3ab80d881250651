"""What turns the claim tests red, and what stays green and visible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from ir_replications.engine import evidence as module
from ir_replications.engine import registry
from ir_replications.engine.context import Context
from ir_replications.engine.evidence import Evidence, gather
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.reports.claims.kinds import Kind, Numbers, Rule, load_numbers
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import record, records, write_paper

TIER = "small"


class Toy:
    """The toy paper: publish records, then judge others against them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        folder = write_paper(root / "papers")
        self.paper, self.numbers = load_paper(folder), load_numbers(folder)
        self.store = Store(root / "published")

    def publish(self, published: Iterable[Record]) -> None:
        for each in published:
            self.store.put(each)

    def against(self, fresh: list[Record] | None) -> Evidence:
        own = None if fresh is None else [each for each in fresh if each.tier == TIER]
        return Evidence(self.paper, self.numbers, TIER, own)

    def problems(self, fresh: list[Record] | None) -> list[str]:
        found = self.against(fresh)
        claims = [claim for claim in self.paper.claims if claim.id != "C1"]  # an embedded one
        return [line for claim in claims for line in found.problems(claim)]


def _experiment() -> dict[str, Experiment]:
    def cells(plan: Plan) -> list[dict[str, str]]:
        return [
            {"system": r.config["system"], "collection": r.config["collection"]} for r in small()
        ]

    def run(config: Config, context: Context) -> Outcome:
        raise RuntimeError("no such luck")

    return {"E1": Experiment("E1", "toy", cells, run, {})}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    found = Toy(tmp_path)
    monkeypatch.setattr(module, "PUBLISHED", found.store.root)
    monkeypatch.setattr(module, "PAPERS_FOLDER", tmp_path / "papers")
    monkeypatch.setattr(registry, "experiments", lambda paper: _experiment())
    monkeypatch.setattr(registry, "default_collections", lambda paper, tier: ())
    return found


def small() -> list[Record]:
    return [each for each in records() if each.tier == TIER]


def changed(system: str, collection: str, mean: float, **fields: object) -> list[Record]:
    """The small records with another mean for one cell."""
    new = record(system, collection, mean, **fields)  # type: ignore[arg-type]
    return [new if each.key == new.key else each for each in small()]


def test_an_honest_negative_result_is_green_and_visible(toy: Toy) -> None:
    toy.publish(records())
    assert toy.problems(records()) == []
    assert toy.against(records()).comparison.disagreements == ()
    words = {finding.id: finding.verdict for finding in toy.against(records()).judged.findings}
    assert words["C2[beir/beta]"] is Verdict.LOWER


def test_other_tiers_are_judged_from_the_published_records(toy: Toy) -> None:
    toy.publish(records())
    assert toy.problems(None) == []
    assert toy.against(None).judged == toy.against(None).recorded
    assert toy.against(None).comparison.disagreements == ()


def test_a_verdict_that_differs_from_the_published_one_is_red(toy: Toy) -> None:
    toy.publish(records())
    fresh = changed("bm25", "beir/alpha", 0.45)  # C3 says .50
    assert [line for line in toy.problems(fresh) if line.startswith("C3: verdict is now 'differs")]


def test_numbers_that_move_are_red_even_where_no_verdict_changes(toy: Toy) -> None:
    toy.publish(records())
    fresh = changed("bm25", "beir/alpha", 0.5005)
    assert toy.problems(fresh) == []
    lines = toy.against(fresh).comparison.disagreements
    assert any("nDCG@10 was 0.5004, is now 0.5005" in line for line in lines)


def test_a_failed_experiment_is_red(toy: Toy) -> None:
    toy.publish(records())
    broken = replace(small()[0], status="error", error="boom", means={}, per_query={})
    fresh = [broken, *small()[1:]]
    assert any(line == "C3: boom" for line in toy.problems(fresh))
    assert any(
        "was ok, is now error (boom)" in line
        for line in toy.against(fresh).comparison.disagreements
    )


def test_claims_without_records_are_red_on_either_side(toy: Toy) -> None:
    lines = toy.problems(records())
    assert "C3: no published record; publish this tier's records" in lines
    assert toy.against(records()).comparison.disagreements == (
        "4 cells have no published record, e.g. toy/small/E1/beir/alpha bm25; "
        "publish this tier's records",
    )
    toy.publish(records())
    assert any(line.startswith("C3: not run; replicate run toy") for line in toy.problems([]))


def test_other_data_are_not_compared_and_said_so(toy: Toy) -> None:
    toy.publish(records())
    other = {"provenance": {"data": {"beir/alpha": "bb"}}}
    fresh = changed("bm25", "beir/alpha", 0.45, **other)
    assert [line for line in toy.problems(fresh) if line.startswith("C3")] == []
    assert toy.against(fresh).comparison.disagreements == ()
    (line,) = toy.against(fresh).comparison.left_out
    assert "beir/alpha bm25: other data or models" in line


def test_what_one_side_notes_besides_hides_no_number(toy: Toy) -> None:
    toy.publish(records())
    more = {"provenance": {"data": {"beir/alpha": "aa", "files:pool": "cc"}}}
    fresh = changed("bm25", "beir/alpha", 0.45, **more)
    assert toy.against(fresh).comparison.left_out == ()
    assert any("beir/alpha bm25" in line for line in toy.against(fresh).comparison.disagreements)
    model = {"provenance": {"data": {"beir/alpha": "aa"}, "models": {"embedded:other": "dd"}}}
    fresh = changed("bm25", "beir/alpha", 0.4, **model)
    assert toy.against(fresh).comparison.left_out == ()
    (line,) = toy.against(fresh).comparison.disagreements
    assert line.endswith("beir/alpha bm25: notes other models than published: embedded:other")


def of_kind(numbers: Numbers, kind: Kind) -> Numbers:
    """The same declarations, with nDCG@10 of one kind."""
    return replace(numbers, tables={**numbers.tables, "E1": {"nDCG@10": Rule(kind)}})


@pytest.mark.parametrize("kind", [Kind.SAMPLED, Kind.TRAINED])
def test_of_sampled_text_and_unmeasured_training_the_verdict_is_compared(
    toy: Toy, kind: Kind
) -> None:
    toy.publish(records())
    toy.numbers = of_kind(toy.numbers, kind)
    near, far = (changed("bm25", "beir/alpha", mean) for mean in (0.5003, 0.45))
    assert toy.problems(near) == [] and toy.against(near).disagreements()[0].startswith("C1: not")
    assert toy.against(far).comparison.disagreements == ()
    assert any(line.startswith("C3: verdict is now 'differs") for line in toy.problems(far))


def test_speed_may_change_its_verdict(toy: Toy) -> None:
    toy.publish(records())
    fresh = changed("bm25", "beir/alpha", 0.45)
    claim = next(claim for claim in toy.paper.claims if claim.id == "C3")
    assert toy.against(fresh).problems(claim)
    toy.numbers = of_kind(toy.numbers, Kind.MACHINE)
    assert toy.against(fresh).problems(claim) == []


def test_altered_published_evidence_is_refused(toy: Toy) -> None:
    first = records()[0]
    toy.publish(records()[1:])
    put = toy.store.put(first, run={"q0": [("d1", 1.0)]})
    assert toy.against(None).published
    run_file = toy.store.run_path(put)
    run_file.write_bytes(run_file.read_bytes() + b"\0")
    with pytest.raises(InputError, match="sha256 differs"):
        toy.problems(None)
    toy.store.put(first)
    path = toy.store.path(first)
    path.write_text(path.read_text().replace("0.5004", "0.6004", 1))
    with pytest.raises(InputError, match=path.name):
        toy.problems(None)


def test_gather_runs_the_chosen_tier_only(toy: Toy) -> None:
    toy.publish(records())
    found = gather("toy", TIER, store=toy.root / "s", data_root=None, run=False)
    assert found.fresh is None
    found = gather("toy", TIER, store=toy.root / "s", data_root=None, run=True)
    assert found.fresh is not None and len(found.fresh) == 4
    claim = next(claim for claim in toy.paper.claims if claim.id == "C3")
    (line,) = [line for line in found.problems(claim) if "verdict" not in line]
    assert line.startswith("C3: RuntimeError: no such luck")
