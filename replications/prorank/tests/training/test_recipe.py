"""Recipes: what they hold, refuse and amount to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from ir_replications.engine.context import Context
from ir_replications.prorank.checks.tiny_reranker import TOPICS, tiny_recipe, tiny_root
from ir_replications.prorank.training import data as module
from ir_replications.prorank.training.data import run_request, training_data
from ir_replications.prorank.training.recipe import (
    RECIPES,
    FineGrained,
    Warmup,
    arithmetic,
    fine_grained_alone,
    load_recipe,
)
from ir_replications.shared.data import Collection
from ir_replications.shared.errors import InputError

NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_recipes_have_equal_batches_in_both_stages(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    alone = fine_grained_alone(recipe)
    both = recipe.warmup.steps + recipe.fine_grained.steps
    assert alone.fine_grained.steps == both
    pairs = recipe.warmup.steps * recipe.warmup.pairs_per_step
    pairs += recipe.fine_grained.steps * recipe.fine_grained.pairs_per_step
    assert alone.fine_grained.steps * alone.fine_grained.pairs_per_step == pairs
    assert alone.request("warmup") == recipe.request("warmup")
    assert len(arithmetic(recipe, pairs=100, groups=100)) == 5


def test_names_of_the_recipes() -> None:
    assert NAMES == ["embedded", "longer", "released-0.5b", "small"]


def test_arithmetic() -> None:
    recipe = load_recipe("released-0.5b", seed=3)
    assert recipe.seed == 3
    assert (recipe.warmup.kl_beta, recipe.warmup.group_size) == (0.04, 8)
    recipe = replace(recipe, warmup=Warmup(steps=10, pairs_per_step=16, group_size=8))
    lines = arithmetic(recipe)
    assert "10 steps x 16 pairs = 160 pairs, 1,280 answers, 10 updates" in lines[0]
    assert "160 prompts a pass (exact)" in lines[1]
    trl = replace(recipe, warmup=replace(recipe.warmup, method="trl"))
    assert "1,280 prompts a pass (trl)" in arithmetic(trl)[1]


def test_what_decides_the_weights_is_in_the_request() -> None:
    recipe = tiny_recipe()
    assert replace(recipe, name="other", note="x").request("warmup") == recipe.request("warmup")
    colder = replace(recipe, warmup=replace(recipe.warmup, temperature=0.5))
    assert colder.request("warmup") != recipe.request("warmup")
    assert colder.request("sft") == recipe.request("sft"), "nothing is drawn there"
    assert colder.request("fine_grained") == recipe.request("fine_grained")
    pairwise = replace(recipe, fine_grained=replace(recipe.fine_grained, loss="ranknet"))
    assert pairwise.request("fine_grained") != recipe.request("fine_grained")
    assert pairwise.request("warmup") == recipe.request("warmup")
    with pytest.raises(InputError, match="expected one of warmup, sft, fine_grained"):
        recipe.request("stage1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"group_size": 1}, "group_size is 1; expected 2 or more"),
        ({"temperature": 0.0}, "temperature is 0.0; expected above 0"),
        ({"temperature": float("nan")}, "temperature is nan; expected above 0"),
        ({"epsilon": 1.0}, "epsilon is 1.0; expected above 0, below 1"),
        ({"rewards": "neither"}, "rewards is 'neither'; expected 'both' or"),
        ({"pairs_per_step": 5}, "an even number"),
        ({"method": "trl", "forward_pairs": 3}, "multiple of"),
        ({"max_completion_tokens": 2}, "method trl"),
        ({"warmup_ratio": 1.0}, "warmup_ratio is 1.0; expected 0 or more, below 1"),
    ],
)
def test_impossible_settings_of_stage_1(changes: dict[str, Any], message: str) -> None:
    recipe = tiny_recipe()
    with pytest.raises(InputError, match=f"tiny: warmup: .*{message}"):
        replace(recipe, warmup=replace(recipe.warmup, **changes))


def test_impossible_settings_of_stage_2() -> None:
    recipe = tiny_recipe()
    for changes in ({"negatives": 0}, {"tau": 0.0}, {"groups_per_step": 0}, {"loss": "mse"}):
        (name,) = changes
        with pytest.raises(InputError, match=f"tiny: fine_grained: {name} is .*; expected "):
            replace(recipe, fine_grained=FineGrained(**({"steps": 1} | changes)))


def test_a_process_draws_training_data_once_and_again_when_a_file_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that the first stage read are noted for every cell, not for the first alone."""
    drawn = []
    original = module._draw
    monkeypatch.setattr(module, "_drawn", {})

    def draw(*arguments: Any) -> Any:
        drawn.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(module, "_draw", draw)
    root = tiny_root(tmp_path)
    pool = root / "local" / "mine" / "run.BM25.jsonl"
    names = [f"a-{topic}" for topic in TOPICS]

    def write(docids: list[str]) -> None:
        found = [{"docid": d, "rank": i, "score": 99.0 - i} for i, d in enumerate(docids, 1)]
        lines = (json.dumps({"qid": f"q-{t}", "candidates": found}) for t in TOPICS)
        pool.write_text("\n".join(lines) + "\n")

    recipe = replace(tiny_recipe(), data=("local/mine",))
    write(names)
    first, second, third = (Context(root) for _ in range(3))
    found = module.recipe_data(recipe, first)
    assert module.recipe_data(recipe, second) is found
    assert len(drawn) == 1
    assert first.data == second.data
    assert set(first.data) == {"local/mine", "files:local/mine/run.BM25.jsonl"}
    write(names[::-1])
    assert module.recipe_data(recipe, third) is not found
    assert len(drawn) == 2 and third.data != first.data
    module.recipe_data(replace(recipe, seed=7), third)
    assert len(drawn) == 3


