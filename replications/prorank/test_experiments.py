"""E1 to E5 as experiments: their cells, and whole runs on a tiny random model and collection."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("yaml")

from replications.execute import Context, Job, Outcome, Plan, plan_jobs, run_job
from replications.prorank import (
    e1_goldens,
    e2_zero_shot,
    e3_stages,
    e4_ablations,
    e5_paper,
    goldens_training,
    systems,
)
from replications.prorank.experiment import COLLECTIONS, EXPERIMENTS
from replications.prorank.first_stages import candidate_run
from replications.prorank.recipe import Recipe, load_recipe
from replications.prorank.released import MODELS
from replications.prorank.reranker import SPACE
from replications.prorank.tiny_cross_encoder import save_tiny as save_cross_encoder
from replications.prorank.tiny_reranker import save_tiny, tiny_collection, tiny_recipe, tiny_root
from replications.prorank.training_run import SYSTEMS
from shared.data import write_beir
from shared.errors import MissingDependencyError

MINE = "local/mine"
MODULES: Mapping[str, Any] = {
    "E1": e1_goldens, "E2": e2_zero_shot, "E3": e3_stages, "E4": e4_ablations, "E5": e5_paper,
}  # fmt: skip
TIERS = ("embedded", "small", "paper")
CLAIMS = tomllib.loads((Path(__file__).parent / "claims.toml").read_text("utf-8"))
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


def selections(check: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "select" in check:
        return [check["select"]]
    return [check.get("where", {}) | check[side] for side in ("a", "b")]


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
    assert having == {"embedded": ["E1", "E2", "E3"], "small": ["E2", "E3", "E4"], "paper": ["E5"]}
    assert [e.id for e in EXPERIMENTS] == list(MODULES)
    for experiment in EXPERIMENTS:
        asked = {t for t in TIERS if MODULES[experiment.id].cells(plan(t))}
        assert set(experiment.cost) == asked
        assert experiment.needs_model == (experiment.id != "E1")


def test_every_golden_check_is_a_cell() -> None:
    cells = e1_goldens.cells(plan("embedded"))
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
    pool = {
        c["study"] for c in e4_ablations.cells(plan("small")) if c["collection"] != "beir/nfcorpus"
    }
    assert pool == {"output", "losses"}


def test_paper_tier_is_beir_with_every_comparison() -> None:
    jobs = plan_jobs("prorank", "paper")
    named = {job.config["collection"] for job in jobs if "collection" in job.config}
    assert len(e5_paper.BEIR) == 25 and named == set(e5_paper.BEIR)
    assert sum(job.config["system"] == "released scores" for job in jobs) == 2
    assert all("collection" in c for c in e5_paper.cells(plan("paper", MINE)))
    assert {job.config["model"] for job in jobs if "model" in job.config} <= set(MODELS)
    assert load_recipe(e5_paper.RETRAINING).model == MODELS[e5_paper.SMALL].ref


def test_every_claim_selects_a_planned_cell() -> None:
    for claim in CLAIMS["claim"]:
        for tier in claim["tiers"]:
            jobs = [{"experiment": j.experiment} | j.config for j in plan_jobs("prorank", tier)]
            for wanted in selections(claim["check"]):
                assert any(matches(job, wanted) for job in jobs), (claim["id"], wanted)


# ---- E1


@pytest.mark.parametrize("check", sorted(e1_goldens.CHECKS))
def test_goldens_give_the_numbers_that_claims_ask_for(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = functools.partial(goldens_training.a12, seeds=1)
    monkeypatch.setitem(e1_goldens.CHECKS, "A12", quick)
    facts = e1_goldens.run({"check": check}, Context()).facts
    asked = {
        claim["check"]["fact"]
        for claim in CLAIMS["claim"]
        if claim["check"].get("select", {}).get("check") == check
    }
    assert asked
    assert all(isinstance(facts[name], int | float) for name in asked)


# ---- Whole runs


@dataclass(frozen=True)
class Bench:
    """Every cell of the small and the paper tier on `tiny_collection`, with what it measured."""

    root: Path
    done: list[tuple[Cell, Outcome]]

    def one(self, **wanted: Any) -> Outcome:
        (found,) = (outcome for cell, outcome in self.done if matches(cell, wanted))
        return found


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


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        root = use_tiny(patch, tmp_path_factory.mktemp("bench"))
        cells = [
            {"experiment": name} | cell
            for name, tier in (("E2", "small"), ("E3", "small"), ("E4", "small"), ("E5", "paper"))
            for cell in MODULES[name].cells(plan(tier, MINE))
        ]
        cells += [
            {"experiment": "E5", "system": "released scores", "model": model}
            for model in e5_paper.RELEASED
        ]
        done = []
        for cell in cells:
            config = {key: value for key, value in cell.items() if key != "experiment"}
            done.append((cell, MODULES[cell["experiment"]].run(config, Context(root))))
        yield Bench(root, done)


def asked_of_records() -> list[Any]:
    """What claims and tables read from records of E2 to E5: (id, selection, measure, fact)."""
    found = []
    for claim in CLAIMS["claim"]:
        check = claim["check"]
        measure = None if "fact" in check else check.get("measure", "nDCG@10")
        for wanted in selections(check):
            found.append((claim["id"], wanted, measure, check.get("fact")))
    for table in CLAIMS["table"]:
        for row in table["row"]:
            for column in table["columns"]:
                parts = [table.get("ours"), column.get("ours", {}), row.get("ours", {})]
                if False in parts or None in parts:
                    continue
                wanted = {key: value for part in parts for key, value in part.items()}
                places = (column, row, table, {"measure": "nDCG@10"})
                measure = next(place["measure"] for place in places if "measure" in place)
                found.append((table["id"], wanted, measure, None))
    return [
        entry for entry in found if entry[1].get("experiment") != "E1" and "device" not in entry[1]
    ]


def test_records_have_what_claims_and_tables_ask_for(bench: Bench) -> None:
    asked = asked_of_records()
    assert len(asked) > 100
    for name, wanted, measure, fact in asked:
        wanted = {k: v for k, v in wanted.items() if k != "collection"}
        found = [outcome for cell, outcome in bench.done if matches(cell, wanted)]
        assert found, (name, wanted)
        for outcome in found:
            means = {} if outcome.scores is None else outcome.scores.means
            value = means.get(measure) if fact is None else outcome.facts.get(fact)
            assert isinstance(value, int | float) and math.isfinite(value), (name, measure, fact)


def test_both_sides_of_an_effect_have_the_same_queries(bench: Bench) -> None:
    for claim in CLAIMS["claim"]:
        if "a" in claim["check"] and claim["check"].get("measure") != "pairs_per_second":
            seen = set()
            for wanted in selections(claim["check"]):
                wanted = {k: v for k, v in wanted.items() if k != "collection"}
                for cell, outcome in bench.done:
                    if matches(cell, wanted):
                        measure = claim["check"].get("measure", "nDCG@10")
                        seen.add(frozenset(outcome.scores.per_query[measure]))  # type: ignore[union-attr]
            assert len(seen) == 1, claim["id"]


def test_no_reranking_beats_the_best_one_and_recall_is_the_first_stages(bench: Bench) -> None:
    compared = 0
    for experiment in ("E3", "E5"):
        first, best = (
            bench.one(experiment=experiment, system=system, depth=depth).scores.per_query  # type: ignore[union-attr]
            for system, depth in (
                ("bm25", 50 if experiment == "E3" else 100),
                ("oracle", 50 if experiment == "E3" else 100),
            )
        )
        assert sum(best["nDCG@10"].values()) > sum(first["nDCG@10"].values()), "there is room"
        for cell, outcome in bench.done:
            if cell["experiment"] == experiment and outcome.run is not None:
                found = outcome.scores.per_query  # type: ignore[union-attr]
                assert found["R@100"] == first["R@100"]
                for measure in ("nDCG@10", "AP@100"):
                    for qid, value in found[measure].items():
                        assert value <= best[measure][qid] + 1e-9, (cell, qid)
                compared += 1
    assert compared > 20


@pytest.mark.parametrize("depth", e4_ablations.STUDY_DEPTHS)
def test_what_is_below_the_depth_stays_and_the_best_of_that_depth_is_not_beaten(
    bench: Bench, depth: int
) -> None:
    first = candidate_run(MINE, "test", Context(bench.root))
    cells = [(c, o) for c, o in bench.done if c.get("study") == "depth" and c["depth"] == depth]
    assert [cell["system"] for cell, _ in cells] == ["oracle", "zero-shot", "stage 1+2"]
    best = cells[0][1].scores
    for _, outcome in cells:
        assert outcome.run is not None and outcome.scores is not None and best is not None
        for qid, results in first.items():
            ids, found = ([d for d, _ in run] for run in (results, outcome.run[qid]))
            assert sorted(found[:depth]) == sorted(ids[:depth])
            assert found[depth:] == ids[depth:]
            limit = best.per_query["nDCG@10"][qid]
            assert outcome.scores.per_query["nDCG@10"][qid] <= limit + 1e-9


def test_studies_agree_with_the_systems_that_they_vary(bench: Bench) -> None:
    """The same weights and scores, by whatever cell they were asked for."""
    stage_1, both = (bench.one(experiment="E3", system=s) for s in ("stage 1", "stage 1+2"))
    zero = bench.one(experiment="E3", system="zero-shot")
    scored = bench.one(study="output", output="score")
    answer = bench.one(study="output", output="answer")
    rewards = bench.one(study="rewards", reward="both")
    assert scored.run == stage_1.run
    assert scored.scores is not None and answer.scores is not None
    assert scored.scores.means["tied pairs"] < answer.scores.means["tied pairs"] <= 1
    for measure in ("format success", "pair accuracy", "pair order", "says one"):
        assert rewards.scores.per_query[measure] == stage_1.scores.per_query[measure]  # type: ignore[union-attr]
    loss = bench.one(study="losses", loss=tiny_recipe().fine_grained.loss).scores
    shallow, deep = "nDCG@10, first 20", "nDCG@10"
    assert loss.per_query[deep] == both.scores.per_query[shallow]  # type: ignore[union-attr]
    for system, whole in (("zero-shot", zero), ("stage 1+2", both)):
        for depth, measure in ((20, shallow), (50, deep)):
            found = bench.one(study="depth", system=system, depth=depth).scores
            assert found.per_query[deep] == whole.scores.per_query[measure]  # type: ignore[union-attr]
    assert zero.run != stage_1.run != both.run


def test_facts_of_training_and_answers(bench: Bench) -> None:
    facts = bench.one(experiment="E3", system="stage 1+2").facts
    assert [stage["steps"] for stage in facts["training"]] == [4, 4]
    assert {name: len(curve) for name, curve in facts["curves"].items()} == {
        "warmup": 4,
        "fine_grained": 4,
    }
    assert "loss" in facts["curves"]["warmup"][0] and "margin" in facts["curves"]["fine_grained"][0]
    assert (facts["pairs"], facts["queries"], facts["split"]) == (8, 4, "test")
    assert sum(facts["confusion"].values()) == 8
    right = facts["confusion"]["relevant, 1"] + facts["confusion"]["irrelevant, 0"]
    assert facts["pair accuracy"] == right / 8
    assert 0 < facts["answer probability"] < 1
    assert facts["pairs_per_second"] * facts["seconds_per_query"] == pytest.approx(32)
    alone = bench.one(experiment="E3", system="stage 2").facts["training"]
    assert [stage["steps"] for stage in alone] == [8]
    assert "training" not in bench.one(experiment="E3", system="zero-shot").facts


def test_numbers_of_the_states_do_not_depend_on_what_was_scored_before(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert systems.FIRST >= SPACE
    root = use_tiny(monkeypatch, tmp_path)
    cell = {"collection": MINE, "recipe": "small", "system": "zero-shot"}
    e4_ablations.run(cell | {"study": "depth", "depth": 10}, Context(root))
    again = e3_stages.run(cell | {"depth": 50}, Context(root))
    before = bench.one(experiment="E3", system="zero-shot")
    assert again.scores is not None and before.scores is not None
    for measure in ("effective rank", "mean cosine", "score deviation"):
        assert again.scores.per_query[measure] == pytest.approx(before.scores.per_query[measure])


def test_released_scores_are_compared_with_the_published_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = e5_paper.RELEASED[0]
    own = bench.one(system="released scores", model=name).facts["scores"]
    for published, error, violations in ((own, 0.0, 0), (own[::-1], abs(own[0] - own[2]), 2)):
        monkeypatch.setattr(e5_paper, "EXAMPLE_SCORES", {name: published})
        facts = e5_paper.run({"system": "released scores", "model": name}, Context()).facts
        assert facts["largest_error"] == pytest.approx(error, abs=1e-5)
        if sorted(own)[1] == own[1]:  # the reversed order moves the first and the last
            assert facts["order_violations"] == violations


def test_a_sigmoid_in_bfloat16_ties_from_6_25_on(bench: Bench) -> None:
    found = e5_paper._sigmoid_in_bfloat16({"a": 6.1875, "b": 6.25, "c": 9.0, "d": -1.0})
    assert found["a"] < found["b"] == found["c"] == 1.0
    ties = {
        p: bench.one(system="precision", precision=p).scores.means["tied pairs"]  # type: ignore[union-attr]
        for p in e5_paper.PRECISIONS
    }
    assert ties["bfloat16, sigmoid"] >= ties["bfloat16"] >= ties["float32"]
    assert (
        bench.one(system="precision", precision="bfloat16").run
        == bench.one(system="prorank", model=e5_paper.RELEASED[0], depth=100).run
    )


# ---- What is missing costs its cell alone


def test_a_missing_model_costs_its_cell_alone(tmp_path: Path) -> None:
    root = tiny_root(tmp_path / "root")
    at = {"collection": MINE, "depth": 100}
    for cell, message in (
        (at | {"system": "cross-encoder", "model": "mxbai-rerank-large-v1"}, "pins a revision"),
        (at | {"system": "prorank", "model": "mxbai-rerank-base-v2"}, "cannot be fetched"),
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
