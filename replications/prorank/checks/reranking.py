"""Golden checks A14 and A15: measures, order of ties, bounds of a reranking, the query's own id.

A14's measures are compared with pytrec_eval, called directly, and with their definitions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, permutations
from math import log2
from typing import Any

from ir_replications.shared.analysis import tokenize
from ir_replications.shared.data import make_collection
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import evaluate
from ir_replications.shared.retrieval.reranking import (
    candidates,
    first_stage,
    oracle,
    rerank,
    tied_shares,
    without_own,
)
from ir_replications.shared.retrieval.runs import Run, canonical

Facts = dict[str, float | int | str | bool | list[Any]]

# Our names of the measures, pytrec_eval's, and their keys in its answer.
MEASURES = {
    "nDCG@10": ("ndcg_cut.10", "ndcg_cut_10"),
    "AP@100": ("map_cut.100", "map_cut_100"),
    "R@100": ("recall.100", "recall_100"),
}
GAINS = [3, 0, 2, 0, 1]  # ranked grades, nothing else judged
LINEAR, EXPONENTIAL = 0.9212478446, 0.9461356537  # their nDCG@10, worked by hand
EXPONENTIAL_MEASURE = "nDCG(dcg='exp-log2')@10"
SEED, TRIALS = 20250604, 60


def a14() -> Facts:
    """Measures of random rerankings, and the properties that every reranking must have."""
    trials = [_trial(random.Random(SEED + i)) for i in range(TRIALS)]
    ours, theirs, by_hand = _measured(trials)
    outcomes = [*_properties(trials), *_orders()]
    broken = sorted({name for name, holds in outcomes if not holds})
    return {
        "max_error": max(abs(ours[key] - theirs[key]) for key in ours),
        "max_error_by_hand": max(abs(ours[key] - by_hand[key]) for key in ours),
        "golden_error": _golden_error(),
        "values": len(ours),
        "violations": sum(not holds for _, holds in outcomes),
        "cases": len(outcomes),
        "broken": broken,
    }


def a15() -> Facts:
    """Cases of removing the document that is the query's own."""
    outcomes = dict(_own_id())
    broken = [name for name, holds in outcomes.items() if not holds]
    return {"violations": len(broken), "cases": len(outcomes), "broken": broken}


Trial = tuple[Run, dict[str, dict[str, int]], dict[str, dict[str, float]], int]


def _trial(source: random.Random) -> Trial:
    """A first stage of up to 15 documents, grades, coarse scores (so that many tie) and k."""
    docids = [f"d{i:02}" for i in range(30)]
    found = source.sample(docids, source.randint(1, 15))
    run = canonical({"q": [(docid, float(source.randint(0, 4))) for docid in found]})
    judged = source.sample(docids, source.randint(1, 20))
    grades = {docid: source.choice([0, 0, 1, 1, 2, 3]) for docid in judged}
    scores = {docid: float(source.randint(-2, 2)) for docid in found}
    return run, {"q": grades}, {"q": scores}, source.randint(1, 18)


def _measured(trials: Sequence[Trial]) -> tuple[dict[tuple[int, str], float], ...]:
    """Values by (trial, measure): by shared.evaluation.metrics, by pytrec_eval, by definition."""
    import pytrec_eval  # type: ignore[import-not-found,import-untyped,unused-ignore]

    ours: dict[tuple[int, str], float] = {}
    theirs: dict[tuple[int, str], float] = {}
    by_hand: dict[tuple[int, str], float] = {}
    for i, (run, qrels, scores, k) in enumerate(trials):
        reranked = rerank(run, scores, k)
        found = evaluate(reranked, qrels, list(MEASURES)).means
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, {name for name, _ in MEASURES.values()})
        # Small integers: pytrec_eval keeps scores in single precision.
        ranks = {docid: float(-rank) for rank, (docid, _) in enumerate(reranked["q"])}
        values = evaluator.evaluate({"q": ranks})["q"]
        defined = _defined([docid for docid, _ in reranked["q"]], qrels["q"])
        for name, (_, key) in MEASURES.items():
            ours[i, name], theirs[i, name] = found[name], values[key]
            by_hand[i, name] = defined[name]
    return ours, theirs, by_hand


def _defined(ranked: Sequence[str], grades: Mapping[str, int]) -> dict[str, float]:
    """The three measures by their definitions; fewer than 100 documents are ranked."""
    gains = [grades.get(docid, 0) for docid in ranked]
    best = sorted(grades.values(), reverse=True)
    relevant = sum(grade > 0 for grade in best)
    if not relevant:
        return dict.fromkeys(MEASURES, 0.0)
    hits = [rank for rank, gain in enumerate(gains, start=1) if gain > 0]
    precisions = [number / rank for number, rank in enumerate(hits, start=1)]
    return {
        "nDCG@10": _dcg(gains) / _dcg(best),
        "AP@100": sum(precisions) / relevant,
        "R@100": len(hits) / relevant,
    }


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains[:10], start=1))


def _golden_error() -> float:
    run = {"q": [(f"d{i}", float(-i)) for i in range(len(GAINS))]}
    qrels = {"q": {f"d{i}": gain for i, gain in enumerate(GAINS)}}
    expected = {"nDCG@10": LINEAR, EXPONENTIAL_MEASURE: EXPONENTIAL}
    return max(
        abs(evaluate(run, qrels, [name]).means[name] - value) for name, value in expected.items()
    )


