"""The objective over layers: every term against its losses, training, refusals."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_encoder import tiny_encoder, tiny_inputs
from ir_replications.bert_distill_losses.method import layer_losses as L
from ir_replications.bert_distill_losses.method import relation_losses as M
from ir_replications.bert_distill_losses.method.layer_map import TERMS
from ir_replications.bert_distill_losses.method.layer_objective import LayerObjective
from ir_replications.bert_distill_losses.method.states import (
    States,
    attention_scores,
    encode_states,
    queries_keys_values,
)
from ir_replications.shared.errors import InputError


def pair(ours: Any, theirs: Any) -> tuple[States, States]:
    inputs = tiny_inputs()
    return encode_states(ours, inputs), encode_states(theirs, inputs)


@pytest.mark.parametrize("convention", ["valid", "tinybert"])
@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
def test_terms_are_sums_over_the_map(kind: str, convention: str) -> None:
    ours, theirs = tiny_encoder(kind), tiny_encoder("Bert", layers=4, width=24, seed=1)
    objective = LayerObjective(TERMS, ours, theirs, convention)
    student, teacher = pair(ours, theirs)
    with torch.no_grad():
        found = objective(student, teacher)
    assert list(found) == list(TERMS)
    linear, mask = objective.projection, student.mask
    assert linear is not None
    projected = [linear(h) for h in student.hidden]
    mapped = [(1, 2), (2, 4)]
    scores = [(attention_scores(ours, student, m), attention_scores(theirs, teacher, g))
              for m, g in mapped]  # fmt: skip
    last, target = queries_keys_values(ours, student, 2), queries_keys_values(theirs, teacher, 4)
    states = [(projected[m], teacher.hidden[g]) for m, g in mapped]
    expected: dict[str, Any] = {
        "embedding": L.hidden_mse(projected[0], teacher.hidden[0], mask, convention),
        "hidden": sum(L.hidden_mse(*p, mask, convention) for p in states),
        "attention": sum(L.attention_score_mse(*p, mask, convention) for p in scores),
        "cls": sum(L.cls_mse(*p) for p in states),
        "pkd": sum(L.pkd(*p) for p in states),
        "cosine": L.cosine(*states[1], mask),
        "minilm": M.attention_transfer(*scores[1], mask)
        + M.value_relation(last[2], target[2], mask),
        "minilmv2": M.multi_head_relations(last, target, mask, 8),
    }
    for term in TERMS:
        assert float(found[term]) == pytest.approx(float(expected[term].detach()), rel=1e-5), term


def test_a_student_that_is_the_teacher_has_no_loss() -> None:
    encoder = tiny_encoder(layers=3)
    found = LayerObjective(TERMS, encoder, encoder)(*pair(encoder, encoder))
    assert max(abs(float(value.detach())) for value in found.values()) < 1e-6


def test_training_lowers_every_term_and_leaves_the_teacher() -> None:
    for term in TERMS:
        ours, theirs = tiny_encoder(seed=2), tiny_encoder(layers=4, width=24, seed=1)
        before = {name: value.clone() for name, value in theirs.state_dict().items()}
        objective = LayerObjective((term,), ours, theirs)
        learned = [*ours.parameters(), *objective.parameters()]
        optimiser = torch.optim.Adam(learned, lr=3e-3)
        losses = []
        for _ in range(8):
            optimiser.zero_grad()
            loss = objective(*pair(ours, theirs))[term]
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.98 * losses[0], term
        assert all(torch.equal(before[name], value) for name, value in theirs.state_dict().items())
        assert not any(p.grad is not None for p in theirs.parameters())


def test_the_encoders_are_no_part_of_the_objective() -> None:
    ours, theirs = tiny_encoder(), tiny_encoder(layers=4, width=24)
    objective = LayerObjective(TERMS, ours, theirs, "tinybert")
    assert {n: tuple(p.shape) for n, p in objective.named_parameters()} == {
        "projection.weight": (24, 16),
        "projection.bias": (24,),
    }
    objective.train()
    assert not ours.training and not theirs.training
    alone = LayerObjective(("attention", "minilm", "minilmv2"), ours, theirs, "tinybert")
    assert not list(alone.parameters())


def test_the_projection_comes_from_its_seed() -> None:
    ours, theirs = tiny_encoder(), tiny_encoder(layers=4, width=24)
    weights = []
    for seed, others in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(others)
        linear = LayerObjective(("hidden",), ours, theirs, seed=seed).projection
        assert linear is not None
        weights.append(linear.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
def test_losses_are_in_float32(kind: str) -> None:
    ours, theirs = tiny_encoder(), tiny_encoder(layers=4, width=24)
    objective = LayerObjective(TERMS, ours, theirs)
    exact = objective(*pair(ours, theirs))
    if kind == "bfloat16":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = objective(*pair(ours, theirs))
    else:
        found = exact
    for term in TERMS:
        assert found[term].dtype == torch.float32
        values = found[term].detach(), exact[term].detach()
        assert float(values[0]) == pytest.approx(float(values[1]), rel=0.1), term


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        ((), {}, "expected some of embedding"),
        (("logits",), {}, "logits"),
        (("hidden", "hidden"), {}, "each once"),
        (("hidden",), {"convention": "loose"}, "convention 'loose'"),
        (("hidden",), {"projection": "none"}, "projection 'none'"),
        (("minilmv2",), {"heads": 7}, "7 relation heads"),
    ],
)
def test_refusals(terms: Any, options: Any, message: str) -> None:
    encoder = tiny_encoder()
    with pytest.raises(InputError, match=message):
        LayerObjective(terms, encoder, encoder, **options)


def test_states_of_something_else_are_refused() -> None:
    ours, theirs = tiny_encoder(), tiny_encoder(layers=4)
    objective = LayerObjective(("embedding",), ours, theirs)
    student, _ = pair(ours, theirs)
    with pytest.raises(InputError, match="expected 2 and 4"):
        objective(student, student)
    longer = encode_states(theirs, tiny_inputs(pad=1))
    with pytest.raises(InputError, match="the same sequences"):
        objective(student, longer)
