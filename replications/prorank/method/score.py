"""The relevance score s = z("1") - z("0"): the logits of the two answers after the prompt.

The released code (mxbai_rerank_v2.py, forward) computes the logits of the whole vocabulary at
every position and keeps two of them. `score_pairs_plain` does that. `PairScorer` computes the same
number from the last hidden state h: s = h . (w1 - w0), w being rows of the model's own head, so
nothing is added to the model and no vocabulary projection is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import numpy as np

from ir_replications.prorank.method.causal import (
    accepts,
    context_of,
    evaluating,
    model_inputs,
    unwrapped,
)
from ir_replications.prorank.method.prompt import (
    MAX_LENGTH,
    Pairs,
    PromptTokenizer,
    answer_ids,
)
from ir_replications.shared.errors import InputError

BATCH_SIZE = 32  # the released code's
BATCH_TOKENS = 65_536  # long documents: fewer rows, so that a batch stays this small

# Half of the released "estimated max logit of positive pairs" (9 and 12), by exact model name.
MIDPOINTS: Mapping[str, float] = MappingProxyType(
    {"mixedbread-ai/mxbai-rerank-base-v2": 4.5, "mixedbread-ai/mxbai-rerank-large-v2": 6.0}
)


def logit_difference(logits: Any, id0: int, id1: int) -> Any:
    """s = z1 - z0 of logits (..., V): a float32 tensor (...), subtracted in float32.

    It is the log-odds log P("1") - log P("0"), whatever the other logits are. The caption of the
    paper's figure 2 says "sums up": z1 + z0 would not order documents by relevance.
    """
    return logits[..., id1].float() - logits[..., id0].float()


def p_one(scores: Any) -> np.ndarray:
    """P("1") of the two answers alone, the sigmoid of s: float64 of the same shape.

    For display; ranks come from s. In bfloat16 it is exactly 1 from s = 6.25 on.
    """
    from scipy.special import expit

    return expit(np.asarray(scores, dtype=np.float64))


def normalise(scores: Any, midpoint: float | str) -> np.ndarray:
    """sigmoid(s - midpoint), float64 of the same shape: the released `normalize=True`.

    `midpoint` is the score that becomes 0.5, or the exact name of a released model. The released
    code takes the large model's value for every other name, the path of a local copy of the base
    model included, without a word; here another name is an InputError.
    """
    if isinstance(midpoint, str):
        if midpoint not in MIDPOINTS:
            raise InputError(
                f"no midpoint is known for {midpoint!r}; pass the score that should become 0.5 "
                f"(4.5 for the base model, 6.0 for the large one), or one of {', '.join(MIDPOINTS)}"
            )
        midpoint = MIDPOINTS[midpoint]
    return p_one(np.asarray(scores, dtype=np.float64) - midpoint)


def score_pairs_plain(
    model: Any,
    tokenizer: Any,
    pairs: Pairs,
    *,
    max_length: int = MAX_LENGTH,
    batch_size: int = BATCH_SIZE,
    instruction: str | None = None,
) -> np.ndarray:
    """Scores of (query, document) pairs, float32 (n,), the released way: for comparison.

    All logits at every position, batches in the order of the pairs. Raises InputError as
    PairScorer does.
    """
    import torch

    id0, id1 = answer_ids(tokenizer)
    prompts = PromptTokenizer(tokenizer, max_length, context_of(model))
    scores = np.empty(len(pairs), dtype=np.float32)
    with torch.inference_mode(), evaluating(model):
        for start in range(0, len(pairs), batch_size):
            rows = prompts.encode_pairs(pairs[start : start + batch_size], instruction)
            logits = model(**model_inputs(model, rows, prompts.pad_id), use_cache=False).logits
            found = logit_difference(logits[:, -1], id0, id1)
            scores[start : start + batch_size] = found.cpu().numpy()
    return finite(scores, pairs)


class PairScorer:
    """Scores (query, document) pairs with a causal language model.

    The last hidden state alone meets the head, and only the difference of its two rows, in
    float32; pairs of like length share a batch; tokens that a whole batch begins with (template,
    and the query where many documents share one) are computed once. `bf16` computes the states in
    bfloat16. The weights are read at every call, so the model may be trained in between. `task` is
    what the prompt asks.

    `path` is "row", or "logits" where a trial shows that the head is not a plain product of
    weights and states (LoRA on the head, capped or scaled logits, quantised heads): then the
    logits of the last position are computed, for every token but with the same result. Works with
    LoRA adapters of peft, merged or not.

    Raises InputError for a tokenizer without tokens for "0" and "1", a model without a language
    head, peft's prompt-learning methods, and a prompt that leaves no room for a document.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_length: int = MAX_LENGTH,
        batch_size: int = BATCH_SIZE,
        bf16: bool = False,
        share_prefix: bool = True,
        task: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size {batch_size}: expected a positive number of pairs")
        self.model, self.tokenizer = model, tokenizer
        self.batch_size, self.bf16 = batch_size, bf16
        self.ids = answer_ids(tokenizer)
        self.prompts = PromptTokenizer(tokenizer, max_length, context_of(model), task)
        self.path = "logits"
        self.path = self._find_path()
        self.share_prefix = share_prefix and self._can_share()

    def score(self, pairs: Pairs, instruction: str | None = None) -> np.ndarray:
        """s of each pair, float32 (n,), in the order of the pairs.

        An empty query or document gets a score like any other; texts beyond the context are cut
        as prompt.py says. Raises InputError, naming the pair, where a score is not finite.
        """
        return self._score(pairs, instruction, None)

    def cut(self, pairs: Pairs, instruction: str | None = None) -> np.ndarray:
        """Whether each pair loses tokens to `max_length` or the model's context: bool (n,)."""
        return self.prompts.cut(pairs, instruction)

    def score_with_states(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n,) and the last hidden states (n, d) that the head turns into them, float32.

        Raises InputError on path "logits", which has no such states, and as `score` does.
        """
        if self.path != "row":
            raise InputError("this model's head is no plain product: it has no states to compare")
        states = np.empty((len(pairs), self._head().weight.shape[1]), dtype=np.float32)
        return self._score(pairs, None, states), states

    def _score(
        self, pairs: Pairs, instruction: str | None, states: np.ndarray | None
    ) -> np.ndarray:
        import torch

        rows = self.prompts.encode_pairs(pairs, instruction)
        scores = np.empty(len(rows), dtype=np.float32)
        with torch.inference_mode(), evaluating(self.model):
            for chosen in plan_batches(rows, [query for query, _ in pairs], self.batch_size):
                batch = [rows[i] for i in chosen]
                found = self._last(batch, common_prefix(batch) if self.share_prefix else 0)
                if states is not None:
                    states[chosen] = found.float().cpu().numpy()
                scores[chosen] = self._scores_of(found).cpu().numpy()
        return finite(scores, pairs)

    def _scores_of(self, found: Any) -> Any:
        id0, id1 = self.ids
        if self.path == "logits":
            return logit_difference(found, id0, id1)
        head = self._head()
        weights = head.weight[[id0, id1]].to(found.device).float()
        scores = found.float() @ (weights[1] - weights[0])
        if head.bias is not None:
            scores = scores + (head.bias[id1].float() - head.bias[id0].float()).to(found.device)
        return scores

    def _head(self) -> Any:
        return unwrapped(self.model).get_output_embeddings()

    def _last(self, rows: list[list[int]], shared: int = 0) -> Any:
        """States (n, d) or, on path "logits", logits (n, V) of each row's last token."""
        causal = unwrapped(self.model)
        options: dict[str, Any] = {"use_cache": False}
        run = causal.get_decoder() if self.path == "row" else self.model
        if self.path == "logits" and accepts(causal, "logits_to_keep"):
            options["logits_to_keep"] = 1
        with self._precision():
            if shared:
                first = [rows[0][:shared]]
                prefix = model_inputs(self.model, first, self.prompts.pad_id, multiple=1)
                past = run(**prefix, **(options | {"use_cache": True})).past_key_values
                past.batch_repeat_interleave(len(rows))
                options |= {"past_key_values": past, "use_cache": True}
            out = run(**self._inputs(rows, shared), **options)
        return (out.last_hidden_state if self.path == "row" else out.logits)[:, -1]

    def _inputs(self, rows: list[list[int]], shared: int = 0) -> dict[str, Any]:
        return model_inputs(self.model, rows, self.prompts.pad_id, shared)

    def _precision(self) -> Any:
        import torch

        device = unwrapped(self.model).device.type
        return torch.autocast(device, torch.bfloat16) if self.bf16 else nullcontext()

    def _find_path(self) -> str:
        """The path "row" where the head's product with the state is the model's own logits."""
        import torch

        causal, probe = unwrapped(self.model), [self.prompts.encode("", "")[-8:]]
        with torch.inference_mode(), evaluating(self.model):
            with self._precision():
                logits = getattr(self.model(**self._inputs(probe)), "logits", None)
            if logits is None or logits.ndim != 3 or logits.shape[-1] <= max(self.ids):
                name = type(causal).__name__
                raise InputError(f"{name} gives no logits of a vocabulary; load a causal LM")
            head = causal.get_output_embeddings()
            if type(head) is not torch.nn.Linear or not hasattr(causal, "get_decoder"):
                return "logits"
            if head.weight.shape != (logits.shape[-1], head.in_features):  # weights elsewhere
                return "logits"
            self.path = "row"
            try:
                state = self._last(probe)
            except (AttributeError, TypeError):  # a decoder of another kind
                return "logits"
            with self._precision():
                own = head(state)
            # Half precision rounds products to 3 digits; the rounding itself is the same in both.
            return "row" if self._near(own, logits[:, -1], 1e-5, 2e-3) else "logits"

    def _can_share(self) -> bool:
        """Whether prefixes computed once give the states of whole rows: full attention only."""
        import torch

        config = unwrapped(self.model).config
        layers = set(getattr(config, "layer_types", None) or ["full_attention"])
        if layers != {"full_attention"} or getattr(config, "sliding_window", None):
            return False  # a window would count the padding between prefix and rest
        ids = self.prompts.encode("", "")
        rows = [ids[:9], ids[:4] + ids[-2:]]
        with torch.inference_mode(), evaluating(self.model):
            try:
                together = self._last(rows, shared=4)
            except (AttributeError, TypeError):  # no cache, or one of another kind
                return False
            apart = self._last(rows)
            return self._near(together, apart, 1e-4, 5e-2)

    def _near(self, a: Any, b: Any, single: float, half: float) -> bool:
        """Whether the mean difference is below a share of the mean size, by precision."""
        share = half if self.bf16 or b.element_size() == 2 else single
        a, b = a.float(), b.float()
        return float((a - b).abs().mean()) <= share * float(b.abs().mean())


