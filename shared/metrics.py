"""Retrieval effectiveness per query and on average, through ir-measures."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import InputError
from shared.runs import Run, canonical

if TYPE_CHECKING:
    import ir_measures

DEFAULT_MEASURES = ("nDCG@10", "AP@100", "RR@10", "R@100")

Qrels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Scores:
    """Per-query values `{measure: {qid: value}}` and means `{measure: value}`, fractions of 1."""

    per_query: dict[str, dict[str, float]]
    means: dict[str, float]


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> Scores:
    """Score `run` against `qrels` with each of `measures` (ir-measures notation, e.g. "nDCG@10").

    Every query of `qrels` counts, in the order of `qrels`; one without results or without a
    relevant document scores 0, and queries of the run that have no qrels are ignored. nDCG has
    trec_eval's linear gain; "nDCG(dcg='exp-log2')@10" gives 2^grade - 1. The measured order is the
    canonical one: libraries are handed distinct scores made from the ranks, so their own rules
    for ties never apply. Raises InputError for an unknown measure and for empty qrels.
    """

    if not qrels:
        raise InputError("no qrels: there is no query to evaluate")
    parsed = {name: parse_measure(name) for name in measures}
    # -rank is exact in float32, which trec_eval keeps scores in, for the first 16 million ranks.
    ranked = {
        qid: {docid: float(-rank) for rank, (docid, _) in enumerate(results)}
        for qid, results in canonical(run).items()
        if qid in qrels and results
    }
    per_query = {name: dict.fromkeys(qrels, 0.0) for name in parsed}
    # Grades below 0 (spam in TREC's web tracks) are not relevant; pytrec_eval crashes on them.
    judged = {
        qid: {docid: max(grade, 0) for docid, grade in grades.items()}
        for qid, grades in qrels.items()
    }
    names: dict[ir_measures.Measure, list[str]] = {}
    for name, measure in parsed.items():
        names.setdefault(_without_perl(measure, judged), []).append(name)
    for metric in _calculate(list(names), judged, ranked):
        if metric.query_id in qrels:
            for name in names[metric.measure]:
                per_query[name][metric.query_id] = float(metric.value)
    means = {name: math.fsum(values.values()) / len(values) for name, values in per_query.items()}
    return Scores(per_query, means)


def parse_measure(name: str) -> ir_measures.Measure:
    """The ir-measures object of a measure name; InputError for one that it does not know."""
    import ir_measures

    try:
        measure = ir_measures.parse_measure(name)
        measure.validate_params()
        if measure.params.get("cutoff", 1) < 1:
            raise ValueError("a cutoff below 1 makes trec_eval abort")
        return measure
    except (NameError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise InputError(
            f"measure {name!r} is unknown; expected ir-measures notation, e.g. 'nDCG@10' or 'R@100'"
        ) from error


def _without_perl(measure: ir_measures.Measure, qrels: Qrels) -> ir_measures.Measure:
    """nDCG with exponential gain as nDCG with a table of gains, which needs no Perl script.

    ir-measures hands the former to gdeval.pl, which refuses query ids that are not numbers.
    """
    import ir_measures

    if measure.NAME != "nDCG" or measure["dcg"] != "exp-log2":
        return measure
    grades = {grade for judged in qrels.values() for grade in judged.values()}
    params = {**measure.params, "gains": {g: 2**g - 1 for g in sorted(grades)}}
    params.pop("dcg")
    return ir_measures.nDCG(**params)


def _calculate(
    measures: list[ir_measures.Measure],
    qrels: dict[str, dict[str, int]],
    ranked: dict[str, dict[str, float]],
) -> list[ir_measures.Metric]:
    # In one call ir-measures may lend the gains of one measure to another.
    import ir_measures

    plain = [measure for measure in measures if "gains" not in measure.params]
    groups = [plain, *([measure] for measure in measures if measure not in plain)]
    try:
        return [m for group in groups if group for m in ir_measures.iter_calc(group, qrels, ranked)]
    except (ValueError, RuntimeError, ImportError, subprocess.SubprocessError) as error:
        listed = ", ".join(map(str, measures))
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"cannot calculate {listed} ({reason}); use others") from error
