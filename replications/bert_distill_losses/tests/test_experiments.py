"""E1 to E5 as experiments: their cells, planning without torch, whole cells, what is missing."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_training import write_recipe
from ir_replications.bert_distill_losses.experiments import (
    e1_goldens,
    e2_arms,
    e3_axes,
    e4_labels,
    e5_deeper_teacher,
)
from ir_replications.bert_distill_losses.experiments.registry import COLLECTIONS, EXPERIMENTS
from ir_replications.bert_distill_losses.training import ranking_terms, recipe
from ir_replications.bert_distill_losses.training import run as training_run
from ir_replications.bert_distill_losses.training.arms import ARMS, arm_of
from ir_replications.engine import registry
from ir_replications.engine.context import Context
from ir_replications.engine.execute import run_job
from ir_replications.engine.experiment import Outcome, Plan
from ir_replications.engine.jobs import Job
from ir_replications.shared.errors import MissingDependencyError

PAPER, MINE = "bert_distill_losses", "local/mine"
MODULES: Mapping[str, Any] = {
    "E1": e1_goldens.EXPERIMENT,
    "E2": e2_arms,
    "E3": e3_axes,
    "E4": e4_labels,
    "E5": e5_deeper_teacher,
}
TIERS = ("embedded", "small", "paper")


def plan(tier: str, *names: str) -> Plan:
    return Plan(tier, names or COLLECTIONS[tier], bool(names))


# ---- Cells


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("names", [(), (MINE,)], ids=["default", "mine"])
def test_no_two_cells_are_equal_and_what_is_trained_has_a_seed(
    tier: str, names: tuple[str, ...]
) -> None:
    for module in MODULES.values():
        cells = module.cells(plan(tier, *names))
        assert len({str(sorted(map(repr, cell.items()))) for cell in cells}) == len(cells)
        for cell in cells:
            assert ("seed" in cell) == (cell.get("system") in ("student", "teacher"))
            if cell.get("system") == "student":
                assert arm_of(cell).title


def test_tiers_have_their_experiments() -> None:
    assert [e.id for e in EXPERIMENTS] == list(MODULES)
    for experiment in EXPERIMENTS:
        asked = {t for t in TIERS if MODULES[experiment.id].cells(plan(t))}
        assert asked <= set(experiment.cost), experiment.id
        assert experiment.needs_model == (experiment.id != "E1")
    having = {tier: [n for n, m in MODULES.items() if m.cells(plan(tier))] for tier in TIERS}
    assert having["embedded"] == ["E1", "E2"] and having["small"] == ["E2", "E3", "E4", "E5"]


def test_every_arm_has_five_seeds_on_every_collection() -> None:
    cells = [c for c in e2_arms.cells(plan("small")) if c["system"] == "student"]
    for arm in ARMS:
        own = [c for c in cells if c["arm"] == arm and c["init"] == "pre-trained"]
        found = {(c["seed"], c["collection"]) for c in own}
        expected = {(s, name) for s in (1, 2, 3, 4, 5) for name in COLLECTIONS["small"]}
        assert found >= expected and len(own) == len(found), arm
    first = [(c["arm"], c["init"]) for c in cells]
    assert list(dict.fromkeys(arm for arm, _ in first))[:2] == ["A2", "A5"], "the plan's order"
    depths = {(c["collection"], c["depth"], c.get("queries")) for c in cells}
    assert len(depths) == len(COLLECTIONS["small"])


def test_axes_and_labels_change_what_they_name() -> None:
    for module in (e3_axes, e4_labels):
        cells = module.cells(plan("small"))
        trained = {(c["study"], str(arm_of(c)), c["seed"], c["collection"]) for c in cells}
        assert len(trained) == len(cells)
        assert {c["seed"] for c in cells} == {1, 2, 3}
    assert not any("rate" in c for c in e3_axes.cells(plan("small"))), "one rate along an axis"


PLAN_WITHOUT_MODELS = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "peft", "trl", "accelerate"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from ir_replications.bert_distill_losses.experiments.registry import COLLECTIONS, EXPERIMENTS
from ir_replications.engine.experiment import Plan
print([len(e.cells(Plan(t, COLLECTIONS[t]))) for e in EXPERIMENTS for t in COLLECTIONS])
"""


def test_planning_needs_no_extra() -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", PLAN_WITHOUT_MODELS]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    expected = [len(m.cells(plan(tier))) for m in MODULES.values() for tier in COLLECTIONS]
    assert done.stdout.strip() == str(expected)


def test_every_golden_check_is_a_cell() -> None:
    checks = {cell["check"] for cell in e1_goldens.EXPERIMENT.cells(plan("embedded"))}
    for number in range(1, 14):
        if number != 12:  # metrics have their own tests
            assert any(c == f"G{number}" or c.startswith(f"G{number}-") for c in checks), number
    assert {"C4", "K7"} <= checks
    assert e1_goldens.EXPERIMENT.run({"check": "C4"}, Context()).facts["max_difference"] == 0


