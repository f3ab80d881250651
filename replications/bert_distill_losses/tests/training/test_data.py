"""The source of a recipe's groups: drawn once in a process, noted by every cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.bert_distill_losses.training import data
from ir_replications.bert_distill_losses.training.recipe import Recipe, load_recipe
from ir_replications.engine.context import FILES, Context


def test_every_cell_notes_what_its_groups_were_drawn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text("{}\n")
    drawn: list[str] = []

    def source(_: Recipe, context: Context) -> str:
        drawn.append(context.files("pool.jsonl").read_text())
        return drawn[-1]

    monkeypatch.setattr(data, "_source", source)
    monkeypatch.setattr(data, "_drawn", lambda found, *_: found)
    monkeypatch.setattr(data, "_sources", {})
    recipe = load_recipe("embedded")
    first, second, third = Context(tmp_path), Context(tmp_path), Context(tmp_path)
    for context in (first, second):
        assert data.training_data(recipe, "student", 1, context) == "{}\n"
    assert first.data == second.data and set(first.data) == {f"{FILES}pool.jsonl"}
    assert len(drawn) == 1
    pool.write_text("{}\n{}\n")
    assert data.training_data(recipe, "student", 1, third) == "{}\n{}\n"
    assert third.data != first.data
