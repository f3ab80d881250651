"""E11: why printed cells and ours round differently: one change of the preparation at a time.

The authors' table has six systems of Baguetter on SciFact and NFCorpus. Each cell of E11 prepares
texts and queries in one way, runs the six, and counts on how many the printed value comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ir_replications.bmx.experiments.e2_retrieval import DEPTH
from ir_replications.bmx.experiments.preparation import Split, splitter
from ir_replications.bmx.experiments.printed_tables import read_table
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import Tokens
from ir_replications.shared.analysis.nltk_stemmers import nltk_stemmer
from ir_replications.shared.errors import MissingDependencyError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.bm25 import BM25
from ir_replications.shared.retrieval.runs import Run, with_trec_eval_ties
from ir_replications.shared.retrieval.search import Retriever, search

COLUMNS = {"beir/scifact": "SciFact", "beir/nfcorpus": "NFCorpus"}
METHODS = {
    "Robertson": "robertson",
    "ATIRE": "atire",
    "BM25+": "bm25+",
    "BM25L": "bm25l",
    "BM25": "lucene",
}
RELEASED, SNOWBALL_2 = "NLTK's Snowball", "Snowball 2"
NONE = "none"
CHANGES = (
    NONE,
    "title and text with a blank between",
    "text alone",
    "33 stop words",
    "no stop words",
    "ampersands as they are",
    "quotes and dashes as they are",
    "dots of acronyms as blanks",
    "repeated query tokens once",
    "1,000 results",
    "ties by document id ascending",
    "zero scores kept",
    "sums in float64",
    "one idf for all",
)
HALF_DIGIT = 0.005 + 1e-9  # of a value printed with two decimals
MEASURE = "nDCG@10"


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Stemmers without a further change, then every change with the stemmer that agrees best."""
    if plan.tier != "small":
        return []
    prepared = [(stemmer, NONE) for stemmer in STEMMERS]
    prepared += [(SNOWBALL_2, change) for change in CHANGES if change != NONE]
    return [
        {"collection": name, "stemmer": stemmer, "change": change}
        for name in plan.collections
        if name in COLUMNS
        for stemmer, change in prepared
    ]


def run(config: Config, context: Context) -> Outcome:
    """nDCG@10 x 100 of the six systems, and how many round to what is printed."""
    name, change = config["collection"], config["change"]
    collection = context.collection(name)
    prepare = _preparation(config["stemmer"], change)
    title = {"title and text with a blank between": "space", "text alone": "omit"}
    texts = collection.contents(title.get(change, "newline"))
    tokens = Tokens.from_lists([prepare(text) for text in texts])
    split = collection.default_split
    topics = {qid: prepare(text) for qid, text in collection.topics(split).items()}
    if change == "repeated query tokens once":
        topics = {qid: list(dict.fromkeys(query)) for qid, query in topics.items()}
    depth = 1000 if change == "1,000 results" else DEPTH
    values = {}
    for system, retriever in _systems(change).items():
        found = search(retriever.index(tokens), collection.doc_ids, topics, depth)
        if change == "zero scores kept":
            found = _padded(found, collection.doc_ids)
        if change != "ties by document id ascending":
            found = with_trec_eval_ties(found)
        values[system] = 100 * evaluate(found, collection.qrels[split], [MEASURE]).means[MEASURE]
    printed = _printed(name)
    off = {system: abs(values[system] - printed[system]) for system in printed}
    return Outcome(
        facts={
            "split": split,
            "values": values,
            "agree": sum(distance <= HALF_DIGIT for distance in off.values()),
            "largest_difference": max(off.values()),
            "terms": len(tokens.vocab),
        }
    )


def _printed(collection: str) -> dict[str, float]:
    """System -> the authors' value, in points."""
    table = read_table("beir")
    place = table.columns.index(COLUMNS[collection])
    return {name: table.rows[f"Baguetter {name}"][place] for name in ("BMX", *METHODS)}


