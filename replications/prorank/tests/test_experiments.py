"""E1 to E6 and E8 as experiments: their cells, the golden checks, and what a missing part costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from ir_replications.engine.context import Context
from ir_replications.engine.execute import run_job
from ir_replications.engine.experiment import Plan
from ir_replications.engine.jobs import Job, plan_jobs
from ir_replications.prorank.checks.tiny_reranker import (
    save_tiny,
    tiny_collection,
    tiny_recipe,
    tiny_root,
)
from ir_replications.prorank.experiments import (
    e1_goldens,
    e2_zero_shot,
    e3_stages,
    e4_ablations,
    e5_paper,
    e6_longer,
    e8_untrained,
    systems,
)
from ir_replications.prorank.experiments.registry import COLLECTIONS, EXPERIMENTS
from ir_replications.prorank.reranking.released import MODELS
from ir_replications.prorank.tests.reranking.tiny_cross_encoder import (
    save_tiny as save_cross_encoder,
)
from ir_replications.prorank.training.recipe import Recipe, load_recipe
from ir_replications.prorank.training.run import SYSTEMS
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.toml_reader import Selector
from ir_replications.reports.claims.types import Check
from ir_replications.shared.data import write_beir
from ir_replications.shared.errors import MissingDependencyError

MINE = "local/mine"
MODULES: Mapping[str, Any] = {
    "E1": e1_goldens.EXPERIMENT, "E2": e2_zero_shot, "E3": e3_stages, "E4": e4_ablations,
    "E5": e5_paper, "E6": e6_longer, "E8": e8_untrained,
}  # fmt: skip
TIERS = ("embedded", "small", "paper")
PAPER = load_paper(Path(__file__).parents[1])
CLAIMS = PAPER.claims
UNSEEDED = ("bm25", "oracle", "zero-shot", "prorank", "cross-encoder", "precision")
Cell = dict[str, Any]


def plan(tier: str, *names: str) -> Plan:
    return Plan(tier, names or COLLECTIONS[tier], bool(names))


def matches(cell: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the cell has every value of a claim's selection (a list: one of them)."""
    return all(
        cell.get(key) in (value if isinstance(value, list) else [value])
        for key, value in wanted.items()
    )


def selections(check: Check) -> list[Selector]:
    return [check.select] if check.select else [check.a, check.b]


# ---- Cells


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("names", [(), (MINE,)], ids=["default", "mine"])
def test_no_two_cells_are_equal_and_what_is_deterministic_has_no_seed(
    tier: str, names: tuple[str, ...]
) -> None:
    for name, module in MODULES.items():
        cells = module.cells(plan(tier, *names))
        seen = [sorted(map(repr, cell.items())) for cell in cells]
        assert len({str(cell) for cell in seen}) == len(cells)
        for cell in cells:
            system = cell.get("system", "").removesuffix(", all queries")
            trained = system in SYSTEMS and system != "zero-shot"
            assert ("seed" in cell) == (trained or system == "speed"), (name, cell)
            if system in UNSEEDED:
                assert "seed" not in cell


def test_tiers_have_their_experiments() -> None:
    having = {tier: [n for n, m in MODULES.items() if m.cells(plan(tier))] for tier in TIERS}
    assert having == {
        "embedded": ["E1", "E2", "E3"],
        "small": ["E2", "E3", "E4", "E6", "E8"],
        "paper": ["E5"],
    }
    assert [e.id for e in EXPERIMENTS] == list(MODULES)
    for experiment in EXPERIMENTS:
        asked = {t for t in TIERS if MODULES[experiment.id].cells(plan(t))}
        assert set(experiment.cost) == asked
        assert experiment.needs_model == (experiment.id != "E1")


def test_every_golden_check_is_a_cell() -> None:
    cells = e1_goldens.EXPERIMENT.cells(plan("embedded"))
    assert {cell["check"] for cell in cells} == {f"A{i}" for i in range(1, 16)}


def test_small_tier_compares_all_systems_on_the_same_queries_and_depth() -> None:
    cells = e3_stages.cells(plan("small"))
    for name in COLLECTIONS["small"]:
        few = [c for c in cells if c["collection"] == name and "all queries" not in c["system"]]
        assert [c["system"] for c in few] == [
            "bm25", "oracle", "zero-shot", "sft", "stage 1", "stage 2", "stage 1+2"
        ]  # fmt: skip
        assert len({(c["depth"], c["queries"], c["recipe"]) for c in few}) == 1
    own = e3_stages.cells(plan("small", MINE))
    assert all("queries" not in cell for cell in own)
    assert {c["collection"] for c in own} == {MINE}


def test_pools_have_no_held_out_pairs_to_ask_about() -> None:
    assert [c["collection"] for c in e2_zero_shot.cells(plan("small"))] == ["beir/nfcorpus"]
    studies = {c["study"] for c in e4_ablations.cells(plan("small", MINE))}
    assert studies == {"rewards", "depth", "output", "losses"}
    cells = e4_ablations.cells(plan("small"))
    assert {c["study"] for c in cells if c["collection"] == "rerank/dl19"} == {"output", "losses"}


def test_paper_tier_is_beir_with_every_comparison() -> None:
    jobs = plan_jobs("prorank", "paper")
    named = {job.config["collection"] for job in jobs if "collection" in job.config}
    assert len(e5_paper.BEIR) == 25 and named == set(e5_paper.BEIR)
    assert sum(job.config["system"] == "released scores" for job in jobs) == 2
    assert all("collection" in c for c in e5_paper.cells(plan("paper", MINE)))
    assert {job.config["model"] for job in jobs if "model" in job.config} <= set(MODELS)
    assert load_recipe(e5_paper.RETRAINING).model == MODELS[e5_paper.SMALL].ref