# ---- Whole cells


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes "embedded" and "small" of a tiny model on "local/mine"; the data root."""
    for name in ("embedded", "small"):
        write_recipe(tmp_path, name)
    monkeypatch.setattr(recipe, "RECIPES", tmp_path)
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "papers", lambda: [PAPER])
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def finite(outcome: Outcome, queries: int) -> bool:
    assert outcome.scores is not None
    assert {len(v) for v in outcome.scores.per_query.values()} == {queries}
    return all(math.isfinite(v) and 0 <= v <= 1 for v in outcome.scores.means.values())


def test_embedded_cells_whole(tiny: Path) -> None:
    cells = e2_arms.cells(plan("embedded", MINE))
    context = Context(tiny)
    found = {cell.get("arm", cell["system"]): e2_arms.run(cell, context) for cell in cells}
    assert set(found) == {
        "bm25", "oracle", "bi-encoder", "untrained", "teacher", "A2", "A5", "A13",
    }  # fmt: skip
    assert all(finite(outcome, 6) for outcome in found.values())
    best = found["oracle"].scores.means["nDCG@10"]  # type: ignore[union-attr]
    for name, outcome in found.items():
        assert outcome.scores is not None and outcome.scores.means["nDCG@10"] <= best + 1e-9
        assert bool(outcome.models) == (name not in ("bm25", "oracle"))
        assert outcome.facts["queries"] == 6 if name != "oracle" else True
    facts = found["A13"].facts
    assert facts["title"] == ARMS["A13"].title
    assert [entry["step"] for entry in facts["curve"]] == [1, 2, 3, 4]
    assert {"hidden", "attention", "grad_cosine"} <= set(facts["curve"][0])
    for name in ("A2", "A5", "A13"):
        held = [v for k, v in found[name].facts.items() if k.endswith(", held out")]
        assert len(held) == 3 and all(v > 0 for v in held)
    assert found["teacher"].facts["training"][0]["steps"] == 4


def test_teachers_together_are_measured_on_the_mean_of_their_scores(tiny: Path) -> None:
    base = {"collection": MINE, "recipe": "small", "depth": 10}
    for system, number in (("ensemble", 3), ("cross-fitted", 2)):
        found = e2_arms.run(base | {"system": system}, Context(tiny))
        assert finite(found, 6) and len(found.facts["training"]) == number


def test_a_cell_of_the_other_experiments(tiny: Path) -> None:
    for module, wanted in (
        (e3_axes, {"weight": 0.1}),
        (e3_axes, {"hard_weight": 0.1}),
        (e4_labels, {"labelled": 0.25, "arm": "A8"}),
    ):
        cells = module.cells(plan("small", MINE))
        cell = next(c for c in cells if wanted.items() <= c.items())
        assert finite(module.EXPERIMENT.run(cell, Context(tiny)), 6)


def student(arm: str, **changes: Any) -> dict[str, Any]:
    base = {"collection": MINE, "recipe": "small", "depth": 10, "system": "student"}
    return base | {"arm": arm, "init": "pre-trained", "seed": 1, **changes}


def test_groups_without_labels_are_the_students_alone(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled, teachers = [], []
    plain = training_run._trained

    def note(*a: Any, **options: Any) -> Any:
        done = plain(*a, **options)
        labelled.append((a[1], float(a[3].groups.labelled.mean())))
        teachers.extend([done.sha256] if a[1] == "teacher" else [])
        return done

    monkeypatch.setattr(training_run, "_trained", note)
    e2_arms.run(student("A5"), Context(tiny))
    cells = e4_labels.cells(plan("small", MINE))
    cell = next(c for c in cells if "unlabelled" in c)
    e4_labels.EXPERIMENT.run(cell, Context(tiny))
    assert labelled[:2] == [("teacher", 1.0), ("student", 1.0)]
    assert {kind: share for kind, share in labelled[2:]} == {"teacher": 1.0, "student": 0.5}
    assert len(set(teachers)) == 1


def test_a_loss_that_is_no_number_costs_its_arm_alone(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ranking_terms.HARD, "bce", lambda scores: scores.sum() * float("nan"))
    records = [
        run_job(Job(PAPER, "small", "E2", student(arm)), tiny / "store", data_root=tiny)[0]
        for arm in ("A1", "A2")
    ]
    assert [record.status for record in records] == ["error", "ok"]
    assert "the loss is not finite at step 1" in str(records[0].error)
    assert "\n" not in str(records[0].error)


def test_what_is_missing_costs_its_cell_alone(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tiny / "store"
    write_recipe(tiny, "small", data="[local/mine, local/other]")
    with pytest.raises(MissingDependencyError, match="local/other: "):
        e2_arms.run(student("A2"), Context(tiny, download=False))
    job = Job(PAPER, "small", "E2", student("A2"))
    record = run_job(job, store, data_root=tiny, download=False)[0]
    assert record.status == "error" and "\n" not in str(record.error)
    first = {"collection": MINE, "recipe": "small", "depth": 10, "system": "bm25"}
    assert run_job(Job(PAPER, "small", "E2", first), store, data_root=tiny)[0].status == "ok"
    path = write_recipe(tiny, "small")
    path.write_text(path.read_text().replace(f"{tiny / 'model'}", f"{tiny / 'none'}"))
    with pytest.raises(MissingDependencyError, match="no such folder"):
        e2_arms.run(student("A2"), Context(tiny, download=False))


def test_a_student_of_a_shared_training_is_trained_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    plain = training_run._trained

    def note(*a: Any, **options: Any) -> Any:
        done = plain(*a, **options)
        trained.append((a[1], done.sha256))
        return done

    monkeypatch.setattr(training_run, "_trained", note)
    context = Context(tiny)
    e2_arms.run(student("C3"), context)
    e4_labels.EXPERIMENT.run(student("A2", swapped=0.3, study="30 % wrong labels"), context)
    assert len({sha256 for kind, sha256 in trained if kind == "student"}) == 1


def test_the_embedded_tier_on_its_own_collection(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's documentation, which is always there: one student, through its record."""
    write_recipe(tiny, "embedded", data="[pydocs]")
    cells = e2_arms.cells(plan("embedded"))
    (cell,) = (c for c in cells if c.get("arm") == "A13")
    record = run_job(Job(PAPER, "embedded", "E2", cell), tiny / "store", download=False)[0]
    assert (record.status, record.error) == ("ok", None)
    assert record.facts["queries"] == 20 and "hidden, held out" in record.facts
