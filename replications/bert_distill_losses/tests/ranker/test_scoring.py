"""Scores do not depend on which pairs share a batch, nor on their order."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_ranker import KINDS, tiny_ranker, tiny_texts
from ir_replications.bert_distill_losses.ranker.scoring import plan_batches, score_pairs
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens
from ir_replications.shared.errors import InputError

QUERIES, DOCUMENTS = tiny_texts(7, 8), [*tiny_texts(30, 30, seed=1), ""]
RNG = np.random.default_rng(0)
QUERY, DOCUMENT = RNG.integers(0, 7, 90), RNG.integers(0, 31, 90)  # some pairs more than once


def tokens_of(ranker: object) -> PairTokens:
    return PairTokens(ranker.tokenizer, QUERIES, DOCUMENTS, 8, 32)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", ["cls", "cls+cosine"])
def test_scores_are_those_of_each_pair_alone(kind: str, head: str) -> None:
    ranker = tiny_ranker(head, kind, layers=2)
    tokens = tokens_of(ranker)
    with torch.inference_mode():
        alone = [
            float(ranker(tokens.batch(QUERY[i : i + 1], DOCUMENT[i : i + 1]))[0]) for i in range(90)
        ]
    assert np.std(alone) > 0.03
    for budget in (1, 100, 8192):
        found = score_pairs(ranker, tokens, QUERY, DOCUMENT, batch_tokens=budget)
        assert found.dtype == np.float32 and found.shape == (90,)
        assert np.abs(found - alone).max() <= 1e-5


@pytest.mark.parametrize("bf16", [False, True])
def test_the_order_of_the_pairs_changes_no_bit(bf16: bool) -> None:
    ranker = tiny_ranker(layers=2)
    tokens, order = tokens_of(ranker), np.random.default_rng(1).permutation(90)
    found = score_pairs(ranker, tokens, QUERY, DOCUMENT, batch_tokens=200, bf16=bf16)
    other = score_pairs(ranker, tokens, QUERY[order], DOCUMENT[order], batch_tokens=200, bf16=bf16)
    assert np.array_equal(found[order], other)


def test_bf16_is_near_and_not_the_same() -> None:
    ranker = tiny_ranker(layers=2)
    tokens = tokens_of(ranker)
    exact = score_pairs(ranker, tokens, QUERY, DOCUMENT)
    half = score_pairs(ranker, tokens, QUERY, DOCUMENT, bf16=True)
    assert half.dtype == np.float32
    assert 0 < np.abs(exact - half).max() < 0.05 * np.abs(exact).max()


def test_batches_hold_every_pair_once_within_the_budget() -> None:
    tokens = tokens_of(tiny_ranker(layers=1))
    lengths = tokens.lengths(QUERY, DOCUMENT)
    batches = list(plan_batches(tokens, QUERY, DOCUMENT, 100))
    assert sorted(np.concatenate(batches).tolist()) == list(range(90))
    assert all(len(b) * lengths[b].max() <= 100 for b in batches)
    longest = [int(lengths[b].max()) for b in batches]
    assert longest == sorted(longest, reverse=True) and len(batches) > 5
    # All but the last are full: one more pair, of the next batch, would not fit.
    assert all((len(b) + 1) * lengths[b].max() > 100 for b in batches[:-1])
    assert list(plan_batches(tokens, QUERY[:0], DOCUMENT[:0], 100)) == []
    assert [len(b) for b in plan_batches(tokens, QUERY, DOCUMENT, 1)] == [1] * 90


def test_modes_are_restored_and_dropout_is_off() -> None:
    ranker = tiny_ranker(layers=2).train()
    tokens = tokens_of(ranker)
    ranker.encoder.embeddings.eval()
    modes = [module.training for module in ranker.modules()]
    first, second = (score_pairs(ranker, tokens, QUERY, DOCUMENT) for _ in range(2))
    assert np.array_equal(first, second)
    assert [module.training for module in ranker.modules()] == modes and any(modes)
    assert not all(modes)


def test_errors_name_the_pair() -> None:
    ranker = tiny_ranker(layers=1)
    tokens = tokens_of(ranker)
    assert score_pairs(ranker, tokens, QUERY[:0], DOCUMENT[:0]).shape == (0,)
    with pytest.raises(InputError, match="two arrays"):
        score_pairs(ranker, tokens, QUERY, DOCUMENT[:5])
    with pytest.raises(InputError, match="batch_tokens 0"):
        score_pairs(ranker, tokens, QUERY, DOCUMENT, batch_tokens=0)
    ranker.train()
    ranker.encoder.embeddings.position_embeddings.weight.data[31] = float("nan")  # the 32nd token
    lengths = tokens.lengths(QUERY, DOCUMENT)
    first = int(np.flatnonzero(lengths == 32)[0])
    assert (lengths < 32).any()
    said = rf"pair {first} \(query {QUERY[first]}, document {DOCUMENT[first]}\): the score is nan"
    with pytest.raises(InputError, match=said):
        score_pairs(ranker, tokens, QUERY, DOCUMENT)
    assert all(module.training for module in ranker.modules())
