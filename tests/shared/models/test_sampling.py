"""Choosing tokens: penalty, temperature, top-k and top-p, against transformers and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.sampling import Sampling, Seen, penalised
from ir_replications.shared.models.sampling import choose as choose_tokens

torch = pytest.importorskip("torch")


def choose(probabilities: list[float], uniforms: list[float], **options: Any) -> list[int]:
    logits = torch.log(torch.tensor([probabilities] * len(uniforms)))
    settings = Sampling(**({"temperature": 1.0} | options))
    return choose_tokens(logits, torch.tensor(uniforms, dtype=torch.float64), settings).tolist()


def test_tokens_are_chosen_by_cumulated_probability() -> None:
    uniforms = [0.0, 0.19, 0.21, 0.69, 0.71, 0.999999]
    assert choose([0.2, 0.5, 0.0, 0.3], uniforms) == [0, 0, 1, 1, 3, 3]


def test_a_nucleus_is_the_fewest_tokens_that_reach_top_p() -> None:
    # .5 + .3 reach .75: shares .3 / .8 = .375 and .625, in the order of the vocabulary.
    probabilities = [0.05, 0.3, 0.15, 0.5]
    assert choose(probabilities, [0.0, 0.37, 0.38, 0.9999], top_p=0.75) == [1, 1, 3, 3]
    assert choose(probabilities, [0.0, 0.9999], top_p=0.5) == [3, 3]
    assert choose(probabilities, [0.0, 0.9999], top_p=0.999) == [0, 3]


def test_a_nucleus_larger_than_the_first_look_is_found() -> None:
    flat = [1 / 4096] * 4096
    assert choose(flat, [0.0, 0.5, 0.99999], top_p=0.9) == [0, 2048, 4095]  # all are ties
    falling = np.arange(4096, 0, -1) / np.arange(4097).sum()
    inside = int(np.searchsorted(np.cumsum(falling), 0.9)) + 1
    assert inside > 1024
    assert choose(falling.tolist(), [0.9999999], top_p=0.9)[0] in (inside - 2, inside - 1)


def test_temperature_sharpens_and_zero_takes_the_greatest() -> None:
    # At temperature .5 the probabilities .2 .8 become .04 .64 of .68: the first has .0588.
    assert choose([0.2, 0.8], [0.058, 0.06], temperature=0.5) == [0, 1]
    assert choose([0.2, 0.8], [0.0, 0.06], temperature=0.0) == [1, 1]


def test_sampled_frequencies_follow_the_model() -> None:
    uniforms = np.random.default_rng(0).random(20_000).tolist()
    counts = np.bincount(choose([0.1, 0.6, 0.3], uniforms), minlength=3) / 20_000
    assert counts == pytest.approx([0.1, 0.6, 0.3], abs=0.015)


def by_transformers(ids: list[list[int]], logits: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """(penalised logits, probabilities) as transformers' own processors make them."""
    pytest.importorskip("transformers")
    from transformers import LogitsProcessorList
    from transformers.generation import logits_process as parts

    scores = parts.RepetitionPenaltyLogitsProcessor(options["repetition_penalty"])(
        torch.tensor(ids), logits
    )
    warpers = LogitsProcessorList([parts.TemperatureLogitsWarper(options["temperature"])])
    if options.get("top_k"):
        warpers.append(parts.TopKLogitsWarper(options["top_k"]))
    if options.get("top_p", 1.0) < 1:
        warpers.append(parts.TopPLogitsWarper(options["top_p"]))
    return scores, torch.softmax(warpers(torch.tensor(ids), scores.clone()).double(), -1)


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.0, "temperature": 0.7, "top_k": 5},
        {"repetition_penalty": 1.3, "temperature": 0.7},
        {"repetition_penalty": 0.8, "temperature": 1.5, "top_p": 0.6},
        {"repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20},
    ],
)
def test_filters_give_the_distribution_of_transformers(options: dict[str, Any]) -> None:
    rows, vocabulary = 6, 40
    logits = torch.randn((rows, vocabulary), generator=torch.Generator().manual_seed(1)) * 3
    ids = [[row, row + 7, row, 39] for row in range(rows)]
    scores, expected = by_transformers(ids, logits, options)
    seen = Seen(ids, vocabulary, "cpu")
    assert torch.equal(penalised(logits, seen.mask, options["repetition_penalty"]), scores)
    # Every token that can be drawn is drawn on its share of a fine grid, and no other.
    grid = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for row in range(rows):
        drawn = choose_tokens(
            logits[row].expand(len(grid), -1),
            grid,
            Sampling(**options),
            Seen([ids[row]] * len(grid), vocabulary, "cpu"),
        )
        shares = torch.bincount(drawn, minlength=vocabulary) / len(grid)
        assert torch.allclose(shares.double(), expected[row], atol=1e-4)
        possible, likely = expected[row] > 0, expected[row] > 1e-4  # the grid is no finer
        found = shares > 0
        assert not (found & ~possible).any() and not (likely & ~found).any()


def test_top_k_keeps_ties_and_comes_before_top_p() -> None:
    # Of .4 .3 .2 .1 the best two weigh .57 and .43, so that top_p .5 needs but one of them.
    assert choose([0.4, 0.3, 0.2, 0.1], [0.0, 0.58, 0.9999], top_k=2) == [0, 1, 1]
    assert choose([0.4, 0.3, 0.2, 0.1], [0.0, 0.9999], top_k=2, top_p=0.5) == [0, 0]
    assert choose([0.4, 0.3, 0.2, 0.1], [0.0, 0.9999], top_p=0.5) == [0, 1]
    assert choose([0.25, 0.25, 0.25, 0.25], [0.0, 0.9999], top_k=2) == [0, 3]
    assert choose([0.4, 0.6], [0.0, 0.9999], top_k=50) == [0, 1]


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": -1},
        {"top_k": 1.5},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": True},
        {"repetition_penalty": float("nan")},
    ],
)
def test_impossible_filters_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected top_k >= 0"):
        Sampling(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": 2.0},
        {"max_new_tokens": 10**30},
        {"temperature": -1.0},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"temperature": "1"},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"seed": 1.5},
        {"seed": None},
    ],
)
def test_impossible_sampling_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected max_new_tokens > 0"):
        Sampling(**options)
