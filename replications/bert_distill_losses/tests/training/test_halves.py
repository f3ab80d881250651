"""Halves of queries: near-duplicates together, about as many in each, no seed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from ir_replications.bert_distill_losses.training.data import training_data
from ir_replications.bert_distill_losses.training.halves import halves
from ir_replications.bert_distill_losses.training.recipe import load_recipe
from ir_replications.engine.context import Context
from ir_replications.shared.training.near_duplicates import near_duplicates


def texts(number: int) -> list[str]:
    """Queries of two words that no other has."""
    return [f"alpha{i} beta{i}" for i in range(number)]


def test_about_as_many_are_in_each_half_and_order_does_not_matter() -> None:
    found = halves(texts(400))
    assert set(found) == {*texts(400)} and 170 < sum(found.values()) < 230
    mixed = texts(400) * 2
    random.Random(1).shuffle(mixed)
    assert halves(mixed) == found


def test_near_duplicates_and_what_is_near_to_them_are_in_one_half() -> None:
    # Each shares two of three words with the next, one of three with the one after that.
    chains = [
        [" ".join(f"chain{i}word{j + k}" for k in range(3)) for j in range(5)] for i in range(40)
    ]
    itself = {text: text for text in chains[0]}
    assert len(near_duplicates(itself, itself)) == 5 + 2 * 4
    found = halves(text for chain in chains for text in chain)
    of_chain = [{found[text] for text in chain} for chain in chains]
    assert all(len(half) == 1 for half in of_chain)
    assert {0, 1} == set.union(*of_chain), "not all in one"


def test_another_query_elsewhere_changes_nothing() -> None:
    fewer, more = halves(texts(30)), halves([*texts(30), "gamma delta"])
    assert {text: more[text] for text in fewer} == fewer


def test_real_training_queries_have_no_near_duplicate_in_the_other_half(data_root: Path) -> None:
    # Two of the recipe's four collections: those whose queries repeat each other most.
    recipe = replace(load_recipe("small"), data=("beir/nfcorpus", "beir/scifact"))
    for name in (*recipe.data, *recipe.held_out):
        if not (data_root / name).is_dir():
            pytest.skip(f"no {name} in the data root")
    data = training_data(recipe, "teacher", 11, Context(data_root))
    own = data.half
    first, second = (
        {t: t for t in {data.groups.queries[q] for q in data.groups.query[own == half]}}
        for half in (0, 1)
    )
    assert near_duplicates(first, second) == []
    assert 0.45 < own.mean() < 0.55
    other = data.of_seed(12, recipe, "teacher")
    of_text = dict(zip((data.groups.queries[q] for q in data.groups.query), own, strict=True))
    shared = [
        (of_text[text], half)
        for text, half in zip(
            (other.groups.queries[q] for q in other.groups.query), other.half, strict=True
        )
        if text in of_text
    ]
    assert len(shared) > 1000 and all(a == b for a, b in shared)
