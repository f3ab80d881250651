"""A fresh number is held against the published one by what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ir_replications.reports.claims.drift import Comparison, _limit, compare
from ir_replications.reports.claims.kinds import Kind, Rule, load_numbers, numbers_of
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.records.record import Record
from ir_replications.shared.errors import InputError
from tests.reports.example import CLAIMS, record, records, write_paper

BOUND = """
[[claim]]
id = "E"
text = "Ours is exact."
tiers = ["small"]
comparable = false
[claim.check]
kind = "bound"
select = { system = "bm25" }
fact = "max_error"
op = "<="
value = 1e-9
"""


def cell(facts: dict[str, Any], mean: float = 0.5, **fields: Any) -> Record:
    return record("bm25", "a", mean, facts=facts, **fields)


def held(
    folder: Path, old: Record | list[Record], new: Record | list[Record], spread: float = 0.0
) -> Comparison:
    place = write_paper(folder, CLAIMS + BOUND)
    numbers = load_numbers(place)
    if spread:
        numbers = replace(numbers, spreads={"small": {"E1": {"loss.#": spread}}})
    sides = [side if isinstance(side, list) else [side] for side in (old, new)]
    return compare(load_paper(place), numbers, *sides)


@pytest.mark.parametrize(
    ("name", "was", "same", "other", "kind"),
    [
        ("n", 10, 10, 11, "exact"),
        ("rho", {"x": 0.5}, {"x": 0.5 * (1 + 5e-10)}, {"x": 0.5 * (1 + 5e-9)}, "float64"),
        ("max_error", 1e-12, 9e-10, 2e-9, "error-bound"),
        ("gap", 1e-9, 9e-7, 2e-6, "error-bound"),
        ("logit", 3.0, 3.0 * (1 + 5e-6), 3.0 * (1 + 5e-5), "float32"),
        ("loss", [1.0, 2.0], [1.0, 2.019], [1.0, 2.021], "trained"),
    ],
)
def test_a_number_is_compared_as_what_it_is(
    tmp_path: Path, name: str, was: Any, same: Any, other: Any, kind: str
) -> None:
    good = held(tmp_path, cell({name: was}), cell({name: same}), spread=0.002)
    assert good.disagreements == () and good.compared[kind] >= 1
    bad = held(tmp_path, cell({name: was}), cell({name: other}), spread=0.002)
    (line,) = bad.disagreements
    assert line.startswith("toy/small/E1/a bm25: ") and name in line
    assert bad.deviation[kind] > good.deviation[kind]


def test_deviations_are_relative_or_shares_of_their_limit(tmp_path: Path) -> None:
    found = held(
        tmp_path,
        cell({"rho": {"x": 2.0}, "max_error": 1e-20, "loss": [1.0], "n": 3}),
        cell({"rho": {"x": 2.0 + 2e-9}, "max_error": -5e-10, "loss": [1.005], "n": 3}),
        spread=0.002,
    )
    assert found.deviation["float64"] == pytest.approx(1e-9, rel=1e-6)
    assert found.deviation["error-bound"] == pytest.approx(0.5)
    assert found.deviation["trained"] == pytest.approx(0.25)
    assert found.deviation["exact"] == 0 and found.compared["exact"] == 1
    # Two means and forty values of nDCG@10 count as three: a measure's queries are one value.
    assert found.compared["float64"] == 4


def test_training_without_a_measured_spread_has_no_pinned_number(tmp_path: Path) -> None:
    found = held(tmp_path, cell({"loss": [1.0]}), cell({"loss": [5.0]}))
    assert found.disagreements == () and found.compared["trained"] == 0


def test_text_and_speed_are_never_compared(tmp_path: Path) -> None:
    old = cell({"text": "a", "time_s": 1.0, "index": {"speed_docs": 5}})
    new = cell({"text": "b", "time_s": 9.0, "index": {"speed_docs": 1}})
    assert held(tmp_path, old, new).disagreements == ()


def test_true_is_not_one_and_nothing_is_not_zero(tmp_path: Path) -> None:
    for was, now in ((1, True), (0, None), ("1", 1)):
        assert held(tmp_path, cell({"n": was}), cell({"n": now})).disagreements


def test_means_and_queries_that_moved_are_named(tmp_path: Path) -> None:
    first, second = held(tmp_path, cell({}), cell({}, mean=0.51)).disagreements
    assert "nDCG@10 was 0.5, is now 0.51" in first
    assert "moved on 40 queries" in second


def test_what_one_side_lacks_is_named(tmp_path: Path) -> None:
    (line,) = held(tmp_path, cell({"n": 1, "rho": {"x": 0.5}}), cell({"n": 1})).disagreements
    assert line == "toy/small/E1/a bm25: rho.x is gone; publish the records again"
    (line,) = held(tmp_path, cell({}), cell({"n": 1})).disagreements
    assert line == "toy/small/E1/a bm25: n is new; publish the records again"
    (line,) = held(tmp_path, [], records()).disagreements
    assert line.startswith(f"{len(records())} cells have no published record, e.g. toy/small/E1/")


def test_a_failed_cell_and_other_data(tmp_path: Path) -> None:
    (line,) = held(tmp_path, cell({}), cell({}, error="boom")).disagreements
    assert "was ok, is now error (boom)" in line
    found = held(tmp_path, cell({}), cell({}, mean=0.9, provenance={"data": {"a": "bb"}}))
    assert found.disagreements == () and "other data or models" in found.left_out[0]


def test_another_instruction_set_is_said(tmp_path: Path) -> None:
    sets = [{"cpu": {"instruction_set": name}} for name in ("AVX512", "AVX2")]
    old, new = (cell({"n": n}, provenance=known) for n, known in enumerate(sets))
    (line,) = held(tmp_path, old, new).disagreements
    assert line.endswith("(other instruction set: AVX2, published with AVX512)")


def test_a_number_without_a_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"numbers\.toml: no kind for 'rho\.y' of E1; add"):
        held(tmp_path, cell({"rho": {"y": 1}}), cell({"rho": {"y": 1}}))


def test_an_error_without_a_bound_is_refused(tmp_path: Path) -> None:
    other = [record("double", "a", 0.5, facts={"max_error": 0.0})]  # the claim is on bm25
    with pytest.raises(InputError, match="no claim bounds the error 'max_error'"):
        held(tmp_path, other, other)


def float32(relative: str, names: str = '["x"]') -> str:
    return f'[[E1.float32]]\nnames = {names}\nrelative = {relative}\nreason = "r"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[E1]\nfloat46 = ["x"]', "key 'float46' is unknown"),
        ('[E1]\nexact = ["x"]\nmachine = ["x"]', "key 'machine' names 'x', which has a kind"),
        ('[[E1.float32]]\nnames = ["x"]\nrelative = 1e-5', "key 'reason' is missing"),
        ("[E1.bounds]\nx = true", "key 'x' must be a number"),
        ("[E1.bounds]\nx = inf", "key 'x' must be a number"),
        ("[E1.bounds]\nx = 0", "key 'x' must be a number above 0"),
        ("[E1.bounds]\nx = -1e-6", "key 'x' must be a number above 0"),
        (f"[E1.bounds]\nx = 0x{'f' * 9999}", "found <number of 39996 bits>"),
        (float32("nan"), "key 'relative' must be a number"),
        (float32("inf"), "key 'relative' must be a number"),
        (float32("0"), "key 'relative' must be a number above 0"),
        (float32("-1e-5"), "key 'relative' must be a number above 0"),
        (float32("2"), "key 'relative' must be a number from -1e.15 to 1"),
        (float32("1e-5", "[]"), "key 'names' must not be empty"),
        (float32("1e-5", '[""]'), "key 'names' must be a list of texts"),
        ("x = 1", "key 'x' must be a table"),
        ("[E1", "not valid TOML"),
        (f"[E1]\nexact = {'[' * 100000}", "not valid TOML .nested too deeply"),
        (f"[E1]\nexact = {'9' * 9999}", "not valid TOML .a number of too many digits"),
    ],
)
def test_declarations_are_checked(tmp_path: Path, text: str, message: str) -> None:
    folder = write_paper(tmp_path, numbers=text)
    with pytest.raises(InputError, match=message.replace("[", r"\[")) as error:
        load_numbers(folder)
    assert str(error.value).startswith(str(folder / "numbers.toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "expected an object"),
        ('{"spreads": []}', "expected an object"),
        ('{"spreads": {"small": []}}', r"small is \[\]; expected"),
        ('{"spreads": {"big": {}}}', "big is {}; expected tier"),
        ('{"spreads": {"small": {"E1": 1}}}', r"small.E1 is 1; expected"),
        ('{"spreads": {"small": {"E1": {"loss.#": -1}}}}', r"small.E1.loss.# is -1; expected"),
        ('{"spreads": {"small": {"E1": {"loss.#": true}}}}', r"small.E1.loss.# is True"),
        ('{"spreads": {"small": {"E1": {"loss.#": "1"}}}}', r"small.E1.loss.# is '1'"),
        ('{"spreads": {"small": {"E1": {"loss.#": 1e999}}}}', r"small.E1.loss.# is inf"),
        ('{"spreads": {"small": {"E1": {"loss.#": NaN}}}}', "NaN is no JSON number"),
        (f'{{"spreads": {{"small": {{"E1": {{"x": 1{"0" * 400}}}}}}}}}', "number of 1329 bits"),
        ('{"spreads": {"small": {"E1": {"x": 1, "x": 2}}}}', "'x' is given twice"),
    ],
)
def test_measured_spreads_are_checked(tmp_path: Path, text: str, message: str) -> None:
    folder = write_paper(tmp_path)
    (folder / "spreads.json").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_numbers(folder)
    assert str(error.value).startswith(str(folder / "spreads.json"))


def test_the_nearest_declaration_decides(tmp_path: Path) -> None:
    text = '[all]\nexact = ["a*"]\n[E1]\nmachine = ["*"]\nsampled = ["ab*"]\nfloat64 = ["abc"]\n'
    numbers = load_numbers(write_paper(tmp_path, numbers=text))
    found = {name: numbers.rule("E1", name).kind for name in ("abc", "abd", "ac")}
    assert found == {"abc": Kind.FLOAT64, "abd": Kind.SAMPLED, "ac": Kind.MACHINE}
    assert numbers.rule("E2", "abc").kind is Kind.EXACT


def test_names_of_nested_facts() -> None:
    facts = {"n": 1, "a": {"b": [2, {"c.d": 3}]}, "e": []}
    assert numbers_of(facts) == {
        ("n", "n"): 1, ("a.b.#", "a.b.0"): 2, ("a.b.#.c.d", "a.b.1.c.d"): 3,
    }  # fmt: skip


@pytest.mark.parametrize(("moved", "agrees"), [(0.024, True), (0.026, False)])
def test_a_trained_mean_over_queries_may_move_by_one_swap_in_one_of_them(
    moved: float, agrees: bool
) -> None:
    """Ranks change in steps: no spread is measured until one arithmetic swaps two documents."""

    class Measured:
        place = "numbers.toml"

        def spread(self, *_: str) -> float:
            return 0.0

    found = record("double", "beir/alpha", 0.6)
    twenty = {"nDCG@10": dict(list(found.per_query["nDCG@10"].items())[:20])}
    mean = sum(twenty["nDCG@10"].values()) / 20
    trained = replace(found, per_query=twenty, means={"nDCG@10": mean})
    limit = _limit(Rule(Kind.TRAINED), None, Measured(), trained, "nDCG@10")  # type: ignore[arg-type]
    assert limit is not None and (moved <= limit) == agrees
    other = _limit(Rule(Kind.TRAINED), None, Measured(), trained, "curve.loss")  # type: ignore[arg-type]
    assert other == 1e-6, "no mean over queries"
