"""The training reward: how much closer a reasoned query is to the positive documents.

r(q, q') = 10 / n * sum over the n positives d of [ rel(q', d) - rel(q, d) ], rel the cosine of
embeddings; -1 where the output holds no query (released code, scripts/train/reward.py).
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.models.embedder import Embedder
from ir_replications.tongsearch_qr.method.prompts import extract

SCALE = 10.0
FAILURE = -1.0
_REMEMBERED = 20_000  # texts whose vectors are kept: 60 MB at 768 dimensions


def increments(
    new: np.ndarray, base: np.ndarray, scale: float = SCALE, subtract_baseline: bool = True
) -> np.ndarray:
    """Rewards (G,) of G reasoned queries from cosines with n positives.

    `new` (G, n) are the cosines of the reasoned queries, `base` (n,) those of the original query.
    """
    gain = new - base if subtract_baseline else new
    return scale * gain.mean(axis=1)


class RelevanceReward:
    """The reward of outputs under a frozen embedding model; also a reward function for TRL.

    `failure` is the reward of an output without a query; with `think` the query is what stands in
    <answer> tags. `subtract_baseline=False` leaves rel(q, d) out, which changes no advantage while
    no output of the group fails. `counters` counts outputs: "scored", failures by kind ("empty",
    "tags missing"), and "repeats prompt" (scored as they are).
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        think: bool = False,
        scale: float = SCALE,
        failure: float = FAILURE,
        subtract_baseline: bool = True,
    ) -> None:
        self.__name__ = "relevance_reward"  # the name under which TRL logs it
        self.embedder = embedder
        self.think = think
        self.scale = scale
        self.failure = failure
        self.subtract_baseline = subtract_baseline
        self.counters: Counter[str] = Counter()
        self.seconds = 0.0  # spent in calls by TRL, for the share of a training step
        self._vectors: OrderedDict[str, np.ndarray] = OrderedDict()

    def __call__(
        self,
        prompts: Any = None,
        completions: Sequence[Any] = (),
        query: Sequence[str] = (),
        positives: Sequence[Any] = (),
        **ignored: Any,
    ) -> list[float]:
        """Score completions as TRL hands them over: strings, or lists of chat messages."""
        started = time.perf_counter()
        rewards = self.score(query, [text_of(each) for each in completions], positives)
        self.seconds += time.perf_counter() - started
        return rewards

    def score(
        self,
        queries: Sequence[str],
        outputs: Sequence[str],
        positives: Sequence[Sequence[str] | str],
    ) -> list[float]:
        """Rewards of the outputs, in their order; all three arguments are parallel.

        A single string of positives counts as one document. Raises InputError for arguments of
        different lengths, an output without positives, and embeddings that are not finite.
        """
        if not len(queries) == len(outputs) == len(positives):
            raise InputError(
                f"{len(queries)} queries, {len(outputs)} outputs, {len(positives)} lists of "
                "positives: expected as many of each"
            )
        wanted = [(d,) if isinstance(d, str) else tuple(d) for d in positives]
        for i, documents in enumerate(wanted):
            if not documents:
                raise InputError(f"output {i + 1}: no positive documents; expected at least one")
        found = [self._extracted(query, out) for query, out in zip(queries, outputs, strict=True)]
        rewards = [self.failure] * len(outputs)
        groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for i, text in enumerate(found):
            if text is not None:
                groups.setdefault((queries[i], wanted[i]), []).append(i)
        new = self._embed_outputs(found)
        # Sums in float64: a baseline that cancels in the advantages cancels to the last digits.
        for (query, documents), members in groups.items():
            d = np.stack([self._vector(text, "positive document") for text in documents])
            d = d.astype(np.float64)
            base = d @ self._vector(query, "query")
            cosines = np.stack([new[str(found[i])] for i in members]) @ d.T
            gains = increments(cosines, base, self.scale, self.subtract_baseline)
            for i, gain in zip(members, gains, strict=True):
                rewards[i] = float(gain)
        return rewards

    def _extracted(self, query: str, output: str) -> str | None:
        text = extract(output, think=self.think)
        if text is None:
            # An answer that is there once its tags have content was empty.
            filled = extract(output.replace("<answer>", "<answer>."), think=self.think)
            empty = filled is not None or extract(output) is None
            self.counters["empty" if empty else "tags missing"] += 1
            return None
        self.counters["scored"] += 1
        if query.strip() and query.strip() in text:
            self.counters["repeats prompt"] += 1
        return text

    def _embed_outputs(self, found: Sequence[str | None]) -> dict[str, np.ndarray]:
        """Embed the distinct texts in one batch; which one is not finite is named."""
        numbers: dict[str, int] = {}
        for i, text in enumerate(found):
            if text is not None:
                numbers.setdefault(text, i + 1)
        if not numbers:
            return {}
        vectors = self.embedder.encode(list(numbers))
        for vector, number in zip(vectors, numbers.values(), strict=True):
            _check(vector, f"output {number}")
        return dict(zip(numbers, vectors, strict=True))

    def _vector(self, text: str, kind: str) -> np.ndarray:
        """The vector of a query or document, embedded once.

        Each alone, not in a batch: its last bits then never depend on what else was new, and a
        resumed training computes the same rewards as one that was not interrupted.
        """
        if text in self._vectors:
            self._vectors.move_to_end(text)
            return self._vectors[text]
        vector = self.embedder.encode([text])[0]
        _check(vector, f"{kind} {text[:40]!r}")
        self._vectors[text] = vector
        if len(self._vectors) > _REMEMBERED:
            self._vectors.popitem(last=False)
        return vector


def text_of(completion: Any) -> str:
    """The text of a completion: a string, or the contents of its chat messages."""
    if isinstance(completion, str):
        return completion
    return "".join(str(message["content"]) for message in completion)


def _check(vector: np.ndarray, name: str) -> None:
    if not np.isfinite(vector).all():
        raise InputError(f"{name}: the embedding is not finite; check the embedding model")
