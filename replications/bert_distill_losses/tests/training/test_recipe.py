"""Recipes: the files in recipes/, what decides the weights, and settings that cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ir_replications.bert_distill_losses.checks.tiny_training import tiny_recipe
from ir_replications.bert_distill_losses.training.recipe import (
    RECIPES,
    Recipe,
    Rounds,
    load_recipe,
)
from ir_replications.shared.errors import InputError

RECIPE = tiny_recipe("model")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_is_a_recipe_of_its_name(path: Path) -> None:
    recipe = load_recipe(path.stem)
    assert recipe.name == path.stem
    assert load_recipe(str(path)) == recipe
    assert recipe.max_length >= recipe.query_length + 4
    assert not set(recipe.data) & set(recipe.held_out)


def test_the_small_recipe_is_the_plans() -> None:
    recipe = load_recipe("small")
    assert set(recipe.data) == {
        "beir/nfcorpus", "beir/scifact", "derived/msmarco-mini", "rerank/dl21",
    }  # fmt: skip
    assert (recipe.negatives, recipe.candidates, recipe.margin) == (1, 100, 1.0)
    assert (recipe.student_layers, recipe.teacher_loss) == (2, "lce")
    assert (recipe.teacher_negatives, recipe.teacher_guided) == (7, True)
    assert recipe.freeze_word_embeddings and recipe.token_types == "zero"
    assert recipe.student.groups == recipe.student.steps * recipe.student.groups_per_step == 6_400


def test_changes_replace_settings() -> None:
    assert load_recipe("small", head="cls", note=None).head == "cls"


def test_the_teacher_may_have_other_groups() -> None:
    recipe = tiny_recipe("a", negatives=2)
    assert (recipe.negatives_of("teacher"), recipe.negatives_of("student")) == (2, 2)
    wider = replace(recipe, teacher_negatives=7)
    assert (wider.negatives_of("teacher"), wider.negatives_of("student")) == (7, 2)
    assert wider.request("student") == recipe.request("student")
    assert wider.request("teacher") != recipe.request("teacher")
    assert wider.rounds("teacher") is wider.teacher


def test_names_notes_and_threads_decide_nothing() -> None:
    other = replace(RECIPE, name="other", note="x", threads=2)
    for kind in ("teacher", "student"):
        assert other.request(kind) == RECIPE.request(kind)
    often = replace(RECIPE.student, save_steps=1, probe_steps=1)
    assert replace(RECIPE, student=often).request("student") == RECIPE.request("student")


@pytest.mark.parametrize(
    ("changes", "decides"),
    [
        ({"student": replace(RECIPE.student, learning_rate=0.5)}, "student"),
        ({"student_layers": 3}, "student"),
        ({"student_model": "other"}, "student"),
        ({"teacher": replace(RECIPE.teacher, steps=5)}, "teacher"),
        ({"teacher_loss": "bce"}, "teacher"),
        ({"head": "cls+cosine"}, "both"),
        ({"max_length": 20}, "both"),
        ({"precision": "bfloat16"}, "both"),
        ({"margin": 2.0}, "both"),
        ({"freeze_word_embeddings": False}, "both"),
        ({"data": ("other",)}, "both"),
        ({"held_out": ("other",)}, "both"),
        ({"token_types": "pair"}, "both"),
    ],
)
def test_what_decides_the_weights_is_in_the_request(changes: dict[str, Any], decides: str) -> None:
    other = replace(RECIPE, **changes)
    found = {kind: other.request(kind) != RECIPE.request(kind) for kind in ("teacher", "student")}
    assert found == {kind: decides in (kind, "both") for kind in found}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected above 0"),
        ({"warmup_ratio": 1.0}, "warmup_ratio is 1.0; expected 0 or more, below 1"),
        ({"save_steps": 0}, "save_steps is 0; expected 1 or more"),
        ({"groups_per_step": 0}, "groups_per_step is 0; expected 1 or more"),
        ({"probe_steps": 0}, "probe_steps is 0; expected 1 or more"),
    ],
)
def test_impossible_rounds(changes: dict[str, Any], message: str) -> None:
    for kind in ("teacher", "student"):
        other: dict[str, Any] = {kind: Rounds(**({"steps": 1} | changes))}
        with pytest.raises(InputError, match=f"tiny: {kind}: .*{message}"):
            replace(RECIPE, **other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "pooled"}, "head 'pooled', expected one of"),
        ({"data": ()}, "data has 0 entries; expected 1 or more"),
        ({"student_layers": 0}, "student_layers is 0; expected 1 or more"),
        ({"negatives": 0}, "negatives is 0; expected 1 or more"),
        ({"teacher_negatives": -1}, "teacher_negatives is -1; expected 0 or more"),
        ({"unlabelled": 1.0}, "unlabelled is 1.0; expected 0 or more, below 1"),
        ({"threads": 0}, "threads is 0; expected 1 or more"),
        ({"query_length": 93, "max_length": 96}, "expected 4 more than query_length"),
    ],
)
def test_impossible_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"tiny: .*{message}"):
        replace(RECIPE, **changes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("betta: 1", "unknown key 'betta'"),
        ("precision: float16", "precision"),
        ("token_types: one", "token_types"),
        ("teacher_loss: margin-mse", "teacher_loss"),
        ("student_layers: two", "student_layers"),
    ],
)
def test_unknown_recipes_and_keys(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a \.yaml file or one of embedded, "):
        load_recipe("large")
    path = tmp_path / "mine.yaml"
    text = "name: mine\nteacher_model: m\ndata: [d]\nteacher: {steps: 1}\nstudent: {steps: 1}\n"
    path.write_text(text)
    assert isinstance(load_recipe(str(path)), Recipe)
    path.write_text(f"{text}{line}\n")
    with pytest.raises(InputError, match=rf"mine\.yaml:6: .*{message}") as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)
