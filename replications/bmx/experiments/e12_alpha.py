"""E12: alpha = 0.05, which the authors set by hand for BRIGHT, and the baseline beside it.

The method's own alpha lies in [0.5, 1.5]. With beta = 0, BMX is BM25 with k1 = alpha (1 + mean E)
and b = 1 / (1 + mean E) (claim C2), so each alpha has a BM25 of its own: the two run as a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir_replications.bmx.experiments.e2_retrieval import DEPTH, TIES
from ir_replications.bmx.experiments.e3_ablation import mean_entropy
from ir_replications.bmx.experiments.testbeds import (
    BRIGHT,
    FURTHER,
    REASONED,
    is_english,
    reference_analyzer,
)
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import tokenize
from ir_replications.shared.data.lines import json_lines
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.fields import check_id, check_text
from ir_replications.shared.retrieval.bm25 import BM25
from ir_replications.shared.retrieval.runs import with_trec_eval_ties
from ir_replications.shared.retrieval.search import Retriever, search

ALPHA = 0.05  # reference: the row of the authors' BRIGHT table
VARIANTS = (
    "BMX",
    "BM25 with BMX's k1 and b",
    f"BMX alpha={ALPHA}",
    f"BM25 with k1 and b of BMX alpha={ALPHA}",
    "BM25 k1=1.2 b=0.75",
    "BM25 k1=0.9 b=0.4",
)
OWN = "own"
MEASURE = "nDCG@10"


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x queries x variant: every collection at hand, BEIR and BRIGHT at the paper tier.

    The small tier asks the posts of bright-goldanswer as reasoned queries as well.
    """
    if plan.tier == "embedded" and not plan.chosen:
        return []
    names = tuple(name for name in plan.collections if plan.chosen or is_english(name))
    asked = [(name, OWN) for name in names]
    if plan.tier == "small" and not plan.chosen:
        asked += [(name, OWN) for name in FURTHER]
    if plan.tier == "small":
        at_hand = [name for name in REASONED if not plan.chosen or name in names]
        asked += [(name, queries) for name in at_hand for queries in REASONED[name]]
    return [
        {
            "collection": name,
            "analyzer": reference_analyzer(name),
            "title": "newline",
            "queries": queries,
            "variant": variant,
        }
        for name, queries in asked
        for variant in VARIANTS
    ]


def run(config: Config, context: Context) -> Outcome:
    """nDCG@10 per query of one variant; facts hold its parameters and the queries' length."""
    name, analyzer, variant = config["collection"], config["analyzer"], config["variant"]
    collection = context.collection(name)
    split = collection.default_split
    topics = _topics(config, context)
    tokens = context.tokens(name, analyzer, config["title"])
    facts: dict[str, Any] = {
        "split": split,
        "mean_query_tokens": sum(map(len, topics.values())) / len(topics),
    }
    alpha = ALPHA if variant.endswith(f"alpha={ALPHA}") else BMX().index(tokens).alpha
    retriever: Retriever
    if variant.startswith("BMX"):
        retriever = BMX(alpha=alpha)
        facts["alpha"] = alpha
    else:
        if variant.startswith("BM25 k1="):
            k1, b = (float(part.split("=")[1]) for part in variant.split()[1:])
        else:
            mean = mean_entropy(tokens, topics.values())
            k1, b = alpha * (1 + mean), 1 / (1 + mean)
        retriever = BM25(k1=k1, b=b)
        facts |= {"k1": round(k1, 4), "b": round(b, 4)}
    retriever.index(tokens)
    found = search(retriever, collection.doc_ids, topics, DEPTH, excluded=collection.excluded)
    scores = evaluate(found, collection.qrels[split], [MEASURE])
    if name in BRIGHT:  # whose printed table has this order
        other = evaluate(with_trec_eval_ties(found), collection.qrels[split], [MEASURE])
        scores.per_query[TIES], scores.means[TIES] = other.per_query[MEASURE], other.means[MEASURE]
    return Outcome(scores=scores, facts=facts)


def _topics(config: Config, context: Context) -> dict[str, list[str]]:
    """The analysed queries of a cell: the collection's own, or the same as a model rewrote them."""
    name, analyzer, queries = config["collection"], config["analyzer"], config["queries"]
    collection = context.collection(name)
    if queries == OWN:
        return context.topics(name, collection.default_split, analyzer)
    reasoned = _reasoned(list(collection.topics(collection.default_split)), queries, context)
    return dict(zip(reasoned, tokenize(list(reasoned.values()), analyzer), strict=True))


def _reasoned(qids: Sequence[str], queries: str, context: Context) -> dict[str, str]:
    """The reasoned queries of ids `<BRIGHT subset>/<id>#q`, from the data root's files.

    Raises InputError naming the file that lacks one.
    """
    of_subset: dict[str, dict[str, str]] = {}
    found = {}
    for qid in qids:
        subset, _, rest = qid.removesuffix("#q").partition("/")
        file = f"bright/{subset}/reasoned/{queries}.jsonl"
        if subset not in of_subset:
            of_subset[subset] = _read(context.files(file))
        if rest not in of_subset[subset]:
            raise InputError(f"{file}: no reasoned query for {rest!r}; the file is not complete")
        found[qid] = of_subset[subset][rest]
    return found


def _read(path: Path) -> dict[str, str]:
    texts = {}
    for line, row in json_lines(path):
        where = f"{path}:{line}"
        texts[check_id(row.get("_id"), '"_id"', where)] = check_text(
            row.get("text"), '"text"', where
        )
    return texts


EXPERIMENT = Experiment(
    id="E12",
    title="alpha = 0.05 and its equivalent BM25; the baseline of long questions",
    cells=cells,
    run=run,
    cost={"small": "2 min", "paper": "hours"},
)