def test_training_data_of_a_recipe() -> None:
    """Queries q0 to q3, each with a relevant document and four others in its candidates."""
    names = [f"{kind}{i}" for kind in "qr" for i in range(4)] + [f"z{i}" for i in range(9)]
    collection = Collection(
        id="made",
        doc_ids=sorted(names),
        titles=[""] * len(names),
        texts=[f"text of {name}" for name in sorted(names)],
        queries={f"q{i}": f"{word} tide" for i, word in enumerate(("sea", "moon", "oak", "tea"))},
        qrels={"train": {f"q{i}": {f"r{i}": 1} for i in range(4)}},
        source="",
        licence="",
    )
    run = {f"q{i}": [(f"r{i}", 9.0), *((f"z{i + j}", 8.0 - j) for j in range(4))] for i in range(4)}
    recipe = replace(tiny_recipe(), fine_grained=FineGrained(steps=1, negatives=3))
    found = training_data(recipe, [(collection, run)])
    assert [pair.label for pair in found.pairs] == [1, 0] * 4
    assert {len(group) for group in found.groups} == {4}
    assert found.notes[-1] == "taken: 8 pairs and 4 groups"
    other_source = replace(collection, id="other", texts=["other text"] * len(names))
    both = training_data(recipe, [(collection, run), (other_source, run)])
    assert [p.document == "other text" for p in both.pairs] == [False, False, True, True] * 4
    short = replace(recipe, warmup=replace(recipe.warmup, steps=1, pairs_per_step=4))
    assert len(training_data(short, [(collection, run)]).pairs) == 4
    assert training_data(recipe, [(collection, run)]) == found
    other = training_data(replace(recipe, seed=1), [(collection, run)])
    assert other.sha256 != found.sha256
    with pytest.raises(InputError, match="groups wanted"):  # two negatives are left
        training_data(replace(recipe, candidates=3), [(collection, run)])


def test_the_request_of_a_run_names_data_model_and_start() -> None:
    recipe = tiny_recipe()
    one = run_request(recipe, "fine_grained", data_sha256="d", model_sha256="m")
    two = run_request(recipe, "fine_grained", data_sha256="d", model_sha256="m", start_sha256="s")
    assert one != two
    assert one["settings"] == recipe.request("fine_grained")["settings"]
    assert (one["stage"], one["data_sha256"], one["model_sha256"]) == ("fine_grained", "d", "m")


def test_a_control_of_unequal_pairs_is_refused() -> None:
    recipe = tiny_recipe()
    wider = replace(recipe, fine_grained=replace(recipe.fine_grained, negatives=2))
    with pytest.raises(InputError, match=r"4 pairs a step in stage 1 .* and 6 in stage 2"):
        fine_grained_alone(wider)


def test_unknown_recipes_and_keys(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a \.yaml file or one of embedded, "):
        load_recipe("large")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nmodel: m\ndata: [d]\nwarmup: {steps: 2, betta: 1}\nfine_grained: {steps: 1}\n"
    )
    with pytest.raises(InputError, match="unknown key 'betta'"):
        load_recipe(str(path))