def _properties(trials: Sequence[Trial]) -> Iterator[tuple[str, bool]]:
    for run, qrels, scores, k in trials:
        before, reranked = _ids(run), rerank(run, scores, k)
        after, best = _ids(reranked), oracle(run, qrels, k)
        yield "permutation of the top k", sorted(after[:k]) == sorted(before[:k])
        yield "below k unchanged", after[k:] == before[k:]
        yield "scores strictly decrease", _strict(reranked) and _strict(best)
        yield "order survives a run file", canonical(reranked) == reranked
        ranked = sorted(before[:k], key=lambda docid: (-scores["q"][docid], before.index(docid)))
        yield "by score, ties in first-stage order", after[:k] == ranked
        depth = f"R@{max(k, len(before))}"
        recalls = [evaluate(r, qrels, [depth, f"R@{k}"]).means for r in (run, reranked, best)]
        yield "recall unchanged at k and below", recalls[0] == recalls[1] == recalls[2]
        values = [evaluate(r, qrels, ["nDCG@10", "nDCG@3"]).means for r in (reranked, best)]
        below = all(values[0][name] <= values[1][name] + 1e-12 for name in values[0])
        yield "no reranking beats the oracle", below


def _orders() -> Iterator[tuple[str, bool]]:
    """Worked by hand: documents b, a, c, e, d in first-stage order."""
    run: Run = {"q": [("b", 9.0), ("a", 8.0), ("c", 7.0), ("e", 6.5), ("d", 6.0)]}
    same = dict.fromkeys("abcde", 1.0)
    yield "all tied: nothing moves", _ids(rerank(run, {"q": same}, 5)) == list("baced")
    one = {"q": {**same, "c": 2.0, "d": 9.0}}
    yield "d is below k = 4", _ids(rerank(run, one, 4)) == list("cbaed")
    yield "d is within k = 5", _ids(rerank(run, one, 5)) == list("dcbae")
    yield "all tied: share 1", tied_shares(run, {"q": same}, 5) == {"q": 1.0}
    yield "three of five tied: 3 of 10 pairs", tied_shares(run, one, 5) == {"q": 0.3}
    yield "candidates", candidates(run, 2) == {"q": ["b", "a"]}
    grades = {"q": {"d": 3, "e": 1, "x": 2}}
    yield "oracle of 5", _ids(oracle(run, grades, 5)) == list("debac")
    yield "oracle of 4", _ids(oracle(run, grades, 4)) == list("ebacd")
    best = evaluate(oracle(run, grades, 4), grades, ["nDCG@10"]).means["nDCG@10"]
    every = (
        {"q": [(docid, float(-i)) for i, docid in enumerate([*order, "d"])]}
        for order in permutations("bace")
    )
    values = [evaluate(one, grades, ["nDCG@10"]).means["nDCG@10"] for one in every]
    yield "best of all 24 orders", abs(best - max(values)) < 1e-12 and max(values) > min(values)
    for name, score in (("NaN", float("nan")), ("infinite", float("inf"))):
        yield f"{name} score refused", _refused(rerank, run, {"q": {**same, "a": score}}, 5)
    yield "missing score refused", _refused(rerank, run, {"q": {"b": 1.0}}, 2)


def _own_id() -> Iterator[tuple[str, bool]]:
    """Four documents of the word x, two of which are also queries."""
    texts = {"a": "x x x x", "b": "x x x y", "c": "x x y y", "d": "x y y y"}
    collection = make_collection(
        "own-id",
        {docid: ("", text) for docid, text in texts.items()},
        {"b": "x", "d": "x", "q": "x"},
        {"test": {"b": {"a": 1}, "d": {"a": 1}, "q": {"b": 1}}},
    )
    tokens = tokenize(collection.contents("space"), "lucene")
    whole = first_stage(collection, "test", "bm25", 3, tokens=tokens, drop_own_id=False)
    run = first_stage(collection, "test", "bm25", 3, tokens=tokens)
    ids = {qid: [docid for docid, _ in results] for qid, results in run.items()}
    yield (
        "k results are left",
        {qid: len(found) for qid, found in ids.items()} == dict.fromkeys("bdq", 3),
    )
    yield "own documents are gone", ids == {"b": list("acd"), "d": list("abc"), "q": list("abc")}
    yield "they are there otherwise", "b" in [docid for docid, _ in whole["b"]]
    removed = without_own(whole)
    yield "removal from a run that has them", _ids(removed, "b") == list("ac")
    yield "other queries keep the document", _ids(removed, "q") == list("abc")
    grades = {"b": {"b": 3, "a": 1}}
    yield "an oracle cannot bring it back", _ids(oracle(run, grades, 3), "b") == list("acd")


def _ids(run: Run, qid: str = "q") -> list[str]:
    return [docid for docid, _ in run[qid]]


def _strict(run: Run) -> bool:
    scores = [score for _, score in run["q"]]
    return all(high > low for high, low in pairwise(scores))


def _refused(function: Callable[..., Any], *arguments: Any) -> bool:
    try:
        function(*arguments)
    except InputError:
        return True
    return False


CHECKS: dict[str, Callable[[], Facts]] = {"A14": a14, "A15": a15}