def plan_batches(
    rows: Sequence[Sequence[int]], queries: Sequence[str], batch_size: int
) -> Iterator[list[int]]:
    """Indices of the rows of each batch: like lengths together, the longest first.

    Where the queries have half a batch of rows or more on average, a batch holds one query only.
    """
    places = {query: i for i, query in enumerate(dict.fromkeys(queries))}
    apart = len(rows) >= len(places) * max(batch_size // 2, 2)
    group = [places[query] if apart else 0 for query in queries]
    order = sorted(range(len(rows)), key=lambda i: (group[i], -len(rows[i])))
    batch: list[int] = []
    for i in order:
        room = min(batch_size, BATCH_TOKENS // len(rows[batch[0]])) if batch else batch_size
        if batch and (len(batch) >= room or group[i] != group[batch[0]]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def common_prefix(rows: list[list[int]]) -> int:
    """How many first tokens to compute once for the batch; 0 where it saves under an eighth.

    A shared prefix needs a cache of keys and values, which long prompts are better without.
    """
    longest, shared = max(map(len, rows)), 0
    first, last = min(rows), max(rows)  # what these two share, all rows between them share
    while shared < len(first) - 1 and first[shared] == last[shared]:
        shared += 1
    return shared if len(rows) > 1 and 8 * shared >= longest else 0


def finite(scores: np.ndarray, pairs: Pairs) -> np.ndarray:
    """The scores as they are; InputError, naming the first pair, where one is not finite."""
    for i in np.flatnonzero(~np.isfinite(scores))[:1]:
        raise InputError(
            f"pair {i + 1} (query {pairs[i][0]!r:.60}): the score is {scores[i]}; check the "
            "model's weights, or score in float32"
        )
    return scores
