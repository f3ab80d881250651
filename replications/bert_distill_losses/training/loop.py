"""The training loop of teacher and students: every arm goes through these lines.

One batch of groups, the same for every arm; the student's scores; the arm's losses, weighted and
added; one update. Several processes (shared.training.distributed) take shares of each batch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ir_replications.bert_distill_losses.method.layer_objective import LayerObjective
from ir_replications.bert_distill_losses.method.states import encode_states
from ir_replications.bert_distill_losses.ranker.alignment import aligned_states
from ir_replications.bert_distill_losses.ranker.model import Ranker, attention_for_training
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.bert_distill_losses.training.arms import Arm
from ir_replications.bert_distill_losses.training.ranking_terms import Share, ranking_terms
from ir_replications.bert_distill_losses.training.recipe import Rounds
from ir_replications.bert_distill_losses.training.training_set import TrainingSet
from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.distributed import (
    check_shares,
    gathered,
    place,
    process_group,
    share,
    total,
)
from ir_replications.shared.training.loop import UpdateLoop

RANKING = ("hard", "soft")
WINDOW = 8  # batches whose groups are sorted by length among themselves


@process_group()
def train_ranker(
    ranker: Ranker,
    data: TrainingSet,
    tokens: PairTokens,
    arm: Arm,
    rounds: Rounds,
    folder: TrainingFolder,
    *,
    seed: int,
    precision: str = "float32",
    margin: float = 1.0,
    teacher_scores: np.ndarray | None = None,
    layer_teacher: Any = None,
    layer_tokens: PairTokens | None = None,
) -> UpdateLoop:
    """Train `ranker` in place as the arm says; returns the loop, which knows what was done.

    `teacher_scores` are those of the groups, (n, m); `layer_teacher` is the encoder that the
    layers are to follow, put into eval mode here; `layer_tokens` are its own tokens of the same
    texts, None where it reads the student's. The log has for each step every loss of the arm
    without its weight, their weighted sum, the share of groups in order, and now and then the
    gradient norms of ranking and layers on the encoder and the cosine between the two. Goes on
    with a killed run. Raises InputError for groups or scores that do not fit, and for a loss that
    is not finite, naming the step.
    """
    device = next(ranker.parameters()).device
    targets = _targets(data, arm, teacher_scores)
    check_shares(rounds.groups_per_step, "groups_per_step")
    batches = bucketed(data, tokens, arm, rounds, seed)
    ranking = ranking_terms(arm, margin)
    objective = _objective(arm, ranker, layer_teacher, seed)
    parameters = {n: p for n, p in ranker.named_parameters() if p.requires_grad}
    if objective is not None:
        parameters |= {f"projection.{n}": p for n, p in objective.named_parameters()}
    ranker.train()
    with folder.one_line_errors(), attention_for_training(ranker):
        loop = UpdateLoop(parameters, rounds, folder, seed=seed, precision=precision)
        for step in loop.steps():
            started = time.perf_counter()
            # The same dropout for every arm, and after a checkpoint.
            torch.manual_seed((seed * 1_000_003 + step) * 64 + place()[0])
            weights, head_only = phase(arm, step, rounds.steps)
            if head_only:
                ranker.encoder.requires_grad_(False)
            batch = batches[step]
            mine = np.asarray(share(batch))
            flat = _flat(data, mine)
            inputs = tokens.batch(*flat)
            inputs = {name: value.to(device) for name, value in inputs.items()}
            with loop.autocast():
                scores, states = ranker.forward_states(inputs)
            scores = scores.view(len(mine), -1)
            part = _share(data, targets, batch, mine)
            found = {name: term(scores, part) for name, term in ranking.items()}
            losses = {name: loss for name, loss in found.items() if loss is not None}
            if objective is not None and any(weights.get(term) for term in arm.layers):
                with torch.no_grad(), loop.autocast():
                    theirs = (
                        aligned_states(layer_teacher, layer_tokens, *flat, inputs, tokens.special)
                        if layer_tokens
                        else encode_states(layer_teacher, inputs)
                    )
                apart = objective(states, theirs)
                losses |= {t: loss * _part(t, states.mask) for t, loss in apart.items()}
            parts = {term: weights[term] * losses[term] for term in losses if weights.get(term)}
            probed = _probe(parts, ranker) if step % rounds.probe_steps == 0 else {}
            loss = torch.stack(list(parts.values())).sum()
            loop.check("loss", bool(torch.isfinite(loss)))
            loss.backward()
            loop.log(
                {
                    **{term: total(float(value.detach())) for term, value in losses.items()},
                    **loop.update(float(loss.detach())),
                    **_order(gathered(scores.detach())),
                    **probed,
                    "step_seconds": round(time.perf_counter() - started, 4),
                }
            )
    ranker.eval()
    return loop


def phase(arm: Arm, step: int, steps: int) -> tuple[dict[str, float], bool]:
    """(weight of every term, whether the head alone is trained) at a step, from 0."""
    weights = {"hard": arm.hard_weight, "soft": 1.0}
    ranking = {name: weight for name, weight in weights.items() if getattr(arm, name)}
    if arm.schedule == "one step":
        return ranking | dict(arm.layers), False
    if step < steps // 2:
        return dict(arm.layers), False
    return ranking, arm.schedule == "layers, then head"


def bucketed(
    data: TrainingSet,
    tokens: PairTokens,
    arm: Arm,
    rounds: Rounds,
    seed: int,
) -> list[list[int]]:
    """The groups of every step: in the order of the set, like lengths together, again and again.

    Among WINDOW batches groups are sorted by length and the batches then shuffled, so a batch
    holds little padding and an arm never sees lengths rise. An arm without a soft loss has
    nothing to learn from groups without a label and passes over them.
    """
    chosen = np.arange(len(data))
    if not arm.soft:
        chosen = chosen[data.labelled[chosen]]
    size, wanted = rounds.groups_per_step, rounds.steps * rounds.groups_per_step
    if len(chosen) == 0:
        raise InputError(f"{arm.title}: no group has a label; expected some")
    numbers = np.resize(chosen, wanted)  # repeated as often as needed
    longest = [max(tokens.length(q, d) for d in group) for q, group in
               zip(data.query[chosen], data.groups[chosen], strict=True)]  # fmt: skip
    length = dict(zip(chosen.tolist(), longest, strict=True))
    random = np.random.default_rng(seed)
    batches: list[list[int]] = []
    for start in range(0, wanted, WINDOW * size):
        window = sorted(numbers[start : start + WINDOW * size].tolist(), key=lambda i: length[i])
        made = [window[i : i + size] for i in range(0, len(window), size)]
        batches += [made[i] for i in random.permutation(len(made))]
    return batches


def _targets(data: TrainingSet, arm: Arm, scores: np.ndarray | None) -> np.ndarray | None:
    if not arm.soft:
        return None
    if scores is None or scores.shape != data.groups.shape:
        found = "none" if scores is None else str(scores.shape)
        raise InputError(f"{arm.title}: teacher's scores {found}, expected {data.groups.shape}")
    return scores


def _objective(arm: Arm, ranker: Ranker, teacher: Any, seed: int) -> LayerObjective | None:
    terms = [term for term, weight in arm.layers.items() if weight]
    if not terms:
        return None
    if teacher is None:
        raise InputError(f"{arm.title}: expected a teacher whose layers to follow")
    teacher.eval().requires_grad_(False)  # its dropout would be noise in every target
    objective = LayerObjective(terms, ranker.encoder, teacher, arm.convention, seed=seed)
    return objective.to(next(ranker.parameters()))


def _flat(data: TrainingSet, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Query and document of every sequence of the groups, (B * m,) each."""
    groups = data.groups[rows]
    return np.repeat(data.query[rows], groups.shape[1]), groups.reshape(-1)


