"""sentence-transformers' CrossEncoder with a ranker's own weights, for benchmarks and tests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from ir_replications.bert_distill_losses.ranker.model import Ranker


class _First(torch.nn.Module):
    """In a BERT's pooler's place: the state of [CLS] itself, which the ranker's head reads."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """The first of states (n, L, d)."""
        return hidden[:, 0]


def peer_of(ranker: Ranker, folder: Path, max_length: int) -> Any:
    """A CrossEncoder on the CPU that scores as this BERT ranker with the head "cls" does.

    It reads pairs of types "pair", cut to `max_length` tokens, and keeps its files in `folder`.
    """
    from sentence_transformers import CrossEncoder
    from transformers import BertForSequenceClassification

    config = copy.deepcopy(ranker.encoder.config)
    config.num_labels = 1
    classifier = BertForSequenceClassification(config)
    classifier.bert.load_state_dict(ranker.encoder.state_dict(), strict=False)  # all but the pooler
    classifier.classifier.weight.data.copy_(ranker.head.weight.detach()[None])
    classifier.classifier.bias.data.copy_(ranker.head.bias.detach()[None])
    classifier.save_pretrained(str(folder))
    ranker.tokenizer.save_pretrained(str(folder))
    peer = CrossEncoder(
        str(folder), num_labels=1, max_length=max_length, device="cpu", local_files_only=True,
        activation_fn=torch.nn.Identity(),
    )  # fmt: skip
    peer.model.bert.pooler = _First()
    return peer
