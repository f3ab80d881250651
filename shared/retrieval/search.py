"""Search with any first-stage retriever: what one is, one by name, and its results as a run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from ir_replications.shared.analysis import Tokens
from ir_replications.shared.analysis.tokens import check_token_list
from ir_replications.shared.errors import InputError, InputWarning, MissingDependencyError
from ir_replications.shared.retrieval.runs import Run, canonical

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "ir_replications.retrievers"
"""Entry points of this group are retrievers by name; any installed package may add some."""


class Retriever(Protocol):
    """A first-stage retriever over an analysed corpus; documents are numbered in corpus order."""

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> Self:
        """Index the corpus and return self."""
        ...

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """Document numbers (Q, k) and scores (Q, k), best first, ties by document number.

        A document without any query term is never returned; slots left over hold -1 and 0.0.
        """
        ...

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        """Scores of all documents for one query, float64 (n_docs,)."""
        ...


NO_TOKENS = (
    "none of the documents has a token, so nothing matches: was the analyzer made for their script?"
)


_PADDED = 65536


def result_width(k: int, n_docs: int) -> int:
    """The columns of the results for `k`: k, and n_docs where k is beyond both that and 65,536.

    Raises InputError for a `k` that is no whole number of at least 1.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k = {repr(k)[:30]}: expected a whole number of at least 1")
    return int(k) if k <= _PADDED else min(int(k), max(n_docs, 1))


def query_lists(queries: Any) -> Sequence[Sequence[str]]:
    """Queries of any accepted shape as token lists; warns where not one has a token.

    Accepts lists of tokens, `Tokens` and bm25s `Tokenized`. Raises InputError for a text or
    another thing in the place of the list.
    """
    if hasattr(queries, "ids") and hasattr(queries, "vocab"):
        found: Sequence[Sequence[str]] = list(Tokens.of(queries))
    elif isinstance(queries, str | bytes) or not isinstance(queries, Iterable):
        shown = repr(queries)[:40]
        raise InputError(f"queries {shown}: expected a list of queries, each a list of tokens")
    else:
        found = list(queries)
    for position, query in enumerate(found):
        check_token_list(query, f"query {position}: ")
    warn_without_tokens(len(found), sum(map(len, found)))
    return found


def warn_without_tokens(n_queries: int, n_tokens: int) -> None:
    """Warn where there are queries and not one has a token."""
    if n_queries and not n_tokens:
        warnings.warn(
            f"none of {n_queries} queries has a token, so nothing matches: was the analyzer made "
            "for their script?",
            InputWarning,
            stacklevel=4,
        )


def retriever_names() -> list[str]:
    """Names that `named_retriever` knows, sorted."""
    return sorted(_retrievers(tuple(sys.path)))


def named_retriever(name: str, **options: Any) -> Any:
    """A new retriever by the name of its entry point in GROUP, made with `options`.

    All are a `Retriever` but "lucene", which takes texts (lucene.LuceneBM25). Raises
    InputError for an unknown name, for one that two packages claim and for an option it does not
    have; MissingDependencyError when its module needs a package that is not installed.
    """
    known = _retrievers(tuple(sys.path))
    if not isinstance(name, str) or name not in known:
        listed = ", ".join(sorted(known)) or "none; install this package: pip install -e ."
        raise InputError(f"no retriever named {name!r}; the retrievers are: {listed}")
    target, *others = {point.value: point for point in known[name].values()}.values()
    if others:
        raise InputError(
            f"the name {name!r} is claimed by the packages {', '.join(sorted(known[name]))}; "
            "uninstall all but one"
        )
    try:
        make = target.load()
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            f"retriever {name!r} ({target.value}) cannot be loaded: {error}"
        ) from error
    try:
        return make(**options)
    except TypeError as error:
        raise InputError(f"retriever {name!r}: {error}; correct its options") from error


@cache
def _retrievers(path: tuple[str, ...]) -> dict[str, dict[str, EntryPoint]]:
    """Name -> package -> entry point; the first of two installations of a package counts.

    `importlib.metadata.entry_points` would read the first alone, and a checkout may hold metadata
    older than its own installation.
    """
    from importlib.metadata import distributions

    found: dict[str, dict[str, EntryPoint]] = {}
    for package in distributions(path=list(path)):
        for point in package.entry_points.select(group=GROUP):
            found.setdefault(point.name, {}).setdefault(package.name, point)
    return found


def search(
    retriever: Retriever,
    doc_ids: Sequence[str],
    topics: Mapping[str, Sequence[str]],
    k: int = 100,
    *,
    drop_own_id: bool = True,
    excluded: Mapping[str, Collection[str]] | None = None,
) -> Run:
    """Retrieve up to `k` documents for each analysed topic, `{qid: tokens}`, in canonical order.

    `doc_ids` names the indexed documents and must be sorted ascending, so that the retriever's
    ties at rank k fall as in a run file. `drop_own_id` removes the document whose id is the
    query's (ArguAna, PyDocs); `excluded` maps a query id to documents to remove (BRIGHT's excluded
    ids). More documents are fetched first, so that `k` are left after the removal.
    """
    if isinstance(doc_ids, str) or not isinstance(doc_ids, Sequence | np.ndarray):
        raise InputError(f"document ids: {type(doc_ids).__name__}, expected a list of texts")
    for position, docid in enumerate(doc_ids):
        if not isinstance(docid, str):
            raise InputError(f"document id {position} is {type(docid).__name__}, expected a text")
    for what, given in (("topics", topics), ("excluded", excluded or {})):
        if not isinstance(given, Mapping):
            raise InputError(f"{what}: {type(given).__name__}, expected a mapping by query id")
    k = result_width(k, len(doc_ids))
    numbers = {docid: number for number, docid in enumerate(doc_ids)}
    if len(numbers) != len(doc_ids) or any(left > right for left, right in pairwise(doc_ids)):
        raise InputError("document ids must be distinct and sorted ascending before indexing")
    hidden: dict[str, set[str]] = {}
    for qid in topics:
        unwanted = set((excluded or {}).get(qid, ()))
        if drop_own_id:
            unwanted.add(qid)
        hidden[qid] = {docid for docid in unwanted if docid in numbers}
    run: Run = {}
    for extra, qids in _by_extra(hidden).items():
        depth = min(k + extra, len(doc_ids))
        found, scores = retriever.retrieve([topics[qid] for qid in qids], k=depth)
        for qid, row, values in zip(qids, np.asarray(found), np.asarray(scores), strict=True):
            kept = [
                (doc_ids[number], value)
                for number, value in zip(row.tolist(), values.tolist(), strict=True)
                if number >= 0 and doc_ids[number] not in hidden[qid]
            ]
            run[qid] = kept[:k]
    return canonical({qid: run[qid] for qid in topics})


def _by_extra(hidden: Mapping[str, Collection[str]]) -> dict[int, list[str]]:
    """Group queries by how many more documents to fetch, rounded up to a power of two.

    One query with thousands of exclusions must not deepen the search of all the others, and
    one call per distinct count would be many small calls.
    """
    groups: dict[int, list[str]] = {}
    for qid, documents in hidden.items():
        extra = 1 << (len(documents) - 1).bit_length() if documents else 0
        groups.setdefault(extra, []).append(qid)
    return groups
