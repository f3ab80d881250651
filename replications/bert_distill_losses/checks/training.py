"""Golden checks of training: G10, G11, G13, the control C4, and that arms see the same groups (K7).

Tiny random encoders go through the training loop itself. A check returns numbers and booleans for
claims to compare.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ir_replications.bert_distill_losses.checks.tiny_training import (
    ROUNDS,
    scores_of,
    student,
    tiny_tokens,
    toy_set,
    toy_teacher,
    train,
)
from ir_replications.bert_distill_losses.method.layer_map import TERMS
from ir_replications.bert_distill_losses.method.ranking_losses import HARD, SOFT
from ir_replications.bert_distill_losses.training.arms import ARMS, BOTH, Arm
from ir_replications.bert_distill_losses.training.label_changes import with_noise

Facts = dict[str, Any]
LAYERS = {"hidden": 0.5, "attention": 0.25, "embedding": 2.0}
LEARNING: dict[str, Any] = {"steps": 50, "groups_per_step": 16, "learning_rate": 2e-2}  # of G13
WINDOW = 5  # first and last steps of G13 whose mean losses are compared


def teacher_and_projection() -> Facts:
    """G10: training leaves the teacher as it was; the projection learns and is thrown away."""
    import torch
    from safetensors.torch import load_file

    from ir_replications.bert_distill_losses.method.layer_objective import LayerObjective
    from ir_replications.bert_distill_losses.method.states import encode_states
    from ir_replications.bert_distill_losses.ranker.files import load_ranker, save_ranker

    data, ours, teacher = toy_set(), student(), student(2, 24, seed=1).train()
    inputs = tiny_tokens(data).batch(data.query, data.groups[:, 0])
    start = LayerObjective(("hidden",), ours.encoder, teacher.encoder, seed=1).projection
    assert start is not None
    before = {name: p.detach().clone() for name, p in teacher.named_parameters()}
    arm = replace(BOTH, layers={"hidden": 1.0})
    done = train(arm, ours, data, layer_teacher=teacher.encoder)
    calls = [encode_states(teacher.encoder, inputs).hidden[-1] for _ in range(2)]
    # The loop keeps the projection with what it trained; the ranker does not have it.
    learnt = done.loop.trainable["projection.projection.weight"]
    scores = scores_of(ours.float(), data)  # as files hold weights
    with tempfile.TemporaryDirectory() as folder:
        saved = save_ranker(ours, Path(folder) / "student")
        names = [name for path in saved.rglob("*.safetensors") for name in load_file(path)]
        again = scores_of(load_ranker(saved), data)
    with torch.no_grad():
        learnt.mul_(100)
    return {
        "teacher_calls_equal": torch.equal(*calls),
        "teacher_trainable": sum(p.requires_grad for p in teacher.encoder.parameters()),
        "teacher_gradients": sum(p.grad is not None for p in teacher.parameters()),
        "teacher_changed": sum(
            not torch.equal(p, before[name]) for name, p in teacher.named_parameters()
        ),
        "student_changed": moved(student().state_dict(), done.weights),
        "projection_change": float((learnt / 100 - start.weight).abs().max().detach()),
        "projection_saved": sum("projection" in name for name in names),
        "saved_tensors": len(names),
        "scores_moved_by_saving": float(np.abs(again - scores).max()),
        "scores_moved_by_projection": float(np.abs(scores_of(ours, data) - scores).max()),
    }


def combination() -> Facts:
    """G11: the total is the weighted sum of its parts; a weight of 0 is as if not there."""
    teacher = student(2, seed=1).encoder

    def run(layers: dict[str, float]) -> Any:
        return train(replace(BOTH, layers=layers), probe_steps=2, layer_teacher=teacher)

    whole, plain = run(LAYERS), train(BOTH, probe_steps=2)
    weights = {"hard": 1.0, "soft": 1.0} | LAYERS
    errors = [
        abs(entry["loss"] - sum(weights[t] * entry[t] for t in weights)) / entry["loss"]
        for entry in whole.log
    ]
    zero = run({term: 0.0 for term in LAYERS})
    one_zero = run({"hidden": 0.5, "attention": 0.0})
    alone = run({"hidden": 0.5})
    return {
        "steps": len(whole.log),
        "max_relative_error": max(errors),
        "moved_by_weights_of_0": moved(plain.weights, zero.weights),
        "moved_by_one_weight_of_0": moved(alone.weights, one_zero.weights),
        "moved_by_a_weight": moved(plain.weights, alone.weights),
        "logged_at_weight_0": sum(term in entry for entry in zero.log for term in LAYERS),
    }


def hard_losses() -> Facts:
    """G13: 50 steps of each loss of labels lower it; the hinge separates what can be separated."""
    falls = {n: fall(Arm(n, hard=n), groups_per_step=8) for n in HARD if n != "hinge"}
    data, ranker = toy_set(), student(dropout=False)
    falls["hinge"] = fall(Arm("hinge", hard="hinge"), ranker)
    found = scores_of(ranker, data)
    return {
        "losses": len(falls),
        "least_fall": min(falls.values()),
        "hinge_least_margin": float((found[:, 0] - found[:, 1]).min()),
    }


def soft_losses() -> Facts:
    """G13: 50 steps of each loss of the teacher's scores lower it."""
    falls = [fall(Arm(name, soft=name), groups_per_step=8) for name in SOFT]
    return {"losses": len(falls), "least_fall": min(falls)}


