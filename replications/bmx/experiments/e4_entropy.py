"""E4: does entropy give informative tokens more weight, as the paper says? (claim C7)"""

from __future__ import annotations

from statistics import fmean
from typing import Any

import numpy as np

from ir_replications.bmx.experiments.testbeds import reference_analyzer
from ir_replications.bmx.retrieval.index import Index
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan

MAX_POINTS = 1500


def cells(plan: Plan) -> list[dict[str, Any]]:
    """One cell per collection, with the authors' preprocessing and titles."""
    return [
        {"collection": name, "analyzer": reference_analyzer(name), "title": "newline"}
        for name in plan.collections
    ]


def run(config: Config, context: Context) -> Outcome:
    """Rank correlation of a term's entropy with its document frequency and with its IDF.

    Over the vocabulary, and within queries: the share of queries whose most heavily weighted
    token (E = 1) is also their most frequent one, or their rarest one.
    """
    from scipy.stats import spearmanr

    name, analyzer = config["collection"], config["analyzer"]
    index = Index.build(context.tokens(name, analyzer, config["title"]))
    df, idf, entropy = np.diff(index.indptr), index.idf, index.entropies
    topics = context.topics(name, context.collection(name).default_split, analyzer)
    terms = [[index.known[t] for t in query if t in index.known] for query in topics.values()]
    known = [ids for ids in terms if len(set(ids)) > 1]
    top_is_commonest = [_argmax(entropy, ids) == _argmax(df, ids) for ids in known]
    top_is_rarest = [_argmax(entropy, ids) == _argmax(idf, ids) for ids in known]
    # A fixed sample of terms spread over the frequency order serves the figure.
    order = np.argsort(df, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, MAX_POINTS).astype(int))]
    return Outcome(
        facts={
            "terms": len(df),
            "spearman_entropy_df": float(spearmanr(entropy, df).statistic),
            "spearman_entropy_idf": float(spearmanr(entropy, idf).statistic),
            "queries": len(known),
            "share_top_entropy_is_commonest": fmean(top_is_commonest) if known else None,
            "share_top_entropy_is_rarest": fmean(top_is_rarest) if known else None,
            "sample_df": df[shown].tolist(),
            "sample_entropy": [round(float(value), 4) for value in entropy[shown]],
        }
    )


def _argmax(values: np.ndarray, ids: list[int]) -> int:
    return max(ids, key=lambda token: values[token])


EXPERIMENT = Experiment(
    id="E4",
    title="direction of the entropy weight",
    cells=cells,
    run=run,
    cost={"embedded": "5 s", "small": "5 s", "paper": "an hour"},
)
