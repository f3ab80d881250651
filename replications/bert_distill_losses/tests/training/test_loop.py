"""The loop: phases, batches, what is logged, gradients by hand, kills, bad losses."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_training import (
    ROUNDS,
    Run,
    student,
    tiny_tokens,
    toy_set,
    toy_teacher,
    train,
)
from ir_replications.bert_distill_losses.method.ranking_losses import margin_mse
from ir_replications.bert_distill_losses.method.states import encode_states
from ir_replications.bert_distill_losses.ranker.model import freeze_word_embeddings
from ir_replications.bert_distill_losses.training import ranking_terms
from ir_replications.bert_distill_losses.training.arms import ARMS, BOTH, HINGE, Arm
from ir_replications.bert_distill_losses.training.label_changes import with_fraction
from ir_replications.bert_distill_losses.training.loop import bucketed, phase
from ir_replications.shared.errors import InputError
from ir_replications.shared.training.loop import UpdateLoop

HIDDEN = replace(BOTH, layers={"hidden": 0.5})


def teacher() -> Any:
    return student(2, seed=1).encoder


def moved(one: Run, other: Run) -> list[str]:
    """Weights that differ in any bit."""
    return [n for n, value in one.weights.items() if not torch.equal(value, other.weights[n])]


def changed(run: Run) -> set[str]:
    """Weights that are not those of a fresh `student()`."""
    start = student().state_dict()
    return {n for n, value in run.weights.items() if not torch.equal(value, start[n])}


# ---- Phases


def test_phases() -> None:
    ranking, layers = {"hard": 1.0, "soft": 1.0}, dict(ARMS["A13"].layers)
    assert phase(ARMS["A13"], 0, 5) == phase(ARMS["A13"], 4, 5) == (ranking | layers, False)
    assert [phase(ARMS["A15"], step, 5) for step in range(5)] == [
        *[(layers, False)] * 2, *[(ranking, False)] * 3,
    ]  # fmt: skip
    assert [phase(ARMS["A17"], step, 4)[1] for step in range(4)] == [False, False, True, True]
    assert phase(HINGE, 0, 1) == ({"hard": 1.0}, False)


def test_two_steps_train_layers_and_then_scores() -> None:
    arm = replace(HIDDEN, schedule="two steps")
    half = train(arm, layer_teacher=teacher(), steps=2, learning_rate=1e-3)
    # One step for layers, one for scores.
    assert half.log[0]["loss"] == pytest.approx(0.5 * half.log[0]["hidden"], rel=1e-6)
    assert "hidden" not in half.log[1]
    parts = half.log[1]["hard"] + half.log[1]["soft"]
    assert half.log[1]["loss"] == pytest.approx(parts, rel=1e-6)


def test_layers_then_head_leaves_the_encoder_alone_in_the_second_half() -> None:
    arm = replace(HIDDEN, schedule="layers, then head")
    ranker = student()
    kept: dict[str, Any] = {}
    plain = UpdateLoop.log

    def note(self: UpdateLoop, entry: Any) -> None:
        if self.done == 1:
            kept.update({n: v.clone() for n, v in ranker.state_dict().items()})
        plain(self, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UpdateLoop, "log", note)
        done = train(arm, ranker, layer_teacher=teacher(), weight_decay=0.1)
    after = {n for n, value in done.weights.items() if not torch.equal(value, kept[n])}
    assert after == {"head.weight"}, "no loss on pairs has a slope by the bias"
    before = {n for n, value in kept.items() if not torch.equal(value, student().state_dict()[n])}
    assert before and not any(name.startswith("head") for name in before)


# ---- Batches


def batches_of(arm: Arm, data: Any, **options: Any) -> list[list[int]]:
    rounds = replace(ROUNDS, **{"steps": 20, "groups_per_step": 4, **options})
    return bucketed(data, tiny_tokens(data), arm, rounds, 3)


def test_every_group_is_taken_as_often_as_asked() -> None:
    data = toy_set(40)
    batches = batches_of(BOTH, data)
    assert {len(batch) for batch in batches} == {4}
    taken = Counter(i for batch in batches for i in batch)
    assert taken == dict.fromkeys(range(40), 2)
    uneven = Counter(i for batch in batches_of(BOTH, data, steps=13) for i in batch)
    assert sum(uneven.values()) == 52
    assert [uneven[i] for i in range(40)] == [2] * 12 + [1] * 28, "the set's order, again"


def test_batches_hold_like_lengths_and_lengths_do_not_rise() -> None:
    data = toy_set(64)
    tokens = tiny_tokens(data)
    longest = [
        max(tokens.length(q, d) for d in group)
        for q, group in zip(data.query, data.groups, strict=True)
    ]
    batches = batches_of(BOTH, data, steps=16)

    def spread(batches: list[list[int]]) -> int:
        return sum(max(longest[i] for i in b) - min(longest[i] for i in b) for b in batches)

    in_order = [list(range(i, i + 4)) for i in range(0, 64, 4)]
    assert spread(batches) < spread(in_order) / 2
    tops = [max(longest[i] for i in batch) for batch in batches]
    assert tops != sorted(tops)
    for start in (0, 8):  # WINDOW batches hold the groups that were due
        due = range(start * 4, start * 4 + 32)
        assert sorted(i for batch in batches[start : start + 8] for i in batch) == list(due)


def test_an_arm_without_soft_loss_passes_over_unlabelled_groups() -> None:
    data = toy_set(24, unlabelled=8)
    assert {i for batch in batches_of(HINGE, data) for i in batch} == set(range(16))
    assert {i for batch in batches_of(BOTH, data) for i in batch} == set(range(24))
    with pytest.raises(InputError, match="no group has a label"):
        batches_of(HINGE, toy_set(4, unlabelled=4))


def test_groups_are_repeated_as_often_as_the_steps_ask() -> None:
    data = toy_set(24).subset(np.array([1, 5, 7]))
    rounds = replace(ROUNDS, steps=6, groups_per_step=2)
    found = bucketed(data, tiny_tokens(data), HINGE, rounds, 3)
    assert Counter(i for batch in found for i in batch) == {0: 4, 1: 4, 2: 4}


# ---- What is learnt, and logged


def test_log_of_a_step_by_hand() -> None:
    data, ranker = toy_set(8), student(dropout=False)
    start = student(dropout=False)
    run = train(BOTH, ranker, data, steps=1, groups_per_step=8)
    (entry,) = run.log
    inputs = tiny_tokens(data).batch(np.repeat(data.query, 2), data.groups.reshape(-1))
    scores = start(inputs).view(8, 2)
    delta = scores[:, 0] - scores[:, 1]
    target = torch.from_numpy(toy_teacher(data))
    soft = (delta - (target[:, 0] - target[:, 1])).square().mean()
    hard = (1 - delta).clamp(min=0).mean()
    assert entry["hard"] == pytest.approx(float(hard.detach()), rel=1e-5)
    assert entry["soft"] == pytest.approx(float(soft.detach()), rel=1e-5)
    assert entry["loss"] == pytest.approx(float((hard + soft).detach()), rel=1e-5)
    assert entry["ordered"] == float((delta > 0).float().mean())
    assert entry["margin"] == pytest.approx(float(delta.detach().mean()), rel=1e-4)
    (hard + soft).backward()
    norm = torch.cat([p.grad.flatten() for p in start.parameters() if p.grad is not None]).norm()
    assert entry["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
    # Adam's first step moves every weight by the rate, against the sign of its gradient.
    moves = ranker.head.weight - student().head.weight
    assert torch.allclose(moves, -1e-3 * start.head.weight.grad.sign(), atol=3e-5)


def test_labels_count_where_there_are_some_and_teachers_scores_everywhere() -> None:
    data = toy_set(8, unlabelled=3)
    start = student(dropout=False)
    (entry,) = train(BOTH, student(dropout=False), data, steps=1, groups_per_step=8).log
    inputs = tiny_tokens(data).batch(np.repeat(data.query, 2), data.groups.reshape(-1))
    scores = start(inputs).view(8, 2)
    gaps = scores[:5, 0] - scores[:5, 1]
    assert entry["hard"] == pytest.approx(float((1 - gaps).clamp(min=0).mean()), rel=1e-5)
    soft = margin_mse(scores, torch.from_numpy(toy_teacher(data)))
    assert entry["soft"] == pytest.approx(float(soft), rel=1e-5)
    (bare,) = train(BOTH, data=toy_set(8, unlabelled=8), steps=1, groups_per_step=8).log
    assert "hard" not in bare and bare["loss"] == bare["soft"]


def test_the_probe_by_hand() -> None:
    data, ranker, follow = toy_set(8), student(dropout=False), teacher()
    start = student(dropout=False)
    run = train(HIDDEN, ranker, data, steps=1, groups_per_step=8, layer_teacher=follow)
    inputs = tiny_tokens(data).batch(np.repeat(data.query, 2), data.groups.reshape(-1))
    scores, states = start.forward_states(inputs)
    scores = scores.view(8, 2)
    theirs = encode_states(follow, inputs)
    mask = inputs["attention_mask"].bool()
    apart = (states.hidden[1] - theirs.hidden[2].detach())[mask]  # one layer for the teacher's two
    delta = scores[:, 0] - scores[:, 1]
    ranking = (1 - delta).clamp(min=0).mean()
    ranking = ranking + margin_mse(scores, torch.from_numpy(toy_teacher(data)))
    vectors = []
    for loss in (ranking, 0.5 * apart.square().mean()):
        found = torch.autograd.grad(
            loss, list(start.encoder.parameters()), retain_graph=True, allow_unused=True
        )
        vectors.append(torch.cat([
            torch.zeros(p.numel()) if g is None else g.flatten()
            for g, p in zip(found, start.encoder.parameters(), strict=True)
        ]))  # fmt: skip
    entry = run.log[0]
    assert entry["grad_norm/ranking"] == pytest.approx(float(vectors[0].norm()), rel=1e-4)
    assert entry["grad_norm/layers"] == pytest.approx(float(vectors[1].norm()), rel=1e-4)
    cosine = float(vectors[0] @ vectors[1] / vectors[0].norm() / vectors[1].norm())
    assert entry["grad_cosine"] == pytest.approx(cosine, abs=1e-5)
    log = train(HIDDEN, layer_teacher=follow, probe_steps=2).log
    assert ["grad_cosine" in entry for entry in log] == [True, False, True, False]
    assert "grad_cosine" not in train(BOTH, steps=1).log[0], "nothing to compare"


def test_the_probe_changes_nothing() -> None:
    runs = [train(HIDDEN, layer_teacher=teacher(), probe_steps=n) for n in (1, 100)]
    assert not moved(*runs)


def test_frozen_word_embeddings_stay_as_they_were() -> None:
    word = "encoder.embeddings.word_embeddings.weight"
    frozen = train(HINGE, freeze_word_embeddings(student()), weight_decay=0.1)
    assert word not in changed(frozen) and len(changed(frozen)) > 10
    assert word in changed(train(HINGE, weight_decay=0.1))


def test_dropout_is_the_same_for_arms_and_runs() -> None:
    first, again = train(HINGE), train(HINGE)
    assert not moved(first, again)
    assert moved(first, train(HINGE, seed=2))
    assert moved(first, train(HINGE, student(dropout=False)))
    # Whatever was drawn before: the first step's scores are those of another arm.
    torch.manual_seed(99)
    assert train(ARMS["A8"]).log[0]["hard"] == first.log[0]["hard"]


def test_a_temperature_reaches_the_losses_that_have_one() -> None:
    logs = [train(replace(ARMS["A6"], temperature=t), steps=1).log[0]["soft"] for t in (1.0, 5.0)]
    assert abs(logs[0] - logs[1]) > 1e-3


def test_the_weight_of_the_hard_loss() -> None:
    heavy = replace(BOTH, hard_weight=10.0)
    (plain,), (weighted,) = (train(arm, steps=1).log for arm in (BOTH, heavy))
    assert (plain["hard"], plain["soft"]) == (weighted["hard"], weighted["soft"])
    assert plain["loss"] == pytest.approx(plain["hard"] + plain["soft"], rel=1e-6)
    assert weighted["loss"] == pytest.approx(10 * plain["hard"] + plain["soft"], rel=1e-6)


def test_fewer_labels_are_another_run() -> None:
    data = toy_set(20)
    few = with_fraction(data, 0.3, 1)
    runs = [train(BOTH, data=one, groups_per_step=20, steps=1) for one in (data, few)]
    assert runs[0].log[0]["soft"] == runs[1].log[0]["soft"]
    assert runs[0].log[0]["hard"] != runs[1].log[0]["hard"]


# ---- Kills and errors


@pytest.mark.parametrize("arm", [BOTH, replace(HIDDEN, schedule="layers, then head")],
                         ids=["one step", "layers, then head"])  # fmt: skip
def test_a_killed_run_goes_on_to_the_same_weights(
    arm: Arm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"layer_teacher": teacher()} if arm.layers else {}
    whole = train(arm, **options)
    plain = UpdateLoop.log

    def kill(self: UpdateLoop, entry: Any) -> None:
        if self.done == 3:
            raise KeyboardInterrupt
        plain(self, entry)

    with monkeypatch.context() as patch:
        patch.setattr(UpdateLoop, "log", kill)
        with contextlib.suppress(KeyboardInterrupt):
            train(arm, folder=tmp_path / "run", **options)
    assert [p.name for p in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-2"]
    resumed = train(arm, folder=tmp_path / "run", **options)
    assert resumed.loop.resumed_from == "checkpoint-2"
    assert not moved(whole, resumed)
    for entry, same in zip(whole.log, resumed.log, strict=True):
        assert entry | {"step_seconds": 0} == same | {"step_seconds": 0}


def test_a_loss_that_is_no_number_names_the_step_and_leaves_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def hinge(scores: Any, margin: float) -> Any:
        calls.append(margin)
        return scores.sum() * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setitem(ranking_terms.HARD, "hinge", hinge)
    ranker = student()
    with pytest.raises(InputError, match="the loss is not finite at step 3") as caught:
        train(HINGE, ranker, folder=tmp_path / "run")
    assert "\n" not in str(caught.value) and calls == [1.0] * 3
    assert all(bool(p.isfinite().all()) for p in ranker.parameters())
    assert (tmp_path / "run" / "checkpoint-2").is_dir()


def test_bad_requests_are_one_line() -> None:
    with pytest.raises(InputError, match=r"teacher's scores \(3, 2\), expected \(16, 2\)"):
        train(BOTH, teacher_scores=np.zeros((3, 2), np.float32))
    with pytest.raises(InputError, match="expected a teacher whose layers to follow"):
        train(HIDDEN)
