"""Retrieval effectiveness per query and on average, through ir-measures."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ir_replications.shared.errors import InputError
from ir_replications.shared.retrieval.runs import Run, canonical

if TYPE_CHECKING:
    import ir_measures

DEFAULT_MEASURES = ("nDCG@10", "AP@100", "RR@10", "R@100")

Qrels = Mapping[str, Mapping[str, int]]

_DEEPEST = 1 << 24  # as many ranks as the float32 scores of trec_eval can tell apart
_HIGHEST = 1 << 20  # trec_eval keeps a table as long as the highest gain
_NAME = re.compile(r"\w+(\(.*\))?(@[0-9]+(\.[0-9]+)?)?")
_BREAK = re.compile(r"[\x00\r\n]")  # no file can hold such an id; a text of C ends at NUL


@dataclass(frozen=True)
class Scores:
    """Per-query values `{measure: {qid: value}}` and means `{measure: value}`, fractions of 1.

    `notes` has a line on judged queries without results and one on queries without judgements.
    """

    per_query: dict[str, dict[str, float]]
    means: dict[str, float]
    notes: tuple[str, ...] = ()


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> Scores:
    """Score `run` against `qrels` with each of `measures` (ir-measures notation, e.g. "nDCG@10").

    Every query of `qrels` counts, in the order of `qrels`; one without results or without a
    relevant document scores 0, and queries of the run that have no qrels are ignored. A grade
    below 0 means what it does to trec_eval: pooled and not judged, which Bpref, infAP and Judged
    tell from judged and not relevant. nDCG has trec_eval's linear gain; "nDCG(dcg='exp-log2')@10"
    gives 2^grade - 1. The measured order is the canonical one: libraries are handed distinct
    scores made from the ranks, so their own rules for ties never apply. Each measure is
    calculated by itself, since ir-measures may give it another's options in one call.
    Raises InputError for an unknown measure, for empty qrels, and for ids, grades and scores
    that are none.
    """
    if isinstance(measures, str) or not isinstance(measures, Iterable):
        raise InputError(f"measures: expected a list of names, got {repr(measures)[:40]}")
    judged = _checked_qrels(qrels)
    parsed = {name: parse_measure(name) for name in measures}
    results = _checked_run(run)
    # Numbers stand in for ids: some measures are calculated from files with columns.
    numbers = {qid: str(number) for number, qid in enumerate(judged)}
    names: dict[str, str] = {}
    ranked = {
        numbers[qid]: {
            names.setdefault(docid, f"d{len(names)}"): float(len(found) - rank)
            for rank, (docid, _) in enumerate(found)
        }
        for qid, found in results.items()
        if qid in judged and found
    }
    numbered = {
        numbers[qid]: {names.setdefault(d, f"d{len(names)}"): grade for d, grade in grades.items()}
        for qid, grades in judged.items()
    }
    per_query = {}
    for name, measure in parsed.items():
        values = _calculate(measure, numbered, ranked)
        per_query[name] = {qid: values.get(number, 0.0) for qid, number in numbers.items()}
    means = {name: math.fsum(values.values()) / len(values) for name, values in per_query.items()}
    return Scores(per_query, means, _notes(results, judged))


def parse_measure(name: str) -> ir_measures.Measure:
    """The ir-measures object of a measure name.

    Raises InputError for a name that ir-measures does not know and for options that no value
    can be calculated with: cutoffs and grades out of range, fractions that are none.
    """
    import ir_measures

    shown = repr(name)[:60]
    try:
        if not isinstance(name, ir_measures.Measure) and not _NAME.fullmatch(name):
            raise ValueError("other Python than a measure's notation")
        measure = ir_measures.parse_measure(name)
        measure.validate_params()
    except (
        NameError, ValueError, KeyError, TypeError, AttributeError, AssertionError,
        RecursionError, MemoryError,
    ) as error:  # fmt: skip
        raise InputError(
            f"measure {shown} is unknown; expected ir-measures notation, e.g. 'nDCG@10' or 'R@100'"
        ) from error
    for option, value in measure.params.items():
        if expected := _out_of_range(option, value):
            raise InputError(
                f"measure {shown} is unknown: {option} {str(value)[:30]}, expected {expected}"
            )
    return measure


def _out_of_range(option: str, value: Any) -> str | None:
    """What an option of a measure should have been, None where its value will do."""
    whole = type(value) is int
    if option == "cutoff" and not (whole and 1 <= value <= _DEEPEST):
        return f"a rank from 1 to {_DEEPEST}"
    if option in ("rel", "max_rel") and not (whole and 1 <= value <= _HIGHEST):
        return f"a grade from 1 to {_HIGHEST}"
    if option == "recall" and not (0 <= value <= 1 and round(value, 2) == value):
        return "a fraction of 1 with at most two decimals"
    if option in ("p", "alpha") and not 0 < value < 1:
        return "a fraction between 0 and 1"
    if option in ("beta", "T") and not (math.isfinite(value) and value > 0):
        return "a finite number above 0"
    if option == "gains":
        gains = [*value, *value.values()]
        if not all(type(number) is int and 0 <= number <= _HIGHEST for number in gains):
            return f"whole numbers from 0 to {_HIGHEST}"
    return None


def _checked_qrels(qrels: Qrels) -> dict[str, dict[str, int]]:
    """The judgements with plain whole grades, every one below 0 as -1."""
    if not isinstance(qrels, Mapping):
        raise InputError(
            f"qrels: {type(qrels).__name__}, expected {{query id: {{document id: grade}}}}"
        )
    if not qrels:
        raise InputError("no qrels: there is no query to evaluate")
    judged = {}
    for qid, grades in qrels.items():
        _check_ids("qrels: query id", [qid])
        if not isinstance(grades, Mapping):
            raise InputError(
                f"qrels: query {qid!r}: {type(grades).__name__}, expected {{document id: grade}}"
            )
        _check_ids(f"qrels: query {qid!r}: document id", list(grades))
        judged[qid] = {docid: _grade(qid, docid, grade) for docid, grade in grades.items()}
    return judged


def _grade(qid: str, docid: str, grade: Any) -> int:
    if type(grade) is int and -1 <= grade <= _HIGHEST:
        return grade
    whole = isinstance(grade, int | float | np.integer | np.floating) and grade == grade // 1
    if whole and -math.inf < grade <= _HIGHEST:
        return max(int(grade), -1)
    raise InputError(
        f"qrels: query {qid!r}, document {docid!r}: grade {str(grade)[:30]!r}, expected a whole "
        f"number up to {_HIGHEST}"
    )


def _checked_run(run: Run) -> Run:
    """The run in canonical order, its ids and scores checked."""
    if not isinstance(run, Mapping):
        raise InputError(
            f"run: {type(run).__name__}, expected {{query id: [(document id, score), ...]}}"
        )
    checked: Run = {}
    for qid, results in run.items():
        _check_ids("run: query id", [qid])
        try:
            checked |= canonical({qid: results})
        except InputError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"run: query {qid!r}: expected [(document id, score), ...] with numbers as scores "
                f"({error})"
            ) from error
        _check_ids(f"run: query {qid!r}: document id", [docid for docid, _ in checked[qid]])
    return checked


def _check_ids(what: str, ids: list[Any]) -> None:
    for value in ids:
        if not isinstance(value, str):
            raise InputError(
                f"{what} {str(value)[:40]} is {type(value).__name__}, expected a text such as '12'"
            )
    if _BREAK.search("".join(ids)):
        bad = next(value for value in ids if _BREAK.search(value))
        raise InputError(f"{what} {bad!r}: holds NUL or a line break; remove it")


def _notes(run: Run, judged: Qrels) -> tuple[str, ...]:
    empty = [qid for qid in judged if not run.get(qid)]
    unjudged = [qid for qid in run if qid not in judged]
    notes = []
    if empty:
        notes.append(
            f"{len(empty)} of {len(judged)} judged queries have no results and score 0 "
            f"(first: {empty[0]!r})"
        )
    if unjudged:
        notes.append(
            f"{len(unjudged)} queries of the run are not judged and do not count "
            f"(first: {unjudged[0]!r})"
        )
    return tuple(notes)


def _without_perl(
    measure: ir_measures.Measure, qrels: dict[str, dict[str, int]]
) -> ir_measures.Measure:
    """nDCG with exponential gain as nDCG with a table of gains, which needs no Perl script."""
    import ir_measures

    if measure.NAME != "nDCG" or measure["dcg"] != "exp-log2" or "gains" in measure.params:
        return measure
    grades = {grade for judged in qrels.values() for grade in judged.values() if grade > 0}
    if 2 ** max(grades, default=0) > _HIGHEST:
        raise InputError(
            f"{measure}: grade {max(grades)} is too high for an exponential gain; map the grades "
            "to 0, 1, 2, ..."
        )
    params = {**measure.params, "gains": {grade: 2**grade - 1 for grade in sorted(grades)}}
    params.pop("dcg")
    return ir_measures.nDCG(**params)


def _calculate(
    measure: ir_measures.Measure,
    qrels: dict[str, dict[str, int]],
    ranked: dict[str, dict[str, float]],
) -> dict[str, float]:
    """The measure's value for every query that it has one for."""
    import ir_measures

    if measure.NAME == "Judged":  # ir-measures counts whatever the qrels list
        qrels = {q: {d: g for d, g in grades.items() if g >= 0} for q, grades in qrels.items()}
    highest = max((grade for grades in qrels.values() for grade in grades.values()), default=0)
    if measure.NAME == "ERR" and highest > 4:
        raise InputError(
            f"{measure}: grade {highest}, and ERR takes grades up to 4; map the grades"
        )
    measure = _without_perl(measure, qrels)
    try:
        found = {
            m.query_id: float(m.value) for m in ir_measures.iter_calc([measure], qrels, ranked)
        }
    except (
        ValueError, TypeError, KeyError, ArithmeticError, RuntimeError, ImportError, MemoryError,
        subprocess.SubprocessError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"cannot calculate {measure} ({reason}); use another") from error
    if odd := [value for value in found.values() if not math.isfinite(value)]:
        raise InputError(f"cannot calculate {measure} (a value is {odd[0]}); use another")
    return found
