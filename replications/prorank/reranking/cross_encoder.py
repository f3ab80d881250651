"""Scores of cross-encoders, the rerankers that the released ones are compared with.

An encoder reads query and document together and a head of one label gives the score, as
bge-reranker-v2-m3 and mxbai-rerank-large-v1 do. No prompt, no instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ir_replications.prorank.method.causal import evaluating
from ir_replications.prorank.method.prompt import Pairs
from ir_replications.prorank.method.score import BATCH_SIZE, finite, plan_batches
from ir_replications.shared.errors import InputError
from ir_replications.shared.models.references import load_cross_encoder

__all__ = ["CrossEncoderScorer", "load_cross_encoder"]

MAX_LENGTH = 512  # tokens; the positions that most encoders have


class CrossEncoderScorer:
    """Scores (query, document) pairs with a sequence classifier of one label.

    `max_length` limits query, document and special tokens; the positions of the model and the
    tokenizer's own limit lower it. Only the document is cut, at its end; where the query leaves it
    no token, the longer of the two is cut first. Pairs of like length share a batch. `bf16`
    computes the states in bfloat16; the last product is in float32 in any case.

    Raises InputError for a model of more labels than one, a tokenizer that cannot pad, and a
    length without room for a token of each text.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_length: int = MAX_LENGTH,
        batch_size: int = BATCH_SIZE,
        bf16: bool = False,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size {batch_size}: expected a positive number of pairs")
        if (labels := model.config.num_labels) != 1:
            raise InputError(f"the model has {labels} labels; expected 1, the relevance score")
        if tokenizer.pad_token is None:
            raise InputError("the tokenizer has no padding token; expected a cross-encoder's")
        self.model, self.tokenizer, self.batch_size, self.bf16 = model, tokenizer, batch_size, bf16
        limits = (max_length, positions_of(model), tokenizer.model_max_length)
        self.max_length = min(int(limit) for limit in limits if limit is not None)
        self._room = self.max_length - tokenizer.num_special_tokens_to_add(pair=True)
        if self._room < 2:
            raise InputError(
                f"max_length {self.max_length} leaves {max(self._room, 0)} tokens for query and "
                "document; expected 2 or more"
            )

    def score(self, pairs: Pairs) -> np.ndarray:
        """The raw logit of each pair, float32 (n,), in the order of the pairs.

        Raises InputError, naming the pair, where a text is not a text or a score is not finite.
        """
        import torch

        rows = self.encode_pairs(pairs)
        lengths = [row["input_ids"] for row in rows]
        scores = np.empty(len(rows), dtype=np.float32)
        with torch.inference_mode(), evaluating(self.model), float32_head(self.model):
            # Without their queries: batches of one query share nothing here.
            for chosen in plan_batches(lengths, [""] * len(rows), self.batch_size):
                scores[chosen] = self._score_rows([rows[i] for i in chosen])
        return finite(scores, pairs)

    def cut(self, pairs: Pairs) -> np.ndarray:
        """Whether each pair loses tokens to `max_length`: bool (n,)."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        if not texts:
            return np.zeros(0, dtype=bool)
        made = self._tokens(texts, add_special_tokens=False)["input_ids"]
        length = {text: len(ids) for text, ids in zip(texts, made, strict=True)}
        return np.array([length[query] + length[text] > self._room for query, text in pairs])

    def encode_pairs(self, pairs: Pairs) -> list[dict[str, list[int]]]:
        """The tokenizer's inputs for each pair, cut but not padded, in the order of the pairs."""
        for number, pair in enumerate(pairs, start=1):
            for kind, text in zip(("query", "document"), pair, strict=True):
                if not isinstance(text, str):
                    name = type(text).__name__
                    raise InputError(f"pair {number}: the {kind} is {name}, expected a text")
        queries = list(dict.fromkeys(query for query, _ in pairs))
        alone = self._tokens(queries, add_special_tokens=False)["input_ids"] if queries else []
        too_long = {q for q, ids in zip(queries, alone, strict=True) if len(ids) >= self._room}
        rows: list[dict[str, list[int]]] = [{} for _ in pairs]
        for truncation in ("only_second", "longest_first"):
            chosen = [
                i
                for i, (q, _) in enumerate(pairs)
                if (q in too_long) == (truncation != "only_second")
            ]
            if not chosen:
                continue
            first, second = zip(*(pairs[i] for i in chosen), strict=True)
            made = self._tokens(
                list(first), list(second), truncation=truncation, max_length=self.max_length
            )
            for place, i in enumerate(chosen):
                rows[i] = {name: values[place] for name, values in made.items()}
        return rows

    def _tokens(self, *texts: list[str], **options: Any) -> Any:
        try:  # padding off: some tokenizers carry a length of their own
            return self.tokenizer(*texts, padding=False, verbose=False, **options)
        except TypeError as error:  # what the tokenizer says of half a surrogate pair
            raise InputError("a query or document is not valid Unicode; clean it") from error

    def _score_rows(self, rows: list[dict[str, list[int]]]) -> np.ndarray:
        import torch

        device = self.model.device
        inputs = self.tokenizer.pad(rows, padding=True, return_tensors="pt").to(device)
        half = torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with half:
            logits = self.model(**inputs).logits
        if tuple(logits.shape) != (len(rows), 1):
            raise InputError(f"{len(rows)} pairs have logits {tuple(logits.shape)}; expected one")
        return logits[:, 0].float().cpu().numpy()


def positions_of(model: Any) -> int | None:
    """The tokens that a model's table of absolute positions has room for, None without a table.

    Models like RoBERTa count from the padding's id on: 514 positions are 512 tokens.
    """
    import torch

    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            used = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - used
    return None


@contextmanager
def float32_head(model: Any) -> Iterator[None]:
    """Compute the product that gives the score in float32; bfloat16 would make ties of scores.

    Without effect where the score is not one linear layer's, or float32 already.
    """
    import torch

    heads = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1]

    def product(head: Any, inputs: tuple[Any, ...], _: Any) -> Any:
        (state,) = inputs
        bias = None if head.bias is None else head.bias.float()
        with torch.autocast(state.device.type, enabled=False):
            return torch.nn.functional.linear(state.float(), head.weight.float(), bias)

    handle = heads[0].register_forward_hook(product) if len(heads) == 1 else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
