"""States of encoders: what is kept, padding, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_encoder import tiny_encoder, tiny_inputs
from ir_replications.bert_distill_losses.checks.tiny_ranker import tiny_encoder as tiny_mpnet
from ir_replications.bert_distill_losses.method.states import (
    States,
    attention_scores,
    encode_states,
    head_count,
    layer_count,
    queries_keys_values,
    width,
)
from ir_replications.shared.errors import InputError

KINDS = ("Bert", "DistilBert")


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_every_layer(kind: str) -> None:
    encoder, inputs = tiny_encoder(kind, layers=3), tiny_inputs((6, 2))
    found = encode_states(encoder, inputs)
    assert (found.layers, layer_count(encoder), head_count(encoder), width(encoder)) == (
        3,
        3,
        4,
        16,
    )
    assert [tuple(h.shape) for h in found.hidden] == [(2, 6, 16)] * 4
    torch.testing.assert_close(found.hidden[0], encoder.embeddings(inputs["input_ids"]))
    torch.testing.assert_close(found.hidden[-1], encoder(**inputs).last_hidden_state)
    assert torch.equal(found.mask, inputs["attention_mask"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_layer_computes_with_these_vectors_in_training(kind: str, attention: str) -> None:
    encoder = tiny_encoder(kind, attention=attention, dropout=0.3).train()
    seen: list[Any] = []
    for name, module in encoder.named_modules():
        if name.endswith(("query", "key", "value", "q_lin", "k_lin", "v_lin")):
            module.register_forward_hook(lambda _m, _i, out: seen.append(out))
    states = encode_states(encoder, tiny_inputs())
    during = list(seen)
    assert len(during) == 6
    for layer in (1, 2):
        vectors = queries_keys_values(encoder, states, layer)
        for ours, linear in zip(vectors, during[3 * layer - 3 : 3 * layer], strict=True):
            assert torch.equal(ours.transpose(1, 2).flatten(2), linear)
        query, key, _ = vectors
        expected = torch.einsum("nhid,nhjd->nhij", query, key) / 2  # sqrt(16 / 4)
        torch.testing.assert_close(attention_scores(encoder, states, layer), expected)


def test_token_types_reach_bert_and_spare_distilbert() -> None:
    inputs = tiny_inputs()
    typed = inputs | {"token_type_ids": inputs["attention_mask"], "query_mask": None}
    for kind, same in (("Bert", False), ("DistilBert", True)):
        encoder = tiny_encoder(kind)
        plain, found = encode_states(encoder, inputs), encode_states(encoder, typed)
        assert torch.equal(plain.hidden[-1], found.hidden[-1]) == same


def test_an_mpnet_gives_states_and_refuses_attention_scores() -> None:
    encoder = tiny_mpnet("MPNet", layers=2)
    states = encode_states(encoder, tiny_inputs())
    assert (states.layers, layer_count(encoder), head_count(encoder), width(encoder)) == (
        2, 2, 4, 32,
    )  # fmt: skip
    for vectors in (queries_keys_values, attention_scores):
        with pytest.raises(InputError, match="bias of distances"):
            vectors(encoder, states, 1)


def test_gradients_pass_through_the_scores() -> None:
    encoder = tiny_encoder()
    states = encode_states(encoder, tiny_inputs())
    attention_scores(encoder, states, 2).square().sum().backward()
    first = encoder.encoder.layer[0].attention.self.query.weight.grad
    assert first is not None and float(first.abs().max()) > 0


def test_refusals() -> None:
    encoder, inputs = tiny_encoder(), tiny_inputs()
    states = encode_states(encoder, inputs)
    with pytest.raises(InputError, match="attention_mask"):
        encode_states(encoder, {"input_ids": inputs["input_ids"]})
    with pytest.raises(InputError, match="padded on the right"):
        encode_states(encoder, inputs | {"attention_mask": inputs["attention_mask"].flip(1)})
    with pytest.raises(InputError, match="SimpleNamespace"):
        encode_states(SimpleNamespace(), inputs)
    for layer in (0, 3):
        with pytest.raises(InputError, match=f"layer {layer}"):
            attention_scores(encoder, states, layer)
    with pytest.raises(InputError, match="states of 2 layers for an encoder of 3"):
        attention_scores(tiny_encoder(layers=3), states, 1)
    with pytest.raises(InputError, match="hidden states of"):
        States((torch.zeros(2, 3, 4), torch.zeros(2, 3, 5)), torch.ones(2, 3))
    with pytest.raises(InputError, match="hidden states of"):
        States((torch.zeros(2, 3, 4),), torch.ones(2, 4))
