"""E2 to E6 and E8 run whole, every cell of them, on a tiny random model and collection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Outcome
from ir_replications.prorank.checks.tiny_reranker import tiny_collection, tiny_qwen2, tiny_recipe
from ir_replications.prorank.experiments import (
    e3_stages,
    e4_ablations,
    e5_paper,
    e6_longer,
    systems,
)
from ir_replications.prorank.method.score import score_pairs_plain
from ir_replications.prorank.reranking.reranker import SPACE
from ir_replications.prorank.tests.test_experiments import (
    CLAIMS,
    MINE,
    MODULES,
    PAPER,
    Cell,
    matches,
    plan,
    selections,
    use_tiny,
)

TIERS = {"E2": "small", "E3": "small", "E4": "small", "E5": "paper", "E6": "small", "E8": "small"}


@dataclass(frozen=True)
class Bench:
    """Every cell of the small and the paper tier on `tiny_collection`, with what it measured."""

    done: list[tuple[Cell, Outcome]]

    def one(self, **wanted: Any) -> Outcome:
        (found,) = (outcome for cell, outcome in self.done if matches(cell, wanted))
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    with pytest.MonkeyPatch.context() as patch:
        context = Context(use_tiny(patch, tmp_path_factory.mktemp("bench")))
        patch.setattr(e6_longer, "SEEDS", (42,))
        cells = [
            {"experiment": name} | cell
            for name, tier in TIERS.items()
            for cell in MODULES[name].cells(plan(tier, MINE))
        ]
        cells += [
            {"experiment": "E5", "system": "released scores", "model": model}
            for model in e5_paper.RELEASED
        ]
        return Bench([(cell, run_cell(cell, context)) for cell in cells])


def run_cell(cell: Cell, context: Context) -> Outcome:
    config = {key: value for key, value in cell.items() if key != "experiment"}
    if cell["experiment"] == "E8" and "model" in config:
        config["model"] = systems.load_recipe("small").model  # in the place of the real ones
    return MODULES[cell["experiment"]].run(config, context)


def asked_of_records() -> list[tuple[str, dict[str, Any], str]]:
    """What claims and tables read from records of E2 to E8: (id, selection, measure or fact)."""
    found = [
        (claim.id, dict(wanted), claim.check.measure)
        for claim in CLAIMS
        for wanted in selections(claim.check)
    ]
    for table in PAPER.tables:
        for row in table.rows:
            found += [
                (
                    table.id,
                    {**table.ours, **column.ours, **row.ours},
                    column.measure or table.measure,
                )
                for column in table.columns
                if row.compared and not column.over
            ]
    return [
        entry for entry in found if entry[1].get("experiment") != "E1" and "device" not in entry[1]
    ]


def test_records_have_what_claims_and_tables_ask_for(bench: Bench) -> None:
    asked = asked_of_records()
    assert len(asked) > 100
    for name, wanted, number in asked:
        wanted = {k: v for k, v in wanted.items() if k != "collection"}
        found = [outcome for cell, outcome in bench.done if matches(cell, wanted)]
        assert found, (name, wanted)
        for outcome in found:
            means = {} if outcome.scores is None else outcome.scores.means
            value = means.get(number, outcome.facts.get(number))
            assert isinstance(value, int | float) and math.isfinite(value), (name, number)


def test_both_sides_of_an_effect_have_the_same_queries(bench: Bench) -> None:
    compared = 0
    for claim in CLAIMS:
        check = claim.check
        if check.a and check.measure != "pairs_per_second":
            seen = set()
            for wanted in selections(check):
                wanted = {k: v for k, v in wanted.items() if k != "collection"}
                for cell, outcome in bench.done:
                    if matches(cell, wanted):
                        seen.add(frozenset(outcome.scores.per_query[check.measure]))  # type: ignore[union-attr]
            assert len(seen) == 1, claim.id
            compared += 1
    assert compared > 10


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


def test_a_run_is_in_the_order_of_the_models_own_scores(bench: Bench) -> None:
    """Scored here by the plain way, all logits at every position."""
    first, found = (bench.one(experiment="E3", system=s).run for s in ("bm25", "zero-shot"))
    assert first is not None and found is not None
    model, tokenizer = tiny_qwen2()
    collection, length = tiny_collection(), tiny_recipe().max_length
    texts = dict(zip(collection.doc_ids, collection.contents("space"), strict=True))
    for qid, results in first.items():
        ids = [docid for docid, _ in results]
        pairs = [(collection.queries[qid], texts[docid]) for docid in ids]
        scores = dict(
            zip(ids, score_pairs_plain(model, tokenizer, pairs, max_length=length), strict=True)
        )
        kept = [score for _, score in found[qid]]
        assert kept == pytest.approx([scores[docid] for docid, _ in found[qid]], abs=1e-4)
        assert kept == sorted(kept, reverse=True) and np.std(kept) > 0.01


@pytest.mark.parametrize("depth", e4_ablations.STUDY_DEPTHS)
def test_what_is_below_the_depth_stays_and_the_best_of_that_depth_is_not_beaten(
    bench: Bench, depth: int
) -> None:
    first = bench.one(experiment="E3", system="bm25").run
    assert first is not None
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
    for name in e4_ablations.LOSSES:
        trained = bench.one(study="losses", loss=name).facts["training"]
        assert [stage["method"] for stage in trained] == ["exact", name]
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
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny(monkeypatch, tmp_path)
    name = e5_paper.RELEASED[0]
    own = bench.one(system="released scores", model=name).facts["scores"]
    for published, error, violations in ((own, 0.0, 0), (own[::-1], abs(own[0] - own[2]), 2)):
        monkeypatch.setattr(e5_paper, "EXAMPLE_SCORES", {name: published})
        facts = e5_paper.run({"system": "released scores", "model": name}, Context()).facts
        assert facts["largest_error"] == pytest.approx(error, abs=1e-5)
        assert facts["order_violations"] == violations, "two documents change places"


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
