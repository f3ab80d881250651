"""All losses between the layers of a student and of its teacher, term by term."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ir_replications.bert_distill_losses.method import layer_losses, relation_losses
from ir_replications.bert_distill_losses.method.layer_losses import at_least_float32
from ir_replications.bert_distill_losses.method.layer_map import (
    CONVENTIONS,
    TERMS,
    last_layers,
    relation_heads,
    uniform_map,
)
from ir_replications.bert_distill_losses.method.states import (
    States,
    attention_scores,
    head_count,
    layer_count,
    queries_keys_values,
    scaled_products,
    width,
)
from ir_replications.shared.errors import InputError

Pair = tuple[States, States]
MAPPED = ("hidden", "attention", "cls", "pkd")  # one loss for each layer of the student
PROJECTED = ("embedding", "hidden", "cls", "pkd", "cosine")
ONE_HEAD_COUNT = ("attention", "minilm")


class LayerObjective(torch.nn.Module):
    """The losses named in `terms` between two encoders, and the projection that they need.

    embedding, hidden, attention: TinyBERT's; hidden and attention sum over the student's layers,
    each against the teacher's by the uniform map. cls, pkd: first token alone, summed likewise.
    cosine (DistilBERT), minilm, minilmv2: last layers only.

    The projection, student's width to teacher's, is one linear map for all layers, trained with
    the student and no part of it. Convention "tinybert": always there, with a bias. "valid":
    without a bias, and only where widths differ, or for `projection` "shared" always. It starts
    from a normal distribution of deviation 0.02, drawn from `seed` alone, so the numbers that
    torch draws for training do not depend on it. `convention` says how padding counts in
    embedding, hidden and attention (layer_losses).

    The encoders are read for the weights of their attention and are no part of this module. Raises
    InputError for unknown or repeated terms and where widths, heads or layers do not fit.
    """

    def __init__(
        self,
        terms: Sequence[str],
        student_encoder: Any,
        teacher_encoder: Any,
        convention: str = "valid",
        projection: str = "auto",
        heads: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check(terms, convention, projection)
        self.terms = tuple(terms)
        self.convention = convention
        # In a tuple, so that torch does not take the encoders for parts of this module.
        self._encoders = (student_encoder, teacher_encoder)
        counts = (layer_count(teacher_encoder), layer_count(student_encoder))
        needs = set(terms)
        self._map = uniform_map(*counts) if needs & set(MAPPED) else ()
        self._last = last_layers(*counts)
        ours, theirs = head_count(student_encoder), head_count(teacher_encoder)
        if needs & set(ONE_HEAD_COUNT) and ours != theirs:
            raise InputError(
                f"{ours} attention heads in the student and {theirs} in the teacher: "
                f"{' and '.join(t for t in terms if t in ONE_HEAD_COUNT)} expects as many in both"
            )
        widths = (width(student_encoder), width(teacher_encoder))
        if "minilmv2" in needs:
            self._heads = relation_heads(widths[1], widths[0], heads)
        self.projection: torch.nn.Linear | None = None
        forced = convention == "tinybert" or projection == "shared"
        if needs & set(PROJECTED) and (forced or widths[0] != widths[1]):
            self.projection = _linear(*widths, bias=convention == "tinybert", seed=seed)

    def forward(self, student: States, teacher: States) -> dict[str, torch.Tensor]:
        """The loss of every term, without weights: term -> scalar.

        Both states must be of the same sequences. No gradient reaches the teacher. Raises
        InputError where masks or numbers of layers differ from what was announced.
        """
        if student.mask.shape != teacher.mask.shape:
            raise InputError(
                f"student's mask of {tuple(student.mask.shape)}, teacher's of "
                f"{tuple(teacher.mask.shape)}: expected states of the same sequences"
            )
        if (student.layers, teacher.layers) != self._last:
            raise InputError(
                f"states of {student.layers} student and {teacher.layers} teacher layers: "
                f"expected {self._last[0]} and {self._last[1]}"
            )
        found: dict[str, Callable[[Pair], torch.Tensor]] = {
            "embedding": lambda pair: self._hidden(pair, 0, 0),
            "hidden": lambda pair: self._sum(self._hidden, pair),
            "attention": lambda pair: self._sum(self._attention, pair),
            "cls": lambda pair: self._sum(self._cls, pair),
            "pkd": lambda pair: self._sum(self._pkd, pair),
            "cosine": self._cosine,
            "minilm": self._minilm,
            "minilmv2": self._minilmv2,
        }
        return {term: found[term]((student, teacher)) for term in self.terms}

    def _sum(self, loss: Callable[[Pair, int, int], torch.Tensor], pair: Pair) -> torch.Tensor:
        """The loss of every student layer m with the teacher's g(m), added up."""
        return torch.stack([loss(pair, m, g) for m, g in enumerate(self._map, 1)]).sum()

    def _states(self, pair: Pair, m: int, g: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Student's layer m, projected where there is a projection, and teacher's layer g."""
        hidden = at_least_float32(pair[0].hidden[m])
        if self.projection is not None:
            hidden = self.projection(hidden)
        return hidden, pair[1].hidden[g].detach()

    def _hidden(self, pair: Pair, m: int, g: int) -> torch.Tensor:
        states = self._states(pair, m, g)
        return layer_losses.hidden_mse(*states, pair[0].mask, self.convention)

    def _cls(self, pair: Pair, m: int, g: int) -> torch.Tensor:
        return layer_losses.cls_mse(*self._states(pair, m, g))

    def _pkd(self, pair: Pair, m: int, g: int) -> torch.Tensor:
        return layer_losses.pkd(*self._states(pair, m, g))

    def _cosine(self, pair: Pair) -> torch.Tensor:
        return layer_losses.cosine(*self._states(pair, *self._last), pair[0].mask)

    def _attention(self, pair: Pair, m: int, g: int) -> torch.Tensor:
        scores = attention_scores(self._encoders[0], pair[0], m)
        with torch.no_grad():
            targets = attention_scores(self._encoders[1], pair[1], g)
        return layer_losses.attention_score_mse(scores, targets, pair[0].mask, self.convention)

    def _relations(self, pair: Pair) -> list[tuple[torch.Tensor, ...]]:
        """Queries, keys and values of the student's and of the teacher's last layer."""
        ours = queries_keys_values(self._encoders[0], pair[0], self._last[0])
        with torch.no_grad():
            theirs = queries_keys_values(self._encoders[1], pair[1], self._last[1])
        return [ours, theirs]

    def _minilm(self, pair: Pair) -> torch.Tensor:
        (query, key, value), (query_t, key_t, value_t) = self._relations(pair)
        scores, targets = scaled_products(query, key), scaled_products(query_t, key_t)
        mask = pair[0].mask
        return relation_losses.attention_transfer(
            scores, targets, mask
        ) + relation_losses.value_relation(value, value_t, mask)

    def _minilmv2(self, pair: Pair) -> torch.Tensor:
        ours, theirs = self._relations(pair)
        return relation_losses.multi_head_relations(ours, theirs, pair[0].mask, self._heads)


def _linear(inputs: int, outputs: int, *, bias: bool, seed: int) -> torch.nn.Linear:
    """A linear map as TinyBERT starts it: N(0, 0.02^2), bias 0; no global random number is used."""
    linear = torch.nn.utils.skip_init(torch.nn.Linear, inputs, outputs, bias=bias)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        linear.weight.normal_(0, 0.02, generator=generator)
        if bias:
            linear.bias.zero_()
    return linear


def _check(terms: Sequence[str], convention: str, projection: str) -> None:
    unknown = [term for term in terms if term not in TERMS]
    if unknown or not terms or len(set(terms)) < len(terms):
        raise InputError(f"terms {list(terms)}: expected some of {', '.join(TERMS)}, each once")
    if convention not in CONVENTIONS:
        raise InputError(f"convention {convention!r}: expected one of {', '.join(CONVENTIONS)}")
    if projection not in ("auto", "shared"):
        raise InputError(f'projection {projection!r}: expected "auto" or "shared"')
