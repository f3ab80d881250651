"""What every stage is asked and gives: queries, and a run with what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ir_replications.bench.meter import peak_mib
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Outcome
from ir_replications.engine.first_stages import chosen_queries
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.runs import Run

DEPTH = 100  # documents of a first stage
MEASURES = ("nDCG@10", "R@100")
TIMED = 50  # queries searched one by one for their time


@dataclass(frozen=True)
class Found:
    """A run and its costs: seconds to index all documents, milliseconds a query, models."""

    run: Run
    index_s: float
    query_ms: float
    facts: dict[str, Any] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)


def topics_of(config: Config, context: Context) -> dict[str, str]:
    """The queries that a cell is asked: of the split, or a fixed choice of `queries` of them."""
    collection = context.collection(config["collection"])
    texts = collection.topics(collection.default_split)
    return {qid: texts[qid] for qid in chosen_queries(texts, config["queries"])}


def measured(found: Found, config: Config, context: Context) -> Outcome:
    """The outcome of a cell: measures where there are judgements, costs in any case."""
    collection = context.collection(config["collection"])
    split, topics = collection.default_split, topics_of(config, context)
    qrels = {qid: collection.qrels[split][qid] for qid in topics}
    facts = {
        "split": split,
        "documents": len(collection.doc_ids),
        "queries": len(topics),
        "judged": collection.judged,
        "index_s": round(found.index_s, 3),
        "query_ms": round(found.query_ms, 3),
        "memory_mib": peak_mib(),
        **found.facts,
    }
    scores = evaluate(found.run, qrels, MEASURES) if collection.judged else None
    return Outcome(scores=scores, facts=facts, run=found.run, models=found.models)


def mean_ms(seconds: Mapping[str, float] | list[float]) -> float:
    """Mean of seconds, as milliseconds; 0 for none."""
    values = list(seconds.values()) if isinstance(seconds, Mapping) else seconds
    return 1000 * sum(values) / len(values) if values else 0.0
