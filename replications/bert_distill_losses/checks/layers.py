"""Golden values and properties of the losses on layers: G1 and G4, and trap T3.

CHECKS holds those of goldens_encoders as well.

Expected values come from the report on the paper, where they were worked out in float64 without
this code. A check returns numbers and booleans for claims to compare.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ir_replications.bert_distill_losses.checks import encoders as goldens_encoders
from ir_replications.bert_distill_losses.checks.ranking import random, slope, slope_error

Facts = dict[str, Any]

HIDDEN = {
    "all": 2.1301998915781977,
    "valid": 2.060361816117885,
    "cls": 1.4986839609420146,
    "pkd_sum": 1.5957739392207695,
    "pkd_mean": 0.2659623232034616,
    "cosine": 1.0020927246723983,
}
ATTENTION = {
    "tinybert": 3.098317782557023,
    "valid": 3.6212240582005926,
    "probabilities": 0.1328442180598165,
}
RELATIONS = {"attention": 1.1443545719992405, "values": 0.15625574240017204}


def wave(*shape: int, step: float, start: float, size: float = 1.0, cosine: bool = False) -> Any:
    """size * sin(step i + start) of the row-major index i, or the cosine, in float64."""
    import torch

    x = step * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + start
    return size * (x.cos() if cosine else x.sin()).view(shape)


def golden_states() -> tuple[Any, Any, Any]:
    """Student's states after the projection, teacher's states, mask."""
    student = wave(2, 4, 4, step=1.3, start=0.2)
    projection = wave(4, 6, step=0.9, start=0.3, cosine=True)
    return student @ projection, wave(2, 4, 6, step=0.7, start=0.1), golden_mask()


def golden_attention() -> tuple[Any, Any, Any]:
    """Student's scores, teacher's scores, mask."""
    student = wave(2, 2, 4, 4, step=1.1, start=0.6, size=2)
    return student, wave(2, 2, 4, 4, step=0.5, start=0.4, size=2), golden_mask()


def golden_mask() -> Any:
    import torch

    return torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def split(states: Any, heads: int) -> Any:
    """(n, L, d) as (n, heads, L, d / heads)."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def hidden_values() -> Facts:
    """Losses on states: all positions, tokens, [CLS], both scalings of PKD, cosine."""
    from ir_replications.bert_distill_losses.method import layer_losses as L

    student, teacher, mask = golden_states()
    found = {
        "all": L.hidden_mse(student, teacher, mask, "tinybert"),
        "valid": L.hidden_mse(student, teacher, mask),
        "cls": L.cls_mse(student, teacher),
        "pkd_sum": L.pkd(student, teacher),
        "pkd_mean": L.pkd(student, teacher, "mean"),
        "cosine": L.cosine(student, teacher, mask),
    }
    return {"values": len(found), "max_error": greatest_error(found, HIDDEN)}


def attention_values() -> Facts:
    """Losses on attention scores in both conventions, and on probabilities; T3.

    T3: other code sets scores below a small negative number to 0, and so every negative one.
    """
    from ir_replications.bert_distill_losses.method import layer_losses as L

    student, teacher, mask = golden_attention()
    found = {
        "tinybert": L.attention_score_mse(student, teacher, mask, "tinybert"),
        "valid": L.attention_score_mse(student, teacher, mask),
        "probabilities": L.attention_probability_mse(student, teacher, mask),
    }
    # all scores negative, all tokens valid: the loss must see the whole difference of 2
    low, ones = -student.abs() - 1, mask.new_ones(2, 4)
    seen = [float(L.attention_score_mse(low - 2, low, ones, c)) for c in ("valid", "tinybert")]
    return {
        "values": len(found),
        "max_error": greatest_error(found, ATTENTION),
        "scores_over_probabilities": float(found["valid"] / found["probabilities"]),
        "T3_error_on_negative_scores": max(abs(value - 4) for value in seen),
    }


def relation_values() -> Facts:
    """MiniLM's two divergences; the values have 3 dimensions in the teacher's heads, 2 here."""
    from ir_replications.bert_distill_losses.method import relation_losses as M

    student, teacher, mask = golden_attention()
    ours = split(wave(2, 4, 4, step=1.3, start=0.2), 2)
    theirs = split(wave(2, 4, 6, step=0.7, start=0.1), 2)
    found = {
        "attention": M.attention_transfer(student, teacher, mask),
        "values": M.value_relation(ours, theirs, mask),
    }
    return {"values": len(found), "max_error": greatest_error(found, RELATIONS)}


def losses() -> dict[str, tuple[Callable[[Any, Any], Any], Any]]:
    """Every loss on layers as a function of student and teacher, and a student to start from."""
    from ir_replications.bert_distill_losses.method import layer_losses as L
    from ir_replications.bert_distill_losses.method import relation_losses as M

    states, _, mask = golden_states()
    scores = golden_attention()[0]
    vectors = split(states, 2)

    def relations(ours: Any, theirs: Any) -> Any:
        return M.multi_head_relations([ours] * 3, [theirs] * 3, mask, 3)

    return {
        "hidden valid": (partial(L.hidden_mse, mask=mask), states),
        "hidden tinybert": (partial(L.hidden_mse, mask=mask, convention="tinybert"), states),
        "cls": (L.cls_mse, states),
        "pkd sum": (L.pkd, states),
        "pkd mean": (partial(L.pkd, scaling="mean"), states),
        "cosine": (partial(L.cosine, mask=mask), states),
        "attention valid": (partial(L.attention_score_mse, mask=mask), scores),
        "attention tinybert": (
            partial(L.attention_score_mse, mask=mask, convention="tinybert"),
            scores,
        ),
        "probabilities": (partial(L.attention_probability_mse, mask=mask), scores),
        "minilm attention": (partial(M.attention_transfer, mask=mask), scores),
        "minilm values": (partial(M.value_relation, mask=mask), vectors),
        "minilmv2": (relations, vectors),
    }


def gradients() -> Facts:
    """Every loss on layers against central differences."""
    found = {}
    for name, (loss, at) in losses().items():
        teacher = at + random(*at.shape, seed=1)
        found[name] = slope_error(partial(reverse, loss, teacher), at)
    return {"losses": len(found), "max_relative_error": max(found.values())}


def minimisers() -> Facts:
    """G4: slope 0 and value 0 where student and teacher agree, and nothing near is lower."""
    slopes, values, excess = [], [], []
    for loss, at in losses().values():
        slopes.append(float(slope(partial(reverse, loss, at), at).abs().max()))
        values.append(abs(float(loss(at, at))))
        near = [at + 0.5 * random(*at.shape, seed=seed) for seed in range(10)]
        excess += [float(loss(student, at)) for student in near]
    return {
        "losses": len(losses()),
        "max_slope_at_teacher": max(slopes),
        "max_value_at_teacher": max(values),
        "min_value_near_teacher": min(excess),
    }


def reverse(loss: Callable[[Any, Any], Any], teacher: Any, student: Any) -> Any:
    return loss(student, teacher)


def greatest_error(found: dict[str, Any], expected: dict[str, float]) -> float:
    return max(abs(float(found[name]) - value) for name, value in expected.items())


CHECKS: dict[str, Callable[[], Facts]] = {
    "G1-hidden": hidden_values,
    "G1-attention": attention_values,
    "G1-relations": relation_values,
    "G1-layer-gradients": gradients,
    "G4-layers": minimisers,
    **goldens_encoders.CHECKS,
}