def _share(
    data: TrainingSet, targets: np.ndarray | None, batch: list[int], mine: np.ndarray
) -> Share:
    return Share(
        labelled=data.labelled[mine],
        targets=None if targets is None else targets[mine],
        groups=len(batch),
        labels=int(data.labelled[batch].sum()),
    )


def _part(term: str, mask: torch.Tensor) -> float:
    """This process's part of the batch, counted in what the loss on layers is the mean over.

    Exact where padding does not count, so not in the convention "tinybert".
    """
    lengths = mask.sum(1).double()
    counts = {"attention": lengths.square().sum()}  # pairs of tokens
    counts |= dict.fromkeys(("embedding", "hidden", "cosine"), lengths.sum())
    mine = float(counts.get(term, len(mask)))  # the others: sequences
    return mine / total(mine)


def _probe(parts: Mapping[str, torch.Tensor], ranker: Ranker) -> dict[str, float]:
    """Norms of the gradients of ranking and layers on the encoder, and the cosine between them."""
    encoder = [p for p in ranker.encoder.parameters() if p.requires_grad]
    sides = {
        "ranking": [loss for term, loss in parts.items() if term in RANKING],
        "layers": [loss for term, loss in parts.items() if term not in RANKING],
    }
    if not encoder or not all(sides.values()):
        return {}
    flat = {}
    for side, losses in sides.items():
        found = torch.autograd.grad(
            torch.stack(losses).sum(), encoder, retain_graph=True, allow_unused=True
        )
        pairs = zip(found, encoder, strict=True)
        mine = torch.cat([
            torch.zeros_like(p).flatten() if g is None else g.float().flatten() for g, p in pairs
        ])  # fmt: skip
        flat[side] = gathered(mine[None]).sum(0).cpu()
    cosine = torch.nn.functional.cosine_similarity(flat["ranking"], flat["layers"], dim=0)
    return {
        **{f"grad_norm/{side}": float(vector.norm()) for side, vector in flat.items()},
        "grad_cosine": float(cosine),
    }


def _order(scores: torch.Tensor) -> dict[str, float]:
    """Share of documents below the first of their group, and by how much on average."""
    gaps = scores[:, :1] - scores[:, 1:]
    return {"ordered": float((gaps > 0).float().mean()), "margin": float(gaps.mean())}
