"""What a bench says of made-up systems: the sentence, tests, power, the Pareto front."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from ir_replications.reports.bench.files import bench_json, per_query_csv, systems_csv
from ir_replications.reports.bench.findings import Bench, Entry, find
from ir_replications.reports.pages.formatting import MINUS
from ir_replications.shared.evaluation.significance import holm, randomization_test
from tests.reports.bench.example import BASE, BETTER, NOISY, QIDS, TEXTS, WORSE, entry


def found(*entries: Entry) -> Bench:
    return find(entries, TEXTS, preset="quick", command="replicate bench own")


FOUR = (
    entry("bm25", BASE, 1.0),
    entry("slow", BETTER, 900.0),
    entry("noisy", NOISY, 0.5),
    entry("worse", WORSE, 2.0),
)


def test_the_answer_names_what_helps_with_its_gain_and_cost() -> None:
    bench = found(*FOUR)
    assert bench.answer.startswith("slow helps on own: +17.5 points of nDCG@10 (95 % interval +")
    assert "over bm25 on 40 queries, at 900 ms a query in place of 1 ms" in bench.answer
    assert bench.best == "slow"
    assert any(note.startswith(f"Worse than bm25: worse ({MINUS}17.5)") for note in bench.notes)


def test_the_cheapest_that_helps_is_named_beside_the_best() -> None:
    half = [(a + b) / 2 for a, b in zip(BASE, BETTER, strict=True)]
    bench = found(*FOUR, entry("cheap", half, 1.2))
    assert "; the cheapest that helps is cheap, +8.8 points" in bench.answer


def test_p_values_are_holms_over_all_but_the_baseline() -> None:
    rows = {row.name: row for row in found(*FOUR).rows}
    plain = [
        randomization_test([100 * v for v in values], [100 * v for v in BASE]).p
        for values in (BETTER, NOISY, WORSE)
    ]
    assert [rows[n].p for n in ("slow", "noisy", "worse")] == pytest.approx(holm(plain), abs=2e-4)
    assert rows["bm25"].p is None
    assert (rows["slow"].helps, rows["noisy"].helps, rows["worse"].hurts) == (True, False, True)


def test_a_record_that_is_read_again_gives_the_same_interval() -> None:
    def turned(of: Entry) -> Entry:
        values = of.record.per_query["nDCG@10"]
        other = {"nDCG@10": dict(reversed(values.items()))}
        return replace(of, record=replace(of.record, per_query=other))

    assert found(*map(turned, FOUR)).rows == found(*FOUR).rows


def test_few_queries_say_what_they_could_have_shown() -> None:
    bench = found(FOUR[0], FOUR[2])
    assert bench.answer.startswith(
        "No system can be told to be better than bm25 on 40 queries of own; the best of the "
        f"others, noisy: +0.5 points of nDCG@10 (95 % interval {MINUS}"
    )
    (note,) = [note for note in bench.notes if "four times in five" in note]
    least = bench.rows[1].detectable
    assert least is not None and 10 < least < 20  # 2.9 times 30.4 points over the root of 40
    assert f"a true difference of {least:.1f} points" in note


def test_queries_too_few_for_any_finding_are_said_to_be() -> None:
    def first(of: Entry, n: int) -> Entry:
        values = {"nDCG@10": dict(list(of.record.per_query["nDCG@10"].items())[:n])}
        means = {"nDCG@10": sum(values["nDCG@10"].values()) / n}
        return replace(of, record=replace(of.record, per_query=values, means=means))

    bench = found(first(FOUR[0], 5), first(FOUR[2], 5))
    assert bench.rows[1].detectable is None
    difference = bench.rows[1].difference
    assert difference is not None and difference.low == -math.inf
    (note,) = [note for note in bench.notes if "four times in five" in note]
    assert note.startswith("With so few queries no true difference, however large,")
    assert found(first(FOUR[0], 6), first(FOUR[2], 6)).rows[1].detectable is not None


def test_the_front_is_what_none_beats_in_both() -> None:
    rows = found(*FOUR, entry("same", BASE, 1.5)).rows
    assert {row.name for row in rows if row.front} == {"slow", "noisy"}


def test_without_judgements_it_says_so_and_ranks_by_similarity() -> None:
    near = {qid: ["d1", "d2"] for qid in QIDS}
    far = {qid: ["d9", "d2"] for qid in QIDS}
    bench = found(
        entry("bm25", None, 1.0, run=near),
        entry("near", None, 2.0, run=near),
        entry("far", None, 3.0, run=far),
    )
    assert bench.answer.startswith("own has no judgements, so nothing says which system is better")
    assert "near ranks most like bm25" in bench.answer and "1.00" in bench.answer
    assert [row.overlap for row in bench.rows] == [None, 1.0, 0.5]
    assert bench.best is None and not bench.judged
    two = found(entry("bm25", None, 1.0, run=near), entry("far", None, 3.0, run=far))
    assert "far ranks like bm25 (rank-biased overlap" in two.answer and "least" not in two.answer


def test_a_failed_system_is_named_and_not_compared() -> None:
    bench = found(FOUR[0], entry("broken", BASE, 1.0, error="no such model"), FOUR[1])
    assert "broken could not be run: no such model" in bench.notes
    assert bench.rows[1].difference is None
    assert bench.rows[2].p == pytest.approx(1 / 10_001)  # a family of one


def test_queries_are_those_of_the_largest_differences_with_both_rankings() -> None:
    bench = found(*FOUR)
    assert len(bench.helped) == 10 and not bench.hurt
    gains = [query.after - query.before for query in bench.helped]
    assert gains == sorted(gains, reverse=True)
    first = next(q for q in found(FOUR[0], FOUR[3]).hurt)
    assert first.after < first.before
    assert [each.docid for each in bench.helped[0].baseline] == ["d1", "d2"]
    assert bench.helped[0].baseline[0].text == "first document"


def test_files_hold_the_numbers_of_the_table() -> None:
    bench = found(*FOUR)
    rows = list(csv.DictReader(io.StringIO(systems_csv(bench))))
    assert [row["system"] for row in rows] == ["bm25", "slow", "noisy", "worse"]
    assert float(rows[1]["difference"]) == 17.5
    per_query = list(csv.DictReader(io.StringIO(per_query_csv(bench))))
    assert len(per_query) == 40 and float(per_query[0]["slow"]) == 60.0
    told = json.loads(bench_json(bench))
    assert told["answer"] == bench.answer and told["systems"][1]["difference"] == 17.5


def test_a_spreadsheet_runs_no_id() -> None:
    values = {"=1+1": 10.0, "-3": 20.0}
    bench = found(*FOUR)
    odd = Bench(**{**vars(bench), "per_query": {"bm25": values}})
    assert per_query_csv(odd).splitlines()[1:] == ["'=1+1,10.0", "-3,20.0"]
