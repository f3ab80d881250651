"""How closely a run or a table reproduces another: orderings, per-query error, overall effects.

The measures of Breuer et al., "How to Measure the Reproducibility of System-oriented IR
Experiments" (SIGIR 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.significance import paired
from ir_replications.shared.retrieval.runs import Run


@dataclass(frozen=True)
class Ratio:
    """A value, or None with the reason why it is undefined."""

    value: float | None
    reason: str = ""


def effect_ratio(
    *, baseline: float, advanced: float, paper_baseline: float, paper_advanced: float
) -> Ratio:
    """Our mean improvement over the paper's: (advanced - baseline) / (the same in the paper).

    1: the effect is reproduced; between 0 and 1: weaker; below 0: reversed.
    Undefined when the paper reports no effect.
    """
    _check_finite(baseline, advanced, paper_baseline, paper_advanced)
    effect = paper_advanced - paper_baseline
    if effect == 0:
        return Ratio(None, "the paper's two values are equal: there is no effect to compare with")
    return Ratio((advanced - baseline) / effect)


def delta_ri(
    *, baseline: float, advanced: float, paper_baseline: float, paper_advanced: float
) -> Ratio:
    """The paper's relative improvement minus ours; RI = (advanced - baseline) / baseline.

    0: the same relative improvement; above 0: ours is smaller.
    Undefined when a baseline is 0.
    """
    _check_finite(baseline, advanced, paper_baseline, paper_advanced)
    if baseline == 0 or paper_baseline == 0:
        whose = "our" if baseline == 0 else "the paper's"
        return Ratio(None, f"{whose} baseline is 0: its relative improvement is undefined")
    ours = (advanced - baseline) / baseline
    return Ratio((paper_advanced - paper_baseline) / paper_baseline - ours)


def kendall_tau_union(run: Run, reference: Run, depth: int = 1000) -> dict[str, float]:
    """Kendall's tau between the rankings' documents numbered over their union, per query.

    Documents are numbered in the order of the reference, then those only in `run` in its order; tau
    compares the number at each rank of the one list with that in the other. Equal sets of documents
    give the ordinary tau. (repro_eval numbers the union alphabetically, so that its values hang
    on how ids are spelled.) Lists of different length are compared over the shorter. Two empty
    lists, or two lists that agree on a single rank: 1; one empty list or a single rank that
    disagrees: 0. Raises InputError naming queries that only one run has.
    """
    from scipy import stats

    def tau(ours: list[str], theirs: list[str]) -> float:
        numbers = {docid: i for i, docid in enumerate(dict.fromkeys([*theirs, *ours]))}
        length = min(len(ours), len(theirs))
        if length < 2:
            return float(ours[:length] == theirs[:length] and bool(ours) == bool(theirs))
        pairs = ([numbers[d] for d in ours[:length]], [numbers[d] for d in theirs[:length]])
        return float(stats.kendalltau(*pairs).statistic)

    return _per_query(run, reference, depth, tau)


def rank_biased_overlap(
    run: Run, reference: Run, p: float = 0.95, depth: int = 1000, extrapolate: bool = False
) -> dict[str, float]:
    """Rank-biased overlap of two runs per query; see `rbo`, which says what the options mean."""
    return _per_query(
        run, reference, depth, lambda ours, theirs: rbo(ours, theirs, p, depth, extrapolate)
    )


def rbo(
    a: Sequence[str],
    b: Sequence[str],
    p: float = 0.95,
    depth: int = 1000,
    extrapolate: bool = False,
) -> float:
    """Rank-biased overlap of two rankings of document ids, 0 (disjoint) to 1 (equal).

    The share of common documents in the first d, averaged over d = 1, 2, ... with weights p^(d-1)
    (Webber et al., TOIS 2010). Truncated: the sum ends with the longer list (or at `depth`) and is
    divided by the weights summed, as in Clarke's compatibility measure. `extrapolate` gives
    RBO_ext (Eq. 32), which assumes that the agreement at the end goes on. Two empty lists: 1;
    one empty: 0. O(n).
    """
    _check_depth(depth)
    if not (isinstance(p, float | np.floating) and 0 < p < 1):
        raise InputError(f"p {p}: expected 0 < p < 1")
    for ranking in (a, b):
        if not isinstance(ranking, Sequence | np.ndarray):
            raise InputError(f"{type(ranking).__name__}: expected a list of document ids")
    short, long = sorted((list(a[:depth]), list(b[:depth])), key=len)
    if not short:
        return float(not long)
    overlaps = _overlaps(short, long)
    ranks = np.arange(1, len(long) + 1)
    weights = p ** (ranks - 1.0)
    if not extrapolate:
        return float(np.sum(weights * overlaps / ranks) / np.sum(weights))
    s, n = len(short), len(long)
    at_s, at_n = overlaps[s - 1], overlaps[n - 1]
    tail = ranks[s:]
    total = np.sum(weights * overlaps / ranks)
    total += np.sum(weights[s:] * at_s * (tail - s) / (s * tail))
    return float((1 - p) * total + ((at_n - at_s) / n + at_s / s) * p**n)


def _overlaps(short: list[str], long: list[str]) -> np.ndarray:
    """Number of common documents among the first d of both, for d = 1 .. len(long)."""
    seen: set[str] = set()
    counts = []
    common = 0
    for rank, docid in enumerate(long):
        other = short[rank] if rank < len(short) else None
        for candidate in (docid, other):
            if candidate is not None:
                common += candidate in seen
                seen.add(candidate)
        counts.append(common)
    return np.array(counts, dtype=np.float64)


def _per_query(
    run: Run, reference: Run, depth: int, compare: Callable[[list[str], list[str]], float]
) -> dict[str, float]:
    _check_depth(depth)
    for each in (run, reference):
        if not isinstance(each, Mapping):
            raise InputError(f"run: {type(each).__name__}, expected {{query id: results}}")
        for qid, results in each.items():
            if not isinstance(results, list | tuple) or not all(
                isinstance(result, list | tuple) and len(result) == 2 for result in results
            ):
                raise InputError(
                    f"run: query {qid!r}: expected [(document id, score), ...] in canonical order"
                )
    # Lengths stand in for values: paired() names the queries that only one run has.
    _, _, qids = paired(
        {qid: float(len(results)) for qid, results in run.items()},
        {qid: float(len(results)) for qid, results in reference.items()},
    )
    return {
        qid: compare(
            [docid for docid, _ in run[qid][:depth]],
            [docid for docid, _ in reference[qid][:depth]],
        )
        for qid in qids
    }


def _check_depth(depth: int) -> None:
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or depth < 1:
        raise InputError(f"depth {depth}: expected a positive number of ranks")


def _check_finite(*values: float) -> None:
    if not all(isinstance(v, int | float | np.number) and math.isfinite(v) for v in values):
        raise InputError("an effect needs finite numbers; a value is missing or not a number")
