"""Losses on layers: loops as oracles, gradients, padding that holds anything, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ir_replications.bert_distill_losses.checks.layers import losses
from ir_replications.bert_distill_losses.checks.ranking import random
from ir_replications.bert_distill_losses.method import layer_losses as L
from ir_replications.bert_distill_losses.method import relation_losses as M
from ir_replications.shared.errors import InputError

MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
LENGTHS = (3, 5)


def softmax(row: Any) -> list[float]:
    top = [math.exp(x) for x in row]
    return [x / sum(top) for x in top]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("name", losses())
def test_gradcheck(name: str) -> None:
    loss, start = losses()[name]
    teacher = start + random(*start.shape, seed=1)
    student = start.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), student, rtol=1e-6, atol=1e-8)


def test_hidden_and_cosine_are_means_over_tokens() -> None:
    s, t = random(2, 5, 4, seed=2), random(2, 5, 4, seed=3)
    rows = [(s[i, j], t[i, j]) for i, n in enumerate(LENGTHS) for j in range(n)]
    mse = sum(float(((a - b) ** 2).sum()) for a, b in rows) / (len(rows) * 4)
    cos = sum(float(a @ b / (a.norm() * b.norm())) for a, b in rows) / len(rows)
    assert float(L.hidden_mse(s, t, MASK)) == pytest.approx(mse, abs=1e-12)
    assert float(L.cosine(s, t, MASK)) == pytest.approx(1 - cos, abs=1e-12)


def test_attention_scores_by_convention() -> None:
    s, t = random(2, 3, 5, 5, seed=4), random(2, 3, 5, 5, seed=5)
    gaps = (s - t) ** 2
    valid = torch.cat([gaps[i, :, :n, :n].reshape(-1) for i, n in enumerate(LENGTHS)]).mean()
    keys = sum(float(gaps[i, :, :, :n].sum()) for i, n in enumerate(LENGTHS)) / gaps.numel()
    assert float(L.attention_score_mse(s, t, MASK)) == pytest.approx(float(valid), abs=1e-12)
    found = L.attention_score_mse(s, t, MASK, "tinybert")
    assert float(found) == pytest.approx(keys, abs=1e-12)


def test_relation_kl_by_sequence_then_over_sequences() -> None:
    s, t = random(2, 3, 5, 5, seed=6), random(2, 3, 5, 5, seed=7)
    of_sequence = [
        sum(kl(softmax(t[i, a, r, :n].tolist()), softmax(s[i, a, r, :n].tolist()))
            for a in range(3) for r in range(n)) / (3 * n)
        for i, n in enumerate(LENGTHS)
    ]  # fmt: skip
    expected = sum(of_sequence) / 2
    assert float(M.relation_kl(s, t, MASK)) == pytest.approx(expected, abs=1e-12)


def test_relations_split_heads_anew() -> None:
    vectors = random(1, 2, 4, 6, seed=8)  # 2 heads of 6 as 3 of 4
    joined = torch.cat([vectors[0, 0], vectors[0, 1]], -1)
    for head in range(3):
        part = joined[:, 4 * head : 4 * head + 4]
        found = M.relation_scores(vectors, 3)[0, head]
        torch.testing.assert_close(found, part @ part.T / 2)
    torch.testing.assert_close(M.relation_scores(vectors, 2), M.relation_scores(vectors))


def test_minilmv2_is_the_mean_of_three_relations() -> None:
    ours = [random(2, 2, 5, 6, seed=s) for s in (9, 10, 11)]
    theirs = [random(2, 4, 5, 2, seed=s) for s in (12, 13, 14)]
    alone = [
        float(M.relation_kl(M.relation_scores(s, 4), M.relation_scores(t, 4), MASK))
        for s, t in zip(ours, theirs, strict=True)
    ]
    found = M.multi_head_relations(ours, theirs, MASK, 4)
    assert float(found) == pytest.approx(sum(alone) / 3, abs=1e-12)


def test_padding_may_hold_anything_where_only_tokens_count() -> None:
    s, t = random(2, 3, 5, 5, seed=15), random(2, 3, 5, 5, seed=16)
    other = s.clone()
    other[0, :, 3:] += 50
    other[0, :, :, 3:] -= 50
    for loss in (L.attention_score_mse, L.attention_probability_mse, M.relation_kl):
        assert float(loss(other, t, MASK)) == pytest.approx(float(loss(s, t, MASK)), abs=1e-12)
    a, b = random(2, 5, 4, seed=17), random(2, 5, 4, seed=18)
    wild = a.clone()
    wild[0, 3:] = 1e3
    for of_states in (L.hidden_mse, L.cosine):
        assert float(of_states(wild, b, MASK)) == pytest.approx(float(of_states(a, b, MASK)))
    assert float(L.hidden_mse(wild, b, MASK, "tinybert")) > 1e4


def test_pkd_is_two_less_twice_the_cosine() -> None:
    s, t = random(3, 2, 6, seed=19), random(3, 2, 6, seed=20)
    cos = torch.nn.functional.cosine_similarity(s[:, 0], t[:, 0], dim=-1)
    assert float(L.pkd(s, t)) == pytest.approx(float((2 - 2 * cos).mean()), abs=1e-12)
    assert float(L.pkd(5 * s, t)) == pytest.approx(float(L.pkd(s, t)), abs=1e-12)
    assert float(L.pkd(s, t, "mean") * 6) == pytest.approx(float(L.pkd(s, t)), abs=1e-12)


def test_half_precision_is_computed_in_float32() -> None:
    s, t = (random(2, 3, 5, 5, seed=i).bfloat16() for i in (21, 22))
    for loss in (L.attention_score_mse, L.attention_probability_mse, M.relation_kl):
        found = loss(s, t, MASK)
        assert found.dtype == torch.float32
        assert float(found) == pytest.approx(float(loss(s.double(), t.double(), MASK)), rel=1e-5)
    assert M.relation_scores(s).dtype == torch.float32


def test_refusals() -> None:
    s = torch.zeros(2, 5, 4)
    with pytest.raises(InputError, match="expected one shape"):
        L.hidden_mse(s, torch.zeros(2, 5, 6), MASK)
    with pytest.raises(InputError, match="at least one sequence"):
        L.cls_mse(s[:0], s[:0])
    with pytest.raises(InputError, match="mask of shape"):
        L.hidden_mse(s, s, MASK[:, :4])
    with pytest.raises(InputError, match="convention 'all'"):
        L.hidden_mse(s, s, MASK, "all")
    with pytest.raises(InputError, match="scaling 'max'"):
        L.pkd(s, s, "max")
    with pytest.raises(InputError, match="5 relation heads"):
        M.relation_scores(torch.zeros(1, 2, 3, 4), 5)
