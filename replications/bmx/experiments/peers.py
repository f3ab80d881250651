"""Other search libraries behind one call each, over the same token ids: the peers of the grid."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from ir_replications.bmx.experiments.authors_code import authors_code
from ir_replications.shared.analysis import Tokens

# Queries of one turn, for peers that take milliseconds a query; they are the first ones.
FEW = 10
# Documents up to which peers that hold Python objects per document are asked.
MOST_DOCUMENTS = 50_000

Search = Callable[[Sequence[Sequence[str]], int], object]


def installed_peers(corpus: Tokens) -> dict[str, Search]:
    """Indexes the corpus with every peer that is installed; name and version -> search.

    Searches take lists of tokens and k. None for collections above MOST_DOCUMENTS.
    """
    if len(corpus) > MOST_DOCUMENTS:
        return {}
    makers = (_tantivy, _rank_bm25, _baguetter)
    found = (make(corpus) for make in makers)
    return {name: search for name, search in filter(None, found)}


def _missing(module: str) -> bool:
    return importlib.util.find_spec(module) is None


def _version(package: str) -> str:
    from importlib.metadata import version

    return f"{package} {version(package)}"


def _tantivy(corpus: Tokens) -> tuple[str, Search] | None:
    """Tantivy (Rust): BM25 over one segment in memory, tokens split at blanks."""
    if _missing("tantivy"):
        return None
    import tantivy

    builder = tantivy.SchemaBuilder()
    # An id as a word, since tokens may hold marks that its query language reads.
    builder.add_text_field("body", stored=False, tokenizer_name="whitespace", index_option="freq")
    index = tantivy.Index(builder.build())
    writer = index.writer(num_threads=1)
    word = {token: f"t{i}" for i, token in enumerate(corpus.vocab)}
    for tokens in corpus:
        writer.add_document(tantivy.Document(body=" ".join(word[t] for t in tokens)))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def search(queries: Sequence[Sequence[str]], k: int) -> object:
        texts = [" ".join(word[t] for t in query if t in word) for query in queries]
        return [searcher.search(index.parse_query(t, ["body"]), k, count=False) for t in texts]

    return _version("tantivy"), search


def _rank_bm25(corpus: Tokens) -> tuple[str, Search] | None:
    """rank-bm25: pure Python and NumPy over dictionaries."""
    if _missing("rank_bm25"):
        return None
    import numpy as np
    import rank_bm25

    model = rank_bm25.BM25Okapi(list(corpus))

    def best(query: Sequence[str], k: int) -> Any:
        scores = model.get_scores(list(query))
        return np.argsort(-scores)[:k]

    return _version("rank-bm25"), lambda queries, k: [best(q, k) for q in queries]


def _baguetter(corpus: Tokens) -> tuple[str, Search] | None:
    """The authors' BMX."""
    model = authors_code()
    if model is None:
        return None
    model.index(list(corpus))
    return _version("baguetter"), model.retrieve
