"""Rewrite texts from Python: `Rewriter(model).rewrite(queries)`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from ir_replications.shared.errors import InputError, InputWarning
from ir_replications.tongsearch_qr.rewriting.rewriter import RELEASED, combine, make_rewriter


class Rewriter:
    """A language model that turns queries into what is searched for, in the paper's words.

    `model` is a reference (shared.models.references: "embedded:<name>", a folder,
    "hub:<org>/<name>@<revision>"), `adapter` the final/ folder of a training
    (`replicate train tongsearch_qr`). `mode` is "replace", as the paper does, or "append": the
    query, then what the model wrote. Sampling is the released one (temperature 0.7, one text per
    distinct query, fixed by `seed`); `greedy` takes the likeliest token instead. A text has at most
    `max_new_tokens` tokens. `options` are those of `make_rewriter`: `prompt`, `think`, `cache`,
    `backend` ("vllm" on a GPU), `dtype`, `device`, `batch_size`. Texts are kept in the cache: a
    killed call resumes. The model is loaded by the first call.

    Raises InputError for an unknown model, an adapter of another one, and impossible settings.
    """

    def __init__(
        self,
        model: str,
        adapter: Path | str | None = None,
        *,
        mode: str = "replace",
        greedy: bool = False,
        max_new_tokens: int = RELEASED.max_new_tokens,
        seed: int = RELEASED.seed,
        **options: Any,
    ) -> None:
        combine("", "", mode)  # refuses an unknown mode before anything is loaded
        sampling = replace(RELEASED, max_new_tokens=max_new_tokens, seed=seed)
        if greedy:
            sampling = replace(sampling, temperature=0.0, top_p=1.0, top_k=0)
        self.mode = mode
        self._rewriter = make_rewriter(model, adapter=adapter, sampling=sampling, **options)

    @overload
    def rewrite(self, queries: Mapping[str, str]) -> dict[str, str]: ...
    @overload
    def rewrite(self, queries: Sequence[str]) -> list[str]: ...

    def rewrite(self, queries: Mapping[str, str] | Sequence[str]) -> dict[str, str] | list[str]:
        """The rewritten queries: a list for a list, {id: text} for {id: text}, in their order.

        A query for which the model writes nothing stays as it is; the end of one that is too long
        for the model's context is not read. An InputWarning counts both. What is written for a
        query does not depend on the others. Raises InputError for one text in the place of a list,
        what is no text, and an empty query.
        """
        if isinstance(queries, str) or not isinstance(queries, Mapping | Sequence):
            raise InputError(f"queries: {type(queries).__name__}, expected a list of texts")
        named = isinstance(queries, Mapping)
        pairs = queries.items() if isinstance(queries, Mapping) else enumerate(queries)
        texts = {str(name): text for name, text in pairs}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise InputError(f"query {name!r} is {type(text).__name__}, expected a text")
        done = self._rewriter.rewrite(texts)
        for number, what in (
            (len(done.failed), "the model wrote nothing for them, and they stay as they are"),
            (done.counts["truncated_questions"], "their end is beyond the model's context"),
        ):
            if number:
                line = f"{number} of {len(texts)} queries: {what}"
                warnings.warn(line, InputWarning, stacklevel=2)
        found = {
            name: text if name in done.failed else combine(text, done.texts[name], self.mode)
            for name, text in texts.items()
        }
        return found if named else list(found.values())