class LibraryBM25:
    """bm25s's own weights with sums in another precision, or with one idf for every method."""

    def __init__(self, method: str, dtype: str = "float32", idf: str | None = None) -> None:
        self.method, self.dtype, self.idf = method, dtype, idf

    def index(self, corpus: Tokens | Sequence[Sequence[str]]) -> LibraryBM25:
        """Compute every document's term weights. Returns self."""
        import bm25s

        tokens = Tokens.of(corpus)
        model = bm25s.BM25(
            method=self.method, k1=1.2, b=0.75, delta=0.5, dtype=self.dtype, idf_method=self.idf,
            backend="numpy", csc_backend="scipy",
        )  # fmt: skip
        model.index(tokens.to_bm25s(), create_empty_token=False, show_progress=False)
        self._scores, self._absent = model.scores, model.nonoccurrence_array
        self._ids = {token: i for i, token in enumerate(tokens.vocab)}
        self._n_docs = len(tokens)
        return self

    def get_scores(self, query: Sequence[str]) -> np.ndarray:
        """Scores of all documents for one query, -inf where no token matches, (n_docs,)."""
        scores = np.zeros(self._n_docs, self.dtype)
        matched = np.zeros(self._n_docs, bool)
        for term in (self._ids[token] for token in query if token in self._ids):
            part = slice(self._scores["indptr"][term], self._scores["indptr"][term + 1])
            scores[self._scores["indices"][part]] += self._scores["data"][part]
            matched[self._scores["indices"][part]] = True
            scores += 0 if self._absent is None else self._absent[term]
        return np.where(matched, scores, -np.inf)

    def retrieve(
        self, queries: Sequence[Sequence[str]], k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """Documents (Q, k) and scores (Q, k), best first; empty slots hold -1 and 0.0."""
        docs, scores = np.full((len(queries), k), -1), np.zeros((len(queries), k))
        for row, query in enumerate(queries):
            found = self.get_scores(query)
            best = np.argsort(-found, kind="stable")[:k]
            best = best[np.isfinite(found[best])]
            docs[row, : len(best)], scores[row, : len(best)] = best, found[best]
        return docs, scores


def _systems(change: str) -> dict[str, Retriever]:
    systems: dict[str, Retriever] = {"BMX": BMX()}
    for name, method in METHODS.items():
        if change == "sums in float64":
            systems[name] = LibraryBM25(method, dtype="float64")
        elif change == "one idf for all":
            systems[name] = LibraryBM25(method, idf="lucene")
        else:
            systems[name] = BM25(method)
    return systems


def _padded(found: Run, doc_ids: Sequence[str]) -> Run:
    """Every query's results filled up to DEPTH with documents of score 0, in order of their ids.

    The released code fills them in the arbitrary order of NumPy's argpartition.
    """
    padded = {}
    for qid, results in found.items():
        have = {docid for docid, _ in results}
        rest = (docid for docid in doc_ids if docid not in have and docid != qid)
        filling = [
            (docid, 0.0) for _, docid in zip(range(DEPTH - len(results)), rest, strict=False)
        ]
        padded[qid] = [*results, *filling]
    return padded


def _nltk() -> Callable[[str], str]:
    stem: Callable[[str], str] = nltk_stemmer("snowball").EnglishStemmer().stem
    return stem


def _snowball_2() -> Callable[[str], str]:
    # The module itself: the package's own entry takes PyStemmer where that is installed.
    try:
        from snowballstemmer.english_stemmer import EnglishStemmer
    except ImportError as error:
        raise MissingDependencyError(
            "the stemmer of Snowball 2 needs snowballstemmer: pip install "
            "'ir-replications[snowball2]'"
        ) from error
    return EnglishStemmer().stemWord


def _pystemmer(algorithm: str) -> Callable[[], Callable[[str], str]]:
    def make() -> Callable[[str], str]:
        import Stemmer

        return Stemmer.Stemmer(algorithm, 0).stemWord

    return make


STEMMERS: dict[str, Callable[[], Callable[[str], str]]] = {
    RELEASED: _nltk,  # reference: baguetter 0.1.0 and 0.1.1
    SNOWBALL_2: _snowball_2,  # reference: what PyStemmer 2.2, which they require, has
    "Snowball 3": _pystemmer("english"),
    "Porter": _pystemmer("porter"),
}


@lru_cache(maxsize=2)
def _stemmer(name: str) -> Callable[[str], str]:
    return lru_cache(maxsize=None)(STEMMERS[name]())


def _preparation(stemmer: str, change: str) -> Split:
    return splitter(_stemmer(stemmer), change)


EXPERIMENT = Experiment(
    id="E11",
    title="which preparation of the texts gives the printed cells",
    cells=cells,
    run=run,
    cost={"small": "2 min"},
)
