"""Benchmark of stage 1: `pytest replications/prorank/tests/training/bench_warmup.py`.

A whole training step (answers, rewards, reference, gradient, update) of the exact path against
TRL's GRPOTrainer on the same pairs, groups of 16, one thread. Ratios of CPU time of the same run;
the first step of each is left out.
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from ir_replications.prorank.training.recipe import Recipe
from ir_replications.shared.models.references import check_model, load_causal_lm
from ir_replications.shared.training.pairs import Pair

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("peft")

from ir_replications.prorank.checks.tiny_reranker import tiny_model, tiny_pairs, tiny_recipe
from ir_replications.prorank.training.warmup import warmup
from ir_replications.shared.training import TrainingFolder

SMOLLM2 = "embedded:smollm2-135m-instruct"
GROUP = 16
WAYS = ("trl", "exact")
TARGET = 8

Case = tuple[Any, Any, list[Pair], Recipe]


class Clock(TrainingFolder):
    """A run folder that notes the process's CPU time at every logged step."""

    def log(self, entry: Any) -> None:
        self.times = [*getattr(self, "times", []), time.process_time()]
        super().log(entry)


def tiny() -> Case:
    """A random model of 37,888 parameters, 8 pairs a step, five steps."""
    settings = replace(tiny_recipe().warmup, group_size=GROUP, pairs_per_step=8, steps=5)
    return *tiny_model(answers=0.5), tiny_pairs(), replace(tiny_recipe(), warmup=settings)


def smollm2() -> Case:
    """SmolLM2-135M in float32, one short pair a step, two steps."""
    if problems := check_model(SMOLLM2):
        pytest.skip(problems[0])
    settings = replace(
        tiny_recipe().warmup, group_size=GROUP, pairs_per_step=1, balanced=False, steps=2
    )
    recipe = replace(tiny_recipe(), model=SMOLLM2, warmup=settings)
    return *load_causal_lm(SMOLLM2), tiny_pairs(1), recipe


CASES = {"tiny": tiny, "smollm2": smollm2}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, Case]:
    torch.set_num_threads(1)
    return request.param, CASES[request.param]()


def steps_of(way: Any, case: Case, folder: Path) -> list[float]:
    """CPU seconds of each step but the first."""
    model, tokenizer, pairs, recipe = case
    recipe = replace(
        recipe, warmup=replace(recipe.warmup, method=way, save_steps=recipe.warmup.steps + 1)
    )
    clock = Clock(folder, recipe.request("warmup"))
    warmup(copy.deepcopy(model), tokenizer, pairs, recipe, clock)
    return [after - before for before, after in pairwise(clock.times)]


@pytest.mark.parametrize("way", WAYS)
def test_step(benchmark: Any, case: tuple[str, Case], way: str, tmp_path: Path) -> None:
    name, setting = case
    if name != "tiny":
        pytest.skip("timed by test_ratio: one step of TRL takes long enough")
    benchmark.group = f"{name}, groups of {GROUP}: five steps"
    benchmark.pedantic(steps_of, args=(way, setting, tmp_path), rounds=1, warmup_rounds=0)


def test_ratio(case: tuple[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps a second of both ways, and how many prompts each computes."""
    name, setting = case
    rounds = 2 if name == "tiny" else 1
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):  # alternating, so that a busy machine slows both
        for way in WAYS:
            times[way] += steps_of(way, setting, tmp_path / f"{way}{number}")
    slow, fast = (median(times[way]) for way in WAYS)
    with capsys.disabled():
        print(
            f"\n{name}, groups of {GROUP}: TRL {1 / slow:.3g} steps/s, exact {1 / fast:.3g} "
            f"steps/s, {slow / fast:.1f}x faster (target {TARGET}x)"
        )
    assert slow / fast > TARGET / 2, "half of it is left to noise"
