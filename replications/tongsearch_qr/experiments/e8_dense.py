"""E8: dense retrieval on the gold-answer proxy, with original and with reasoned queries.

The paper's main table has dense retrievers beside BM25, none of which fits a CPU. Here two
sentence embedders rank the proxy's answers by cosine. A reasoned query is often longer than they
read: `queries_cut` counts those that lose their end.
"""

from __future__ import annotations

from typing import Any

from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.errors import costs_this_cell
from ir_replications.shared.models.embedder import MINILM, MPNET
from ir_replications.shared.models.references import fetch_model
from ir_replications.shared.retrieval.dense import count_cut, dense_search, load_dense
from ir_replications.tongsearch_qr.experiments.bright import (
    DEPTH,
    MEASURE,
    STACK_EXCHANGE,
    TITLE,
    mean_of_subsets,
    ndcg,
)
from ir_replications.tongsearch_qr.experiments.e2_bright import ORIGINAL, query_texts
from ir_replications.tongsearch_qr.experiments.e3_proxy import MEAN, per_subset
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY
from ir_replications.tongsearch_qr.rewriting.released_files import MAPS, queries_sha256


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Embedder x queries on the proxy; a reasoned query replaces the original one."""
    if PROXY not in plan.collections:
        return []
    return [
        {"collection": PROXY, "queries": queries, "system": "dense", "model": model}
        for model in (MINILM, MPNET)
        for queries in (ORIGINAL, *MAPS)
    ]


def run(config: Config, context: Context) -> Outcome:
    """Embed answers (cached) and queries, rank all answers by cosine, evaluate as E3 does."""
    name = config["collection"]
    collection = context.collection(name)
    split = collection.default_split
    with costs_this_cell():
        fetch_model(config["model"], download=context.download)
    embedder = load_dense(config["model"])
    texts = query_texts(config["queries"], name, collection.topics(split), context)
    documents = list(collection.contents(TITLE))
    found = dense_search(
        embedder,
        documents,
        collection.doc_ids,
        texts,
        DEPTH,
        drop_own_id=False,
        excluded=collection.excluded,
    )
    scores = ndcg(found, collection.qrels[split])
    subsets = per_subset(scores.per_query[MEASURE])
    scores.means[MEAN] = mean_of_subsets(subsets, STACK_EXCHANGE)
    facts: dict[str, Any] = {
        "split": split,
        "documents": len(documents),
        "documents_cut": count_cut(embedder, documents),
        "max_tokens": embedder.max_length,
        "queries": len(texts),
        "queries_cut": count_cut(embedder, list(texts.values())),
        "queries_sha256": queries_sha256(texts),
        "per_subset": subsets,
    }
    return Outcome(scores=scores, facts=facts, models={embedder.ref: embedder.sha256})


EXPERIMENT = Experiment(
    id="E8",
    title="gold-answer proxy: dense retrieval with two sentence embedders",
    cells=cells,
    run=run,
    cost={"small": "1 h of CPU; 480 MB of models"},
    needs_model=True,
)
