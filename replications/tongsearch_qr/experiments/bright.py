"""BRIGHT's retrieval protocol: the benchmark of the paper's result tables.

The steps of the benchmark's own evaluation code (xlang-ai/BRIGHT at d99e839, retrievers.py),
of which the paper's is a copy but for the replaced query: Lucene's English analyzer, documents as
their text alone, BM25 weights on both sides, excluded documents removed before the cut at 1000,
nDCG@10 with trec_eval's order of ties, mean over queries, then the plain mean of 12 subsets.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import Qrels, Scores, evaluate
from ir_replications.shared.retrieval.lucene import TextEngine, search_without
from ir_replications.shared.retrieval.runs import Run, canonical, with_trec_eval_ties
from ir_replications.shared.retrieval.search import Retriever, search

STACK_EXCHANGE = (
    "biology", "earth_science", "economics", "psychology", "robotics", "stackoverflow",
    "sustainable_living",
)  # fmt: skip
SUBSETS = (
    *STACK_EXCHANGE, "leetcode", "pony", "aops", "theoremqa_questions", "theoremqa_theorems",
)  # fmt: skip  # in the order of the paper's table

ANALYZER = "lucene"  # reference code: pyserini.analysis.get_lucene_analyzer()
TITLE = "omit"  # reference code: a document is its content
DEPTH = 1000  # reference code: sorted(...)[:1000]
MEASURE = "nDCG@10"

# Systems by the name of their retriever, and their options.
SYSTEMS: Mapping[str, Mapping[str, Any]] = {
    "bm25q": {"k1": 0.9, "b": 0.4},  # reference code: LuceneBM25Model(k1=0.9, b=0.4), both sides
    "bm25": {"method": "lucene", "k1": 0.9, "b": 0.4},  # ours: the bag-of-words BM25 beside it
    "bmx": {},  # ours: another first stage
    "lucene": {"k1": 0.9, "b": 0.4},  # ours: Lucene itself, with its rounded document lengths
}


def search_tokens(
    retriever: Retriever,
    doc_ids: Sequence[str],
    topics: Mapping[str, Sequence[str]],
    excluded: Mapping[str, Collection[str]],
) -> Run:
    """The best 1000 documents of each analysed topic once its excluded ones are removed.

    `doc_ids` names the indexed documents, ascending. The reference also ranks documents that hold
    no query term, with score 0; none of them is relevant to a longer query, and none is here.
    """
    return search(retriever, doc_ids, topics, DEPTH, drop_own_id=False, excluded=excluded)


def search_texts(
    engine: TextEngine, topics: Mapping[str, str], excluded: Mapping[str, Collection[str]]
) -> Run:
    """`search_tokens` for an engine that takes texts."""
    run: Run = {}
    for qid, text in topics.items():
        run[qid] = search_without(engine, qid, text, DEPTH, set(excluded.get(qid, ())))
    return canonical(run)


def ndcg(run: Run, qrels: Qrels) -> Scores:
    """nDCG@10 (linear gain, log2 discount) per query and on average, ties as trec_eval has them.

    A document that is gold twice counts once, and so does every query, found or not.
    """
    ranked = with_trec_eval_ties(run)
    return evaluate({qid: results[:10] for qid, results in ranked.items()}, qrels, [MEASURE])


def mean_of_subsets(values: Mapping[str, float], subsets: Sequence[str] = SUBSETS) -> float:
    """The reported average: the plain mean over all `subsets`, whatever their number of queries.

    Raises InputError when a subset is missing or unknown: a mean over fewer is another number.
    """
    for kind, names in (
        ("no value for", [name for name in subsets if name not in values]),
        ("unknown", [name for name in values if name not in subsets]),
    ):
        if names:
            raise InputError(
                f"mean of {len(subsets)} subsets: {kind} {', '.join(names)}; "
                f"expected {', '.join(subsets)}"
            )
    return math.fsum(values[name] for name in subsets) / len(subsets)
