"""States of a teacher that reads the student's words with tokens of its own.

MPNet cuts texts as a BERT does and numbers the pieces otherwise; between query and document it has
one separator more. Losses on layers compare states position by position, so the teacher's states
are taken at the student's positions; those of its second separator have no partner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ir_replications.bert_distill_losses.method.states import States, encode_states
from ir_replications.bert_distill_losses.ranker.tokens import PairTokens


def aligned_states(
    encoder: Any,
    tokens: PairTokens,
    query: np.ndarray,
    document: np.ndarray,
    student: Mapping[str, torch.Tensor],
    special: int,
) -> States:
    """The encoder's states of the pairs (query[i], document[i]) at the student's n x L positions.

    `tokens` are the encoder's own. `student` is the batch of the same pairs as the student reads
    them, with `special` special tokens each. Where it has padding the states are of some other
    position: the mask leaves them out.
    """
    mask = student["attention_mask"]
    own = {name: values.to(mask.device) for name, values in tokens.batch(query, document).items()}
    found = encode_states(encoder, own)
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    after = places > 1 + student["query_mask"].sum(1, keepdim=True)  # the first separator
    places = places + (tokens.special - special) * after
    places = places.clamp(max=own["input_ids"].shape[1] - 1)[..., None]
    return States(
        tuple(h.gather(1, places.expand(-1, -1, h.shape[-1])) for h in found.hidden), mask
    )
