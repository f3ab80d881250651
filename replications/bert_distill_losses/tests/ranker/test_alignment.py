"""A teacher's states at the student's positions, where each has tokens of its own."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_ranker import (
    WORDS,
    tiny_encoder,
    tiny_texts,
    tiny_tokenizer,
)
from ir_replications.bert_distill_losses.method.states import encode_states
from ir_replications.bert_distill_losses.ranker.alignment import aligned_states
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens, same_tokenizer

QUERIES, DOCUMENTS = tiny_texts(6, 9), [*tiny_texts(5, 30, seed=1), ""]
# The words in another order after the special tokens: other ids, as MPNet's are.
OTHER = (*WORDS[:4], *reversed(WORDS[4:]))
PAIRS = tuple(x.ravel() for x in np.mgrid[:6, :6])


def tokens_of(words: tuple[str, ...], gap: int) -> PairTokens:
    return PairTokens(tiny_tokenizer(words, gap=gap), QUERIES, DOCUMENTS, 6, 20)


@pytest.mark.parametrize(("mine", "theirs"), [(1, 2), (2, 1), (1, 1)])
def test_every_word_has_the_state_of_the_same_word(mine: int, theirs: int) -> None:
    student, teacher = tokens_of(WORDS, mine), tokens_of(OTHER, theirs)
    batch = student.batch(*PAIRS)
    encoder = tiny_encoder("MPNet", layers=2)
    found = aligned_states(encoder, teacher, *PAIRS, batch, student.special)
    assert [tuple(h.shape) for h in found.hidden] == [(*batch["input_ids"].shape, 32)] * 3
    assert torch.equal(found.mask, batch["attention_mask"])
    own = teacher.batch(*PAIRS)
    states = encode_states(encoder, own)
    for mask in ("query_mask", "document_mask"):
        words = [WORDS[i] for i in batch["input_ids"][batch[mask] > 0].tolist()]
        assert words == [OTHER[i] for i in own["input_ids"][own[mask] > 0].tolist()]
        for aligned, plain in zip(found.hidden, states.hidden, strict=True):
            assert torch.equal(aligned[batch[mask] > 0], plain[own[mask] > 0])
    last = batch["attention_mask"].sum(1) - 1
    rows = torch.arange(len(last))
    assert torch.equal(
        found.hidden[-1][rows, last], states.hidden[-1][rows, own["attention_mask"].sum(1) - 1]
    )
    assert torch.equal(found.hidden[-1][:, 0], states.hidden[-1][:, 0])


def test_the_same_ids_need_no_alignment_and_other_pieces_have_none() -> None:
    assert same_tokenizer(tiny_tokenizer(), tiny_tokenizer(types=False))
    assert not same_tokenizer(tiny_tokenizer(), tiny_tokenizer(OTHER, gap=2))