def margins() -> Facts:
    """G13: with Margin-MSE the student's margins become the teacher's, on the training pairs."""
    data, ranker = toy_set(), student(dropout=False)
    fallen = fall(Arm("Margin-MSE", soft="margin-mse"), ranker)
    both = [s[:, 0] - s[:, 1] for s in (scores_of(ranker, data), toy_teacher(data))]
    untrained = scores_of(student(), data)
    before = np.corrcoef(untrained[:, 0] - untrained[:, 1], both[1])[0, 1]
    return {
        "fall": fallen,
        "correlation": float(np.corrcoef(*both)[0, 1]),
        "correlation_before": float(before),
    }


def layer_losses() -> Facts:
    """G13: 50 steps of every loss on layers together lower each of them."""
    arm = Arm("layers", hard="hinge", layers=dict.fromkeys(TERMS, 1.0))
    teacher = student(2, 16, seed=1).encoder
    log = train(arm, student(dropout=False), layer_teacher=teacher, **LEARNING).log
    falls = [1 - ends(log, term)[1] / ends(log, term)[0] for term in TERMS]
    return {"losses": len(TERMS), "least_fall": min(falls)}


def copied_teacher() -> Facts:
    """C4: all layers of the teacher, copied and not trained, give its scores."""
    from ir_replications.bert_distill_losses.ranker.model import student_of

    data, teacher = toy_set(), student(6, seed=1)
    expected = scores_of(teacher, data)
    apart = {m: np.abs(scores_of(student_of(teacher, m), data) - expected).max() for m in (6, 2)}
    return {"layers": 6, "max_difference": float(apart[6]), "of_two_layers": float(apart[2])}


def same_groups() -> Facts:
    """K7: every arm takes the same groups in the same order; pointwise arms the same documents."""
    from unittest import mock

    from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
    from ir_replications.bert_distill_losses.training.loop import bucketed

    data = toy_set(24)
    others, other_documents = 0, 0
    expected = bucketed(data, tiny_tokens(data), ARMS["A2"], replace(ROUNDS, steps=9), 3)
    for arm in ARMS.values():
        own = with_noise(data, arm.swapped, 3) if arm.swapped else data
        found = bucketed(own, tiny_tokens(own), arm, replace(ROUNDS, steps=9), 3)
        others += found != expected
        other_documents += not np.array_equal(np.sort(own.groups), np.sort(data.groups))

    def read(arm: Arm) -> list[list[tuple[int, int]]]:
        """(query, document) of every sequence of every step."""
        seen, plain = [], PairTokens.batch

        def note(tokens: PairTokens, query: np.ndarray, document: np.ndarray) -> Any:
            seen.append(list(zip(query.tolist(), document.tolist(), strict=True)))
            return plain(tokens, query, document)

        with mock.patch.object(PairTokens, "batch", note):
            train(arm, data=data)
        return seen

    pairwise = read(ARMS["A2"])
    pointwise = [read(ARMS[name]) for name in ("A1", "A4", "A10")]
    return {
        "arms": len(ARMS),
        "arms_of_other_batches": others,
        "arms_of_other_documents": other_documents,
        "pointwise_reads_the_same": all(seen == pairwise for seen in pointwise),
        "documents_of_a_step": sorted({len(step) for step in pairwise}),
        "groups_of_a_step": ROUNDS.groups_per_step,
    }


def moved(one: dict[str, Any], other: dict[str, Any]) -> int:
    """Tensors that differ in any bit."""
    return sum(not bool((one[name] == other[name]).all()) for name in one)


def fall(arm: Arm, ranker: Any = None, **changes: int) -> float:
    """By how much the only loss of an arm falls in LEARNING."""
    log = train(arm, ranker or student(dropout=False), **(LEARNING | changes)).log
    first, last = ends(log, "loss")
    return first - last


def ends(log: list[dict[str, Any]], term: str) -> tuple[float, float]:
    """Mean of a loss over the first steps, and over the last."""
    values = [entry[term] for entry in log]
    return float(np.mean(values[:WINDOW])), float(np.mean(values[-WINDOW:]))


CHECKS: dict[str, Callable[[], Facts]] = {
    "G10-teacher": teacher_and_projection,
    "G11": combination,
    "G13-hard": hard_losses,
    "G13-soft": soft_losses,
    "G13-margins": margins,
    "G13-layers": layer_losses,
    "C4": copied_teacher,
    "K7": same_groups,
}
