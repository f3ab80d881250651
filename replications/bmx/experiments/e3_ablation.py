"""E3: where the gain comes from. Parts of BMX removed one by one, and BM25 given its parameters.

With beta=0, BMX is BM25 with k1 = alpha (1 + mean E) and b = 1 / (1 + mean E) (claim C2). So the
score has two separable parts: that implicit change of k1 and b, and the beta term. The honest
opponent is a BM25 whose k1 and b were tuned on other queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import product
from statistics import fmean
from typing import Any

from ir_replications.bmx.experiments.e2_retrieval import search_and_evaluate, search_topics
from ir_replications.bmx.experiments.testbeds import FURTHER, reference_analyzer
from ir_replications.bmx.method.entropy import normalised_entropies
from ir_replications.bmx.retrieval.index import Index
from ir_replications.bmx.retrieval.retriever import BMX
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.shared.analysis import Tokens
from ir_replications.shared.evaluation.metrics import Scores, evaluate
from ir_replications.shared.retrieval.bm25 import BM25

VARIANTS = (
    "full",
    "beta=0",
    "mean entropy fixed",
    "E=1",
    "BM25 with BMX's k1 and b",
    "BM25 tuned on other queries",
    "BM25 k1=1.2 b=0.75",
    "BM25 k1=0.9 b=0.4",
)
# ours: the paper tunes nothing; the grid spans the usual defaults and alpha's range (up to 2*1.5)
GRID = ((0.6, 0.9, 1.2, 1.5, 2.0, 3.0), (0.3, 0.4, 0.6, 0.75, 0.9))  # k1, b
MEASURE = "nDCG@10"


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Collection x variant, with the authors' preprocessing and titles."""
    further = FURTHER if plan.tier == "small" and not plan.chosen else ()
    return [
        {
            "collection": name,
            "analyzer": reference_analyzer(name),
            "title": "newline",
            "variant": variant,
        }
        for name in (*plan.collections, *further)
        for variant in VARIANTS
    ]


def run(config: Config, context: Context) -> Outcome:
    """One variant on one collection; facts hold the parameters it used."""
    variant = config["variant"]
    if variant == "BM25 tuned on other queries":
        return _tuned(config, context)
    if variant.startswith("BM25 k1="):
        k1, b = (float(part.split("=")[1]) for part in variant.split()[1:])
        return _bm25(config, context, k1, b)
    if variant == "full":
        return _bmx(BMX(), config, context)
    if variant == "beta=0":
        return _bmx(BMX(beta=0.0), config, context)
    if variant == "E=1":
        return _bmx(BMX(entropy="uniform"), config, context)
    name, analyzer = config["collection"], config["analyzer"]
    tokens = context.tokens(name, analyzer, config["title"])
    topics = context.topics(name, context.collection(name).default_split, analyzer)
    mean = mean_entropy(tokens, topics.values())
    if variant == "mean entropy fixed":
        return _bmx(BMX(mean_entropy=mean), config, context)
    alpha = BMX().index(tokens).alpha
    return _bm25(config, context, alpha * (1 + mean), 1 / (1 + mean))


def mean_entropy(tokens: Tokens, queries: Iterable[Sequence[str]]) -> float:
    """Mean of the per-query mean entropy over the queries that match anything."""
    index = Index.build(tokens)
    terms = [[index.known[t] for t in query if t in index.known] for query in queries]
    return fmean(fmean(normalised_entropies(index.entropies[ids].tolist())) for ids in terms if ids)


def _bmx(bmx: BMX, config: Config, context: Context) -> Outcome:
    outcome = search_and_evaluate(bmx, config, context)
    outcome.facts |= {
        "alpha": bmx.alpha,
        "beta": bmx.beta,
        "mean_entropy": bmx.options["mean_entropy"],
    }
    outcome.run = None
    return outcome


def _bm25(config: Config, context: Context, k1: float, b: float) -> Outcome:
    outcome = search_and_evaluate(BM25(k1=k1, b=b), config, context)
    outcome.facts |= {"k1": round(k1, 4), "b": round(b, 4)}
    outcome.run = None
    return outcome


def _tuned(config: Config, context: Context) -> Outcome:
    """BM25 whose k1, b were chosen on queries that are not evaluated.

    On the dev or train split where the collection has one; otherwise in two folds of the test
    queries, each evaluated with the parameters that were best on the other fold.
    """
    collection = context.collection(config["collection"])
    test = collection.default_split
    tuning = next((s for s in ("dev", "train") if s in collection.qrels and s != test), None)
    grid = {cell: _measure(cell, config, context, tuning or test) for cell in product(*GRID)}
    if tuning:
        best = max(grid, key=lambda cell: fmean(grid[cell].values()))
        outcome = _bm25(config, context, *best)
        outcome.facts["tuned_on"] = tuning
        return outcome
    chosen: list[tuple[float, float]] = []
    per_query: dict[str, dict[str, float]] = {}
    for fold in (0, 1):
        scored = [qid for qid in collection.qrels[test] if _fold(qid) == fold]
        others = [qid for qid in collection.qrels[test] if _fold(qid) != fold]
        if not scored or not others:
            raise ValueError(f"{len(scored) + len(others)} queries are too few to tune on a half")
        others_mean = {cell: fmean(values[qid] for qid in others) for cell, values in grid.items()}
        best = max(others_mean, key=others_mean.__getitem__)
        chosen.append(best)
        for measure, values in _scores(best, config, context).per_query.items():
            per_query.setdefault(measure, {}).update({qid: values[qid] for qid in scored})
    means = {measure: fmean(values.values()) for measure, values in per_query.items()}
    facts = {
        "split": test,
        "tuned_on": "the other of two folds of the test queries",
        "k1": [k1 for k1, _ in chosen],
        "b": [b for _, b in chosen],
    }
    return Outcome(scores=Scores(per_query=per_query, means=means), facts=facts)


def _scores(cell: tuple[float, float], config: Config, context: Context) -> Scores:
    k1, b = cell
    return evaluate(*search_topics(BM25(k1=k1, b=b), config, context))


def _measure(
    cell: tuple[float, float], config: Config, context: Context, split: str
) -> dict[str, float]:
    """nDCG@10 per query of BM25 with one (k1, b)."""
    k1, b = cell
    found, qrels = search_topics(BM25(k1=k1, b=b), config, context, split)
    return evaluate(found, qrels, [MEASURE]).per_query[MEASURE]


def _fold(qid: str) -> int:
    return sha256(qid.encode()).digest()[0] % 2


EXPERIMENT = Experiment(
    id="E3",
    title="ablation: the implicit k1 and b, the beta term, a tuned BM25",
    cells=cells,
    run=run,
    cost={"embedded": "10 s", "small": "7 min", "paper": "a day"},
)
