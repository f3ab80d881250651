"""Noise, fractions and shuffled scores: exact numbers, nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest

from ir_replications.bert_distill_losses.tests.training.toy_collections import toy_source
from ir_replications.bert_distill_losses.training.label_changes import (
    shuffled,
    with_fraction,
    with_noise,
)
from ir_replications.bert_distill_losses.training.training_set import TrainingSet, training_set
from ir_replications.shared.errors import InputError


@pytest.fixture
def toy() -> TrainingSet:
    sources = [toy_source("one", 10), toy_source("two", 20)]
    return training_set(sources, groups=200, negatives=2, seed=3, unlabelled=0.2)


def test_noise_swaps_the_share_of_labelled_groups(toy: TrainingSet) -> None:
    noisy = with_noise(toy, 0.3, 1)
    changed = (noisy.groups != toy.groups).any(axis=1)
    assert changed.sum() == 48  # 0.3 of 160
    assert not (changed & ~toy.labelled).any()
    assert (noisy.groups[changed][:, [1, 0, 2]] == toy.groups[changed]).all()
    assert (noisy.labelled == toy.labelled).all()
    assert noisy.sha256 != toy.sha256 and noisy.couples_sha256 == toy.couples_sha256
    assert noisy.notes[-1] == "label noise 0.3: 48 of 160 labelled groups swapped, seed 1"
    assert (with_noise(toy, 0.3, 1).groups == noisy.groups).all()
    assert (with_noise(toy, 0.3, 2).groups != noisy.groups).any()


def test_no_noise_and_noise_everywhere(toy: TrainingSet) -> None:
    assert with_noise(toy, 0.0, 1).sha256 == toy.sha256
    swapped = with_noise(toy, 1.0, 1).groups[toy.labelled]
    assert (swapped[:, 0] == toy.groups[toy.labelled, 1]).all()


def test_fraction_keeps_all_labels_of_some_queries(toy: TrainingSet) -> None:
    few = with_fraction(toy, 0.25, 1)
    assert (few.groups == toy.groups).all()
    assert not (few.labelled & ~toy.labelled).any()
    for place in (0, 1):
        rows = toy.labelled & (toy.source == place)
        known = np.unique(toy.query[rows & few.labelled])
        every = np.unique(toy.query[rows])
        assert len(known) == round(0.25 * len(every))
        assert few.labelled[rows & np.isin(toy.query, known)].all()
    assert with_fraction(toy, 1.0, 1).sha256 == toy.sha256
    assert not with_fraction(toy, 0.0, 1).labelled.any()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_outside_0_and_1_are_refused(toy: TrainingSet, share: float) -> None:
    with pytest.raises(InputError, match="label noise"):
        with_noise(toy, share, 1)
    with pytest.raises(InputError, match="labelled fraction"):
        with_fraction(toy, share, 1)


def test_shuffled_rows_are_those_of_others() -> None:
    scores = np.arange(60, dtype=np.float32).reshape(20, 3)
    moved = shuffled(scores, 1)
    assert sorted(moved.tolist()) == scores.tolist()
    assert not (moved == scores).any()
    assert (shuffled(scores, 1) == moved).all()
    assert (shuffled(scores, 2) != moved).any()
    # Permuted rows still say that column 0 is the lowest here; permuted columns do not.
    assert (moved.argmin(axis=1) == 0).all()
    mixed = shuffled(scores, 1, columns=True)
    assert sorted(map(sorted, mixed.tolist())) == scores.tolist()
    assert {*mixed.argmin(axis=1)} == {0, 1, 2}


def test_nothing_to_shuffle() -> None:
    with pytest.raises(InputError, match="n > 1"):
        shuffled(np.zeros((1, 2), np.float32), 1)