def test_a_cell_changes_its_recipe() -> None:
    recipe = systems.recipe_of({"recipe": "small", "reward": "format", "loss": "bce", "seed": 7})
    assert (recipe.warmup.rewards, recipe.fine_grained.loss, recipe.seed) == ("format", "bce", 7)
    assert systems.recipe_of({"recipe": "small"}) == load_recipe("small")


def test_cells_name_the_model_of_their_recipe() -> None:
    for tier in ("embedded", "small"):
        for cell in e2_zero_shot.cells(plan(tier)):
            assert cell["model"] == load_recipe(cell["recipe"]).model


PLAN_WITHOUT_MODELS = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "peft", "trl", "accelerate"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from ir_replications.engine.experiment import TIERS
from ir_replications.engine.jobs import plan_jobs
print([len(plan_jobs("prorank", tier)) for tier in TIERS])
"""


def test_planning_needs_no_extra() -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", PLAN_WITHOUT_MODELS]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.strip() == str([len(plan_jobs("prorank", tier)) for tier in TIERS])


def test_every_claim_selects_a_planned_cell() -> None:
    for claim in CLAIMS:
        for tier in claim.tiers:
            jobs = [{"experiment": j.experiment} | j.config for j in plan_jobs("prorank", tier)]
            for wanted in selections(claim.check):
                assert any(matches(job, wanted) for job in jobs), (claim.id, wanted)


def use_tiny(patch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Tiny models and recipes in place of the real ones, a cache of its own; the data root."""
    model, larger = (str(save_tiny(folder / f"lm{seed}", seed)) for seed in (0, 1))
    cross = str(save_cross_encoder(folder / "cross", "Bert"))
    recipe = replace(tiny_recipe(), model=model, data=(MINE,))

    def load(name: str, **changes: Any) -> Recipe:
        return replace(recipe, **{k: v for k, v in changes.items() if v is not None})

    for module in (e2_zero_shot, e5_paper, systems):
        patch.setattr(module, "load_recipe", load)
    models = {
        name: SimpleNamespace(
            name=name,
            kind=known.kind,
            ref=cross if known.kind != "causal" else larger if "large" in name else model,
        )
        for name, known in MODELS.items()
    }
    patch.setattr(e5_paper, "MODELS", models)
    patch.setattr(e5_paper, "ANSWERS", MINE)
    patch.setattr(e5_paper, "REPETITIONS", (1,))
    patch.setattr(e5_paper, "TIMED_QUERIES", 1)
    patch.setenv("IR_REPLICATIONS_CACHE", str(folder / "cache"))
    return tiny_root(folder / "root")


# ---- What is missing costs its cell alone


def test_a_missing_model_costs_its_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    root = tiny_root(tmp_path / "root")
    at = {"collection": MINE, "depth": 100}
    for cell, message in (
        (at | {"system": "cross-encoder", "model": "mxbai-rerank-large-v1"}, "pins a revision"),
        (at | {"system": "prorank", "model": "mxbai-rerank-base-v2"}, "in the cache; run"),
    ):
        with pytest.raises(MissingDependencyError, match=message):
            e5_paper.run(cell, Context(root, download=False))
    record, reused = run_job(
        Job("prorank", "paper", "E5", cell), tmp_path / "store", data_root=root, download=False
    )
    assert (record.status, reused) == ("error", False)
    assert record.error is not None and "\n" not in record.error
    whole = run_job(
        Job("prorank", "paper", "E5", at | {"system": "bm25"}), tmp_path / "store", data_root=root
    )[0]
    assert (whole.status, whole.facts["queries"]) == ("ok", 4)


def test_missing_models_of_recipes_and_training_collections_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = use_tiny(monkeypatch, tmp_path)
    cell = {"collection": MINE, "recipe": "small", "system": "stage 1", "depth": 20, "seed": 42}
    usual = systems.load_recipe("small")
    for changes, message in (
        ({"model": str(tmp_path / "none")}, "no such folder"),
        ({"data": ("local/other",)}, "local/other: no such folder, not in the data root"),
    ):
        other = replace(usual, **changes)
        monkeypatch.setattr(systems, "load_recipe", lambda *_, found=other, **__: found)
        with pytest.raises(MissingDependencyError, match=message):
            e3_stages.run(cell, Context(root))


def test_no_development_split_costs_the_questions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = use_tiny(monkeypatch, tmp_path)
    whole = tiny_collection()
    parts = {split: whole.qrels[split] for split in ("train", "test")}
    write_beir(replace(whole, id="local/part", qrels=parts), root / "local" / "part")
    at = {"collection": "local/part", "recipe": "small", "system": "zero-shot"}
    with pytest.raises(MissingDependencyError, match="local/part: no development split"):
        e2_zero_shot.run(at | {"couples": 4}, Context(root))
    with pytest.raises(MissingDependencyError, match="local/part: no development split"):
        e4_ablations.run(at | {"study": "rewards", "reward": "both"}, Context(root))
    found = e3_stages.run(at | {"depth": 20}, Context(root))
    assert found.scores is not None
    assert "nDCG@10" in found.scores.means and "pair accuracy" not in found.scores.means
    assert "nDCG@10, first 20" not in found.scores.means, "the depth is 20 already"
