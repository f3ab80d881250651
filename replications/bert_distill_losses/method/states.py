"""Hidden states of an encoder, and the attention scores and vectors recomputed from them.

transformers returns attention after the softmax and, in training, after dropout, and only where
the attention is written out step by step ("eager"). The losses on layers need the scores before
the softmax, from students in train mode and with any kind of attention, so these are computed here
from the states that enter a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ir_replications.shared.errors import InputError

if TYPE_CHECKING:
    import torch

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
KINDS = ("BertModel", "DistilBertModel", "MPNetModel")


@dataclass(frozen=True)
class States:
    """What an encoder of N layers leaves of n sequences of L tokens.

    `hidden`: N + 1 tensors (n, L, d), the embeddings' output first. `mask`: (n, L), 1 for a token
    and 0 for padding. Raises InputError where their shapes differ.
    """

    hidden: tuple[torch.Tensor, ...]
    mask: torch.Tensor

    def __post_init__(self) -> None:
        shapes = {tuple(states.shape) for states in self.hidden}
        if len(shapes) != 1 or any(len(s) != 3 or s[:2] != tuple(self.mask.shape) for s in shapes):
            raise InputError(
                f"hidden states of {sorted(shapes)}, mask of {tuple(self.mask.shape)}: expected "
                "(n, L, d) for every layer and (n, L)"
            )

    @property
    def layers(self) -> int:
        """N, the embeddings not counted."""
        return len(self.hidden) - 1


def encode_states(encoder: Any, inputs: Mapping[str, torch.Tensor]) -> States:
    """Run the encoder, in the mode it is in, and keep every layer's states.

    Of `inputs`, input_ids and attention_mask (n, L) and, for a BERT, token_type_ids are read.
    Raises InputError without a mask, where a sequence does not begin with a token, and for an
    encoder that is none of KINDS.
    """
    kind = _kind(encoder)
    mask = inputs.get("attention_mask")
    if mask is None:
        raise InputError("inputs: expected an attention_mask that is 0 for padding, found none")
    if mask.numel() == 0 or not bool(mask[:, 0].all()):
        raise InputError("attention_mask: expected sequences padded on the right, with [CLS] first")
    names = INPUTS if kind == "BertModel" else INPUTS[:2]
    found = encoder(**{k: inputs[k] for k in names if k in inputs}, output_hidden_states=True)
    return States(tuple(found.hidden_states), mask)


def queries_keys_values(
    encoder: Any, states: States, layer: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The attention's queries, keys and values in a layer, (n, heads, L, d / heads) each.

    Layers count from 1. Raises InputError for another layer and for another kind of encoder.
    """
    projections = _projections(encoder, states, layer)
    heads = head_count(encoder)
    query, key, value = (
        linear(states.hidden[layer - 1]).unflatten(-1, (heads, -1)).transpose(1, 2)
        for linear in projections
    )
    return query, key, value


def attention_scores(encoder: Any, states: States, layer: int) -> torch.Tensor:
    """Q K^T / sqrt(d / heads) of a layer, (n, heads, L, L): rows are queries, columns keys.

    Before the mask and before the softmax, so padding has scores too. Layers count from 1.
    Raises InputError for another layer and for another kind of encoder.
    """
    heads = head_count(encoder)
    query, key = (
        linear(states.hidden[layer - 1]).unflatten(-1, (heads, -1)).transpose(1, 2)
        for linear in _projections(encoder, states, layer)[:2]
    )
    return scaled_products(query, key)


def scaled_products(queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Q K^T / sqrt(d_h) of vectors (..., L, d_h), as (..., L, L)."""
    return queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5


def head_count(encoder: Any) -> int:
    """Attention heads of each layer. Raises InputError for another kind of encoder."""
    _kind(encoder)
    return int(encoder.config.num_attention_heads)


def layer_count(encoder: Any) -> int:
    """Layers, the embeddings not counted. Raises InputError for another kind of encoder."""
    return len(_layers(encoder))


def width(encoder: Any) -> int:
    """d, the size of a hidden state. Raises InputError for another kind of encoder."""
    _kind(encoder)
    return int(encoder.config.hidden_size)


def _projections(encoder: Any, states: States, layer: int) -> tuple[Any, Any, Any]:
    """The linear maps of a layer that make queries, keys and values."""
    layers = _layers(encoder)
    if states.layers != len(layers):
        raise InputError(f"states of {states.layers} layers for an encoder of {len(layers)}")
    if not 1 <= layer <= len(layers):
        raise InputError(f"layer {layer}: expected 1 to {len(layers)}")
    attention, kind = layers[layer - 1].attention, _kind(encoder)
    if kind == "MPNetModel":
        raise InputError(
            "an MPNetModel adds a bias of distances to its attention scores, which no student of "
            "another kind has; use losses on scores or on hidden states"
        )
    if kind == "DistilBertModel":
        return attention.q_lin, attention.k_lin, attention.v_lin
    return attention.self.query, attention.self.key, attention.self.value


def _layers(encoder: Any) -> Any:
    if _kind(encoder) == "DistilBertModel":
        return encoder.transformer.layer
    return encoder.encoder.layer


def _kind(encoder: Any) -> str:
    names = [kind.__name__ for kind in type(encoder).__mro__]
    for name in KINDS:
        if name in names:
            return name
    raise InputError(f"{type(encoder).__name__}: expected one of {', '.join(KINDS)}")
