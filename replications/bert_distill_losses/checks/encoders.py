"""Properties of the losses on layers that need encoders: G6 to G10, and trap T7.

The encoders are tiny and random. A check returns numbers and booleans for claims to compare.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ir_replications.bert_distill_losses.checks.tiny_encoder import tiny_encoder, tiny_inputs
from ir_replications.bert_distill_losses.method.layer_map import (
    last_layers,
    relation_heads,
    uniform_map,
)
from ir_replications.shared.errors import InputError

Facts = dict[str, Any]

MAPS = {  # teacher's and student's layers: the map
    (12, 6): (2, 4, 6, 8, 10, 12),
    (12, 4): (3, 6, 9, 12),
    (12, 3): (4, 8, 12),
    (6, 3): (2, 4, 6),
    (6, 2): (3, 6),
    (6, 1): (6,),
    (6, 6): (1, 2, 3, 4, 5, 6),
}
NO_MAPS = ((12, 5), (6, 4), (2, 3), (0, 1), (6, 0))
LENGTHS = (7, 4, 5)


def padding() -> Facts:
    """G6: nine more columns of padding, by convention, through two encoders of other widths."""
    import torch

    from ir_replications.bert_distill_losses.method.layer_map import TERMS
    from ir_replications.bert_distill_losses.method.layer_objective import LayerObjective
    from ir_replications.bert_distill_losses.method.states import encode_states

    student, teacher = tiny_encoder(layers=2).double(), tiny_encoder(layers=4, width=24).double()
    effects: dict[str, dict[str, float]] = {}
    for convention in ("valid", "tinybert"):
        objective = LayerObjective(TERMS, student, teacher, convention).double()
        with torch.no_grad():
            found = [
                objective(encode_states(student, inputs), encode_states(teacher, inputs))
                for inputs in (tiny_inputs(LENGTHS), tiny_inputs(LENGTHS, pad=9))
            ]
        effects[convention] = {t: abs(float(found[1][t] / found[0][t]) - 1) for t in TERMS}
    moved = [effects["tinybert"][t] for t in ("embedding", "hidden", "attention")]
    return {
        "terms": len(TERMS),
        "max_effect_valid": max(effects["valid"].values()),
        "min_effect_tinybert": min(moved),
    }


def recomputed_attention() -> Facts:
    """G7: softmax of the recomputed scores against the model's attention; in training, T7."""
    import torch

    from ir_replications.bert_distill_losses.method.layer_losses import log_attention
    from ir_replications.bert_distill_losses.method.states import attention_scores, encode_states

    inputs = tiny_inputs(LENGTHS)
    mask, errors, other_kind, dropped = inputs["attention_mask"], [], [], []
    for kind in ("Bert", "DistilBert"):
        plain = tiny_encoder(kind, layers=3, attention="eager", dropout=0.5)
        fast = tiny_encoder(kind, layers=3, attention="sdpa", dropout=0.5)
        with torch.no_grad():
            given = plain(**inputs, output_attentions=True).attentions
            states, others = encode_states(plain, inputs), encode_states(fast, inputs)
            for layer, probabilities in enumerate(given, 1):
                scores = attention_scores(plain, states, layer)
                errors.append(gap(log_attention(scores, mask).exp(), probabilities))
                other_kind.append(gap(attention_scores(fast, others, layer), scores))
            plain.train()
            torch.manual_seed(0)
            given = plain(**inputs, output_attentions=True).attentions
            torch.manual_seed(0)
            states = encode_states(plain, inputs)
            for layer, probabilities in enumerate(given, 1):
                ours = log_attention(attention_scores(plain, states, layer), mask).exp()
                # dropout of .5 leaves each share as 0 or twice itself
                dropped.append(gap(torch.where(probabilities > 0, 2 * ours, 0), probabilities))
    return {
        "layers": len(errors),
        "max_error": max(errors),
        "max_error_between_kinds_of_attention": max(other_kind),
        "max_error_in_training": max(dropped),
    }


def maps() -> Facts:
    """G8: uniform maps, those that do not exist, and which layers the targets come from."""
    wrong = sum(uniform_map(*counts) != expected for counts, expected in MAPS.items())
    objective = objective_between(dict(layers=2), dict(layers=6), ("hidden", "embedding"))
    read = recorded_pairs(objective)
    return {
        "maps": len(MAPS),
        "violations": wrong,
        "refused": sum(refused(partial(uniform_map, *counts)) for counts in NO_MAPS),
        "not_dividing": len(NO_MAPS),
        "targets_6_to_2": [list(pair) for pair in read],
        "last_layers_right": last_layers(12, 6) == (6, 12),
    }


