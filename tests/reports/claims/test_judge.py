"""Judging a paper: selection, seeds, families, gates and what is not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_replications.reports.claims.findings import Finding
from ir_replications.reports.claims.judge import Cell, Judgement, cell_counts, judge
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.claims.types import Paper
from ir_replications.reports.records.record import Record
from tests.reports.example import CLAIMS, record, records, values, write_paper

HEAD = '[paper]\ntitle = "Toy"\n'


def claim(check: str, extra: str = "comparable = true", name: str = "C1") -> str:
    return f'\n[[claim]]\nid = "{name}"\ntext = "t"\n{extra}\n[claim.check]\n{check}\n'


def judged(tmp_path: Path, text: str, found: list[Record], tier: str = "small") -> Judgement:
    return judge(load_paper(write_paper(tmp_path, text)), found, tier)


def words(judgement: Judgement) -> dict[str, str]:
    return {finding.id: finding.verdict.word for finding in judgement.findings}


def only(judgement: Judgement) -> Finding:
    (finding,) = judgement.findings
    return finding


EFFECT = """
kind = "effect"
where = {experiment = "E1"}
a = {system = "double"}
b = {system = "bm25"}
expect = "greater"
"""


@pytest.fixture
def example(tmp_path: Path) -> dict[str, Judgement]:
    paper = load_paper(write_paper(tmp_path))
    return {tier: judge(paper, records(), tier) for tier in ("embedded", "small", "paper")}


def test_words_of_the_example(example: dict[str, Judgement]) -> None:
    assert words(example["embedded"]) == {
        "C1": "differs (higher)",
        "C2[toydocs]": "direction only",
    }
    assert words(example["small"]) == {
        "C1": "not run",
        "C2[beir/alpha]": "reproduced",
        "C2[beir/beta]": "differs (lower)",
        "C3": "reproduced",
    }
    assert set(words(example["paper"]).values()) == {"not run"}


def test_numbers_of_an_effect_by_hand(example: dict[str, Judgement]) -> None:
    found = {finding.id: finding for finding in example["small"].findings}
    alpha, beta = found["C2[beir/alpha]"], found["C2[beir/beta]"]
    assert alpha.effect is not None and beta.effect is not None
    assert alpha.value == pytest.approx(100 * (0.6 - 0.5004))
    assert alpha.effect.n == 40
    assert alpha.ratio == pytest.approx(9.96 / 10)
    # RI of the paper is 10/50, ours 9.96/50.04.
    assert alpha.delta_ri == pytest.approx(10 / 50 - 9.96 / 50.04)
    assert beta.ratio == pytest.approx(-5 / 4.7)
    # Two claims in the family, each with the least p of 10,000 sign patterns, 1/10,001.
    assert alpha.effect.p == pytest.approx(1 / 10_001)
    assert alpha.p_holm == beta.p_holm == pytest.approx(2 / 10_001)
    assert alpha.effect.low < alpha.effect.difference < alpha.effect.high


def cells(judgement: Judgement, table: str) -> dict[tuple[int, int], Cell]:
    return {(c.row, c.column): c for c in judgement.cells if c.table == table}


def test_table_cells_by_hand(example: dict[str, Judgement]) -> None:
    found = cells(example["small"], "T2")
    verdicts = {key: cell.verdict.word if cell.verdict else None for key, cell in found.items()}
    assert verdicts == {
        (0, 0): "reproduced",  # 50.04 rounds to 50.0
        (0, 1): "within tolerance",  # 40.0 against 40.3 with a band of .5
        (0, 3): "reproduced",  # mean of 50.04 and 40.00 is 45.02
        (1, 0): "reproduced",
        (1, 1): "reproduced",
        (1, 3): None,  # no sourced value: our number stands without a verdict
    }
    assert found[1, 3].ours == pytest.approx(47.5)
    assert cell_counts(example["small"].cells) == {
        cell.verdict: n for cell, n in ((found[0, 0], 4), (found[0, 1], 1)) if cell.verdict
    }


def test_not_run_cells_hold_no_number_but_a_command(example: dict[str, Judgement]) -> None:
    found = cells(example["paper"], "T2")
    assert all(cell.ours is None for cell in found.values())
    (selector,) = found[0, 2].selectors
    assert selector == {"experiment": "E1", "collection": "beir/gamma", "system": "bm25"}
    assert [s["collection"] for s in found[0, 3].selectors] == ["beir/alpha", "beir/beta"]
    assert (0, 2) not in cells(example["small"], "T2")  # gamma belongs to the paper tier only


def test_records_of_another_paper_are_left_aside(tmp_path: Path) -> None:
    foreign = record("double", "beir/alpha", 0.6, paper="other")
    text = HEAD + claim('kind = "value"\nselect = {system = "double"}\nvalue = 0.6')
    assert words(judged(tmp_path, text, [foreign])) == {"C1": "not run"}


def test_ambiguous_selector_is_an_error_that_names_the_keys(tmp_path: Path) -> None:
    text = HEAD + claim('kind = "value"\nselect = {system = "bm25"}\nvalue = 0.5')
    found = [record("bm25", "beir/a", 0.5, config={"k1": k}) for k in (0.9, 1.2)]
    finding = only(judged(tmp_path, text, found))
    assert finding.verdict.word == "error"
    assert "2 systems that differ in k1 = 0.9, 1.2" in finding.why


def test_failed_experiment_is_an_error_with_its_message(tmp_path: Path) -> None:
    text = HEAD + claim('kind = "value"\nselect = {system = "bm25"}\nvalue = 0.5')
    finding = only(judged(tmp_path, text, [record("bm25", "a", 0.5, error="boom")]))
    assert (finding.verdict.word, finding.why, finding.value) == ("error", "boom", None)


def test_missing_measure_is_an_error(tmp_path: Path) -> None:
    check = 'kind = "value"\nselect = {system = "bm25"}\nvalue = 0.5\nmeasure = "MAP"'
    finding = only(judged(tmp_path, HEAD + claim(check), [record("bm25", "a", 0.5)]))
    assert finding.verdict.word == "error" and "'MAP'" in finding.why


def test_bound_takes_the_worst_of_nested_facts(tmp_path: Path) -> None:
    text = HEAD + claim(
        'kind = "bound"\nselect = {system = "bm25"}\nfact = "rho.idf"\nop = "<"\nvalue = 0.0'
    )
    found = [
        record("bm25", "a", 0.5, facts={"rho": {"idf": [-0.9, -0.1]}}),
        record("bm25", "b", 0.5, facts={"rho": {"idf": -0.5}}),
    ]
    finding = only(judged(tmp_path, text, found))
    assert (finding.verdict.word, finding.value) == ("reproduced", -0.1)


def test_empty_selector_value_matches_an_absent_one(tmp_path: Path) -> None:
    text = HEAD + claim(
        'kind = "value"\nselect = {system = "bm25", k1 = ""}\nvalue = 0.5\ndecimals = 1'
    )
    found = [record("bm25", "a", 0.5), record("bm25", "a", 0.7, config={"k1": 0.9})]
    assert words(judged(tmp_path, text, found)) == {"C1": "reproduced"}


def seeds(system: str, means: list[float], collection: str = "a") -> list[Record]:
    return [record(system, collection, mean, seed=seed) for seed, mean in enumerate(means)]


def test_effect_must_hold_over_queries_and_over_seeds(tmp_path: Path) -> None:
    text = HEAD + claim(EFFECT)
    steady = seeds("double", [0.59, 0.6, 0.61, 0.6, 0.6]) + seeds("bm25", [0.5] * 5)
    finding = only(judged(tmp_path, text, steady))
    assert finding.verdict.word == "reproduced"
    assert finding.effect is not None and finding.effect.seeds == 5
    assert finding.effect.seed_differences == pytest.approx([9, 10, 11, 10, 10])  # points
    # The same differences of the seed means on every query, but the seeds disagree: -.4 .1 .6 -.3
    # .5 have s = .4528, t = .1 / (s / sqrt 5) = .4938 with 4 degrees of freedom, p = .6473.
    wild = seeds("double", [0.1, 0.6, 1.1, 0.2, 1.0]) + seeds("bm25", [0.5] * 5)
    finding = only(judged(tmp_path, text, wild))
    assert finding.effect is not None
    assert finding.effect.difference == pytest.approx(10)
    assert finding.effect.p == pytest.approx(0.6473, abs=1e-4)
    assert finding.effect.low < 0 < finding.effect.high
    assert finding.verdict.word == "inconclusive"


def test_a_seed_that_failed_is_not_passed_over(tmp_path: Path) -> None:
    failed = record("double", "a", 0.6, seed=3, error="out of memory")
    found = seeds("double", [0.6, 0.6, 0.61]) + seeds("bm25", [0.5] * 4) + [failed]
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), found))
    assert finding.verdict.word == "error"
    assert "1 of 4 runs failed; the first: out of memory" in finding.why


def test_a_bound_is_not_about_a_users_own_folder(tmp_path: Path) -> None:
    text = HEAD + claim('kind = "bound"\nselect = {experiment = "E1"}\nop = ">"\nvalue = 0.4\n')
    found = [record("bm25", "beir/alpha", 0.5), record("bm25", "local/tiny", 0.1)]
    assert only(judged(tmp_path, text, found)).verdict.word == "reproduced"


def test_fewer_seeds_than_planned_are_preliminary(tmp_path: Path) -> None:
    text = HEAD + claim(EFFECT + "seeds = 5\n")
    means = [0.59, 0.6, 0.61, 0.6, 0.6]
    whys = [
        only(judged(tmp_path, text, seeds("double", means[:n]) + seeds("bm25", [0.5] * n))).why
        for n in (3, 5)
    ]
    assert whys[0].endswith("; preliminary: 3 of 5 seeds") and "preliminary" not in whys[1]


def test_baseline_without_seed_is_a_constant(tmp_path: Path) -> None:
    found = [*seeds("double", [0.59, 0.6, 0.61]), record("bm25", "a", 0.5)]
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), found))
    assert finding.effect is not None
    assert finding.effect.seed_differences == pytest.approx([9, 10, 11])


def test_seeds_must_be_shared(tmp_path: Path) -> None:
    other = [record("bm25", "a", 0.5 + 0.01 * s, seed=s) for s in (7, 8)]
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), seeds("double", [0.6, 0.7]) + other))
    assert finding.verdict.word == "error" and "same seeds" in finding.why


def test_measure_without_queries_is_compared_over_seeds(tmp_path: Path) -> None:
    def run(system: str, seed: int, gain: float) -> Record:
        return record(system, "a", 0.5, seed=seed, facts={"gain": gain})

    found = [run("double", s, 1.0 + 0.1 * s) for s in range(4)]
    found += [run("bm25", s, 0.5) for s in range(4)]
    finding = only(judged(tmp_path, HEAD + claim(EFFECT + 'measure = "gain"'), found))
    assert finding.effect is not None
    # differences .5 .6 .7 .8: mean .65, s = .1291, t(.975, 3) = 3.1824, half width .2054
    assert (finding.effect.unit, finding.effect.n) == ("seeds", 4)
    assert (finding.effect.low, finding.effect.high) == pytest.approx((0.4446, 0.8554), abs=1e-4)


def test_sides_must_share_queries_and_data(tmp_path: Path) -> None:
    short = Record.create(
        paper="toy", experiment="E1", tier="small", label="x",
        config={"system": "bm25", "collection": "a"},
        means={"nDCG@10": 0.5}, per_query={"nDCG@10": values(0.5, n=38)},
    )  # fmt: skip
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), [record("double", "a", 0.6), short]))
    assert finding.verdict.word == "error" and "2 are not in both" in finding.why
    moved = record("bm25", "a", 0.5, provenance={"data": {"a": "bb"}})
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), [record("double", "a", 0.6), moved]))
    assert finding.verdict.word == "error" and "different versions of a" in finding.why


def test_mean_over_part_of_the_papers_collections_shows_direction_only(tmp_path: Path) -> None:
    macro = EFFECT + 'pool = "macro"\nover = ["a", "b"]'
    pair = [record("double", "a", 0.7, spread=0.25), record("bm25", "a", 0.5)]
    finding = only(judged(tmp_path, HEAD + claim(macro), pair))
    assert finding.verdict.word == "direction only"
    pair += [record("double", "b", 0.6, spread=0.25), record("bm25", "b", 0.5)]
    finding = only(judged(tmp_path, HEAD + claim(macro), pair))
    assert finding.verdict.word == "reproduced"
    assert finding.effect is not None
    assert finding.effect.difference == pytest.approx(
        15
    )  # points; every collection weighs the same
    assert dict(finding.effect.groups) == pytest.approx({"a": 20, "b": 10})


def test_inner_list_weighs_as_one_collection(tmp_path: Path) -> None:
    macro = EFFECT + 'pool = "macro"\nover = ["a", ["b", "c"]]'
    column = 'columns = [{label = "x", over = ["a", ["b", "c"]]}]\nours = {system = "double"}'
    text = f'{HEAD}[[table]]\nid = "T"\ntitle = "t"\n{column}\n[[table.row]]\nlabel = "r"\n'
    means = {"a": 0.8, "b": 0.6, "c": 0.5}
    found = [record("bm25", name, 0.4) for name in means]
    found += [record("double", name, mean, spread=0.25) for name, mean in means.items()]
    result = judged(tmp_path, text + claim(macro), found)
    # (0.8 + (0.6 + 0.5) / 2) / 2 = 0.675; the difference is (.4 + (.2 + .1) / 2) / 2 = .275
    assert result.cells[0].ours == pytest.approx(67.5)
    effect = only(result).effect
    assert effect is not None
    assert effect.difference == pytest.approx(27.5)
    assert (effect.low + effect.high) / 2 == pytest.approx(27.5, abs=0.3)


def test_named_groups_exclude_a_users_own_collection(tmp_path: Path) -> None:
    text = HEAD + claim(EFFECT + 'each = "collection"\nover = {small = ["a", "b"]}')
    found = [record(s, c, m) for c in ("a", "mine") for s, m in (("double", 0.7), ("bm25", 0.5))]
    assert set(words(judged(tmp_path, text, found))) == {"C1[a]", "C1[b]"}


def test_equivalence_of_equal_systems(tmp_path: Path) -> None:
    check = 'kind = "equivalent"\na = {system = "double"}\nb = {system = "bm25"}\nbound = 0.01'
    same = [record("double", "a", 0.5), record("bm25", "a", 0.5)]
    assert words(judged(tmp_path, HEAD + claim(check), same)) == {"C1": "reproduced"}
    apart = [record("double", "a", 0.6), record("bm25", "a", 0.5)]
    assert words(judged(tmp_path, HEAD + claim(check), apart)) == {"C1": "differs (higher)"}


def test_families_are_corrected_apart(tmp_path: Path) -> None:
    text = HEAD + claim(EFFECT, "comparable = true", "A")
    text += claim(EFFECT, 'comparable = true\nfamily = "secondary"', "B")
    pair = [record("double", "a", 0.6, spread=0.25), record("bm25", "a", 0.5)]
    for finding in judged(tmp_path, text, pair).findings:
        assert finding.effect is not None
        assert finding.p_holm == finding.effect.p


def test_gate_that_fails_makes_later_claims_inconclusive(tmp_path: Path) -> None:
    gate = claim('kind = "value"\nselect = {system = "teacher"}\nvalue = 0.9', name="C0")
    text = HEAD + claim(EFFECT, 'comparable = true\nrequires = ["C0"]') + gate
    pair = [record("double", "a", 0.6, spread=0.25), record("bm25", "a", 0.5)]
    finding = judged(tmp_path, text, pair).findings[0]
    assert finding.verdict.word == "inconclusive"
    assert finding.why == "its precondition C0: not run"
    passed = [*pair, record("teacher", "a", 0.9, spread=0.05)]
    assert words(judged(tmp_path, text, passed))["C1"] == "reproduced"
    failed = [*pair, record("teacher", "a", 0.7)]
    assert words(judged(tmp_path, text, failed))["C1"] == "inconclusive"


def test_example_is_judged_alike_twice(tmp_path: Path) -> None:
    paper = load_paper(write_paper(tmp_path, CLAIMS))
    assert judge(paper, records(), "small") == judge(paper, list(reversed(records())), "small")


def _one_cell(tmp_path: Path, more: str = "") -> Paper:
    """A paper with one table of one cell, printed value 0.5; `more` is added to its row."""
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "claims.toml").write_text(
        '[paper]\ntitle = "P"\n[sources.S]\ntitle = "S"\ntrust = "primary"\n'
        '[[table]]\nid = "t"\ntitle = "T"\nsource = "S"\ndecimals = 1\n'
        'columns = [{ label = "A", ours = { collection = "a" } }]\n'
        f'[[table.row]]\nlabel = "row"\nvalues = [0.5]\n{more}\n'
    )
    return load_paper(folder)


def test_a_row_that_is_not_run_here_shows_its_printed_value_alone(tmp_path: Path) -> None:
    paper = _one_cell(tmp_path, "ours = false")
    judged = judge(paper, [], "small")
    (cell,) = judged.cells
    assert (cell.paper, cell.verdict, cell.values, cell.selectors) == (50, None, (), ())
    assert cell_counts(judged.cells) == {}


def test_numbers_on_other_data_than_pinned_are_not_compared(tmp_path: Path) -> None:
    paper = _one_cell(tmp_path)
    fields = {
        "paper": "paper",
        "experiment": "E2",
        "tier": "small",
        "label": "x",
        "config": {"collection": "a"},
        "means": {"nDCG@10": 0.5},
    }
    words = []
    for provenance in ({}, {"data_mismatch": ["a: 3 documents, pinned 4"]}):
        found = Record.create(**fields, provenance=provenance)
        words.append(judge(paper, [found], "small").cells[0].verdict)
    assert [word and word.word for word in words] == ["reproduced", "not comparable"]


MEAN = """
kind = "value"
select = {experiment = "E1"}
over = ["beir/alpha", "beir/beta"]
value = 52.5
scale = 100
decimals = 1
"""


def test_a_value_over_collections_is_their_mean(tmp_path: Path) -> None:
    found = [
        record("bm25", name, value)
        for name, value in (("beir/alpha", 0.4), ("beir/beta", 0.65), ("beir/gamma", 0.9))
    ]
    finding = only(judged(tmp_path, HEAD + claim(MEAN), found))
    assert finding.value == pytest.approx(52.5)
    assert (finding.verdict.word, len(finding.records)) == ("reproduced", 2)
    less = MEAN.replace("value = 52.5", "value = 8.0\nsubtract_from = 60.5")
    finding = only(judged(tmp_path, HEAD + claim(less), found))
    assert (finding.value, finding.verdict.word) == (pytest.approx(8.0), "reproduced")
    finding = only(judged(tmp_path, HEAD + claim(less.replace("8.0", "7.9")), found))
    assert finding.verdict.word == "differs (higher)"
    finding = only(judged(tmp_path, HEAD + claim(MEAN), found[:1]))
    assert (finding.verdict.word, finding.why) == ("not run", "1 of 2 collections not run")
    assert "--collection beir/alpha --collection beir/beta" in finding.command
    assert finding.value is None
    broken = [found[0], record("bm25", "beir/beta", 0.65, error="no disk")]
    finding = only(judged(tmp_path, HEAD + claim(MEAN), broken))
    assert (finding.verdict.word, finding.why) == ("error", "no disk")
