"""Other search libraries behind one call each, over the same token ids: the peers of the grid."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from ir_replications.bmx.experiments.authors_code import authors_code
from ir_replications.bmx.experiments.lucene_peer import lucene_search
from ir_replications.bmx.experiments.pisa import pisa_module, pisa_search
from ir_replications.shared.analysis import Tokens
from ir_replications.shared.errors import MissingDependencyError

# Queries of one turn for peers of PURE_PYTHON, which take milliseconds a query: the first ones.
FEW = 10
# Documents up to which peers of PURE_PYTHON are asked.
MOST_DOCUMENTS = 50_000

Search = Callable[[Sequence[Sequence[str]], int], object]


class AbsentError(Exception):
    """Why a peer cannot be asked."""


def installed_peers(corpus: Tokens) -> tuple[dict[str, Search], dict[str, str]]:
    """Index the corpus with every peer that is installed: name and version -> search.

    Searches take lists of tokens and k. Second: name -> why it is absent, of all others.
    """
    found: dict[str, Search] = {}
    absent: dict[str, str] = {}
    for name, make in MAKERS.items():
        if name in PURE_PYTHON and len(corpus) > MOST_DOCUMENTS:
            absent[name] = f"asked up to {MOST_DOCUMENTS:,} documents only"
            continue
        try:
            label, search = make(corpus)
        except (AbsentError, MissingDependencyError) as reason:
            absent[name] = str(reason)
        except (ImportError, OSError) as error:  # half of it is installed, or for another machine
            absent[name] = f"cannot be loaded: {(str(error).splitlines() or ['no reason'])[0]}"
        else:
            found[label] = search
    return found, absent


def _need(module: str, install: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise AbsentError(f"not installed: {install}")


def _version(package: str) -> str:
    from importlib.metadata import version

    return f"{package} {version(package)}"


def _tantivy(corpus: Tokens) -> tuple[str, Search]:
    """Tantivy (Rust): BM25 over one segment in memory, tokens split at blanks."""
    _need("tantivy", "pip install tantivy")
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


def _rank_bm25(corpus: Tokens) -> tuple[str, Search]:
    """rank-bm25: pure Python and NumPy over dictionaries."""
    _need("rank_bm25", "pip install rank-bm25")
    import numpy as np
    import rank_bm25

    model = rank_bm25.BM25Okapi(list(corpus))

    def best(query: Sequence[str], k: int) -> Any:
        scores = model.get_scores(list(query))
        return np.argsort(-scores)[:k]

    return _version("rank-bm25"), lambda queries, k: [best(q, k) for q in queries]


def _baguetter(corpus: Tokens) -> tuple[str, Search]:
    """The authors' BMX."""
    model = authors_code()
    if model is None:
        raise AbsentError(
            "not installed: pip install --no-deps baguetter, pip install scikit-learn tqdm"
        )
    model.index(list(corpus))
    return _version("baguetter"), model.retrieve


def _pisa(corpus: Tokens) -> tuple[str, Search]:
    """PISA (C++): block-max MaxScore, which is made for short and long queries."""
    module = pisa_module()
    if module is None:
        raise AbsentError(
            "not installed: pip install --no-deps pyterrier-pisa, pip install tbb==2020.3.254"
        )
    return _version("pyterrier-pisa"), pisa_search(module, corpus)


MAKERS: dict[str, Callable[[Tokens], tuple[str, Search]]] = {
    "tantivy": _tantivy,
    "lucene": lucene_search,
    "pyterrier-pisa": _pisa,
    "rank-bm25": _rank_bm25,
    "baguetter": _baguetter,
}
# They hold Python objects for each document.
PURE_PYTHON = ("rank-bm25", "baguetter")