def mismatches() -> Facts:
    """G9: other numbers of heads or layers are refused where a loss cannot do with them."""
    small, large = dict(width=16, heads=2, layers=2), dict(width=24, heads=4, layers=4)
    wide = dict(width=24, heads=2, layers=3)
    cases = (
        (large, "attention"), (large, "minilm"),  # heads
        (wide, "hidden"), (wide, "attention"), (wide, "cls"), (wide, "pkd"),  # layers
    )  # fmt: skip
    works = {"minilm": wide, "minilmv2": large, "cosine": wide, "embedding": wide}
    values = {t: value(objective_between(small, teacher, (t,)), t) for t, teacher in works.items()}
    found = [refused(partial(objective_between, small, t, (term,))) for t, term in cases]
    bad_heads = partial(objective_between, small, large, ("minilmv2",), heads=5)
    return {
        "cases": len(cases),
        "refused": sum(found),
        "relation_heads_not_dividing_refused": refused(bad_heads),
        "relation_heads_768_384": relation_heads(768, 384),
        "relation_heads_768_312": relation_heads(768, 312),
        "other_widths_work": all(0 < v < 1e6 for v in values.values()),
    }


def projections() -> Facts:
    """G10: the projection learns, is no part of the student and draws no global random number."""
    import torch

    terms = ("embedding", "hidden", "cosine")
    encoders = tiny_encoder(layers=2), tiny_encoder(layers=4, width=24, seed=1)
    before = torch.random.get_rng_state()
    objective = objective_of(*encoders, terms)
    untouched = bool(torch.equal(before, torch.random.get_rng_state()))
    total = sum(run(objective).values())
    total.backward()
    projection = objective.projection
    assert projection is not None
    student, teacher = encoders
    same_width = objective_of(student, student, terms)
    tinybert = objective_of(student, student, terms, convention="tinybert")
    shared = objective_of(student, student, terms, projection="shared")
    return {
        "projection_gradient": float(projection.weight.grad.abs().max()),
        "student_gradient": all(p.grad is not None for p in student.encoder.layer.parameters()),
        "teacher_gradient": any(p.grad is not None for p in teacher.parameters()),
        "saved_with_objective": sorted(objective.state_dict()),
        "saved_with_student": any("projection" in name for name in student.state_dict()),
        "random_numbers_untouched": untouched,
        "none_at_equal_width": same_width.projection is None,
        "tinybert_at_equal_width": tinybert.projection is not None,
        "tinybert_bias": tinybert.projection is not None and tinybert.projection.bias is not None,
        "shared_at_equal_width": shared.projection is not None,
        "value_of_self": abs(float(sum(run(same_width).values()).detach())),
    }


def objective_of(student: Any, teacher: Any, terms: tuple[str, ...], **options: Any) -> Any:
    from ir_replications.bert_distill_losses.method.layer_objective import LayerObjective

    return LayerObjective(terms, student, teacher, **options)


def objective_between(ours: Any, theirs: Any, terms: tuple[str, ...], **options: Any) -> Any:
    """An objective between two tiny encoders of these sizes."""
    return objective_of(tiny_encoder(**ours), tiny_encoder(**theirs, seed=1), terms, **options)


def run(objective: Any) -> dict[str, Any]:
    """The objective's losses on three sequences."""
    from ir_replications.bert_distill_losses.method.states import encode_states

    student, teacher = objective._encoders
    inputs = tiny_inputs(LENGTHS)
    return objective(encode_states(student, inputs), encode_states(teacher, inputs))


def value(objective: Any, term: str) -> float:
    return float(run(objective)[term].detach())


def recorded_pairs(objective: Any) -> list[tuple[int, int]]:
    """The pairs of layers whose states an objective asks for."""
    pairs, states = [], objective._states

    def note(pair: Any, m: int, g: int) -> Any:
        pairs.append((m, g))
        return states(pair, m, g)

    objective._states = note
    run(objective)
    return sorted(pairs)


def refused(build: Callable[[], Any]) -> bool:
    """Whether this raises InputError."""
    try:
        build()
    except InputError:
        return True
    return False


def gap(a: Any, b: Any) -> float:
    """The greatest absolute difference of two tensors."""
    return float((a - b).abs().max())


CHECKS: dict[str, Callable[[], Facts]] = {
    "G6": padding,
    "G7": recomputed_attention,
    "G8": maps,
    "G9": mismatches,
    "G10-projection": projections,
}
