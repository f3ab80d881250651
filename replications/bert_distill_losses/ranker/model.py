"""The cross-encoder that teacher and students are: an encoder and a head of one score.

Both read "[CLS] query [SEP] document [SEP]" (tokens.py), which is what the paper's title calls a
uniform architecture. A student is the first layers of a pre-trained encoder, or layers taken from
the teacher.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ir_replications.bert_distill_losses.method.heads import HEADS, make_head
from ir_replications.bert_distill_losses.method.layer_losses import at_least_float32
from ir_replications.bert_distill_losses.method.states import (
    INPUTS,
    States,
    encode_states,
    layer_count,
)
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import load_encoder

__all__ = [
    "HEADS", "Ranker", "attention_for_training", "freeze_word_embeddings", "pretrained_ranker",
    "student_of",
]  # fmt: skip

Inputs = Mapping[str, torch.Tensor]


class Ranker(torch.nn.Module):
    """An encoder (BERT, DistilBERT, MPNet) and a head; scores are at least float32, always.

    `head` names one of HEADS and `seed` draws its starting weights. `tokenizer` is kept to be
    saved with the weights. The encoder's pooler is dropped: no score depends on it. Raises
    InputError for another head and another kind of encoder.
    """

    def __init__(self, encoder: Any, head: str, tokenizer: Any = None, seed: int = 0) -> None:
        super().__init__()
        layer_count(encoder)  # refuses other kinds of encoder
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None
        self.encoder, self.tokenizer, self.head_name = encoder, tokenizer, head
        self.head = make_head(head, encoder.config, seed)

    @property
    def layers(self) -> int:
        """Transformer layers, the embeddings not counted."""
        return layer_count(self.encoder)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Scores (n,) of a batch of tokens.py, moved to the device of the weights.

        Raises InputError for inputs that the head or the encoder cannot read.
        """
        inputs = self._checked(inputs)
        hidden = self.encoder(**{k: inputs[k] for k in INPUTS if k in inputs}).last_hidden_state
        return self._score(hidden, inputs)

    def forward_states(self, inputs: Inputs) -> tuple[torch.Tensor, States]:
        """Scores (n,) and the states of every layer; raises InputError as `forward` does."""
        inputs = self._checked(inputs)
        states = encode_states(self.encoder, inputs)
        return self._score(states.hidden[-1], inputs), states

    def _score(self, hidden: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head(at_least_float32(hidden), inputs)

    def _checked(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        for name in ("input_ids", "attention_mask", *self.head.masks):
            if name not in inputs:
                raise InputError(f"inputs without {name}, which the head {self.head_name!r} needs")
        config = self.encoder.config
        length, room = inputs["input_ids"].shape[-1], positions(config)
        if length > room:
            raise InputError(f"pairs of {length} tokens for a model of {room} positions; cut them")
        if "token_type_ids" in inputs and not getattr(config, "type_vocab_size", 0):
            raise InputError("this encoder has no token types; use types 'zero'")
        return {name: values.to(self.device) for name, values in inputs.items()}


def positions(config: Any) -> int:
    """The longest sequence of tokens that an encoder of this configuration reads."""
    numbered_from = config.pad_token_id + 1 if config.model_type == "mpnet" else 0
    return int(config.max_position_embeddings) - numbered_from


def pretrained_ranker(ref: str, head: str, layers: int | None = None, seed: int = 0) -> Ranker:
    """A ranker of the first `layers` layers of a pre-trained model, or of all.

    `ref` is a model reference (shared.models.references).

    In eval mode. Raises InputError for more layers than the model has, and as Ranker does.
    """
    encoder, tokenizer = load_encoder(ref)
    if layers is not None:
        found = layer_count(encoder)
        if not 1 <= layers <= found:
            raise InputError(f"{ref}: {layers} layers asked for; the model has 1 to {found}")
        _keep(encoder, range(layers))
    return Ranker(encoder, head, tokenizer, seed).eval()


def student_of(teacher: Ranker, layers: int) -> Ranker:
    """A copy of the teacher with its layers g(m) = m N / M, m = 1 to M, counted from 1.

    Embeddings, head and those layers are copies, all of them trainable; with M = N the student
    scores exactly as the teacher does. In eval mode. Raises InputError where M does not divide N.
    """
    found = teacher.layers
    if layers < 1 or found % layers:
        raise InputError(f"{layers} layers of a teacher of {found}: expected a divisor of {found}")
    step = found // layers
    tokenizer, teacher.tokenizer = teacher.tokenizer, None  # large, and never altered
    try:
        student = copy.deepcopy(teacher)
    finally:
        teacher.tokenizer = tokenizer
    student.tokenizer = tokenizer
    _keep(student.encoder, [step * m - 1 for m in range(1, layers + 1)])
    for parameter in student.parameters():
        parameter.grad = None
        parameter.requires_grad_(True)
    return student.eval()


def freeze_word_embeddings(ranker: Ranker) -> Ranker:
    """Leave the word embeddings out of training, in place; return the ranker.

    They are half of a small model's parameters. Give the optimiser only the parameters that
    require a gradient.
    """
    ranker.encoder.get_input_embeddings().weight.requires_grad_(False)
    return ranker


@contextmanager
def attention_for_training(ranker: Ranker) -> Iterator[None]:
    """On the CPU, attention step by step within the block: its gradients are the faster ones.

    The fused kernel is faster without gradients, and on a GPU in any case. Both compute the same
    scores up to rounding; with dropout they draw different numbers.
    """
    before = ranker.encoder.config._attn_implementation
    if ranker.device.type == "cpu":
        ranker.encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        ranker.encoder.set_attn_implementation(before)


def _keep(encoder: Any, kept: Sequence[int]) -> None:
    """Leave only these layers, counted from 0, in the encoder."""
    stack = encoder.transformer if hasattr(encoder, "transformer") else encoder.encoder
    stack.layer = torch.nn.ModuleList(stack.layer[i] for i in kept)
    encoder.config.num_hidden_layers = len(kept)
