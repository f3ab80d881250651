"""What no verdict may rest on: half a family, one training, few queries, a wide spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ir_replications.reports.claims.verdicts import MIN_QUERIES
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.evaluation.significance import macro_bootstrap
from tests.reports.claims.test_judge import EFFECT, HEAD, claim, judged, only, words
from tests.reports.example import record, values

POOLED = EFFECT.strip() + '\npool = "macro"\n'


def trained(system: str, means: list[float], collection: str = "a", **fields: Any) -> list[Record]:
    """Runs of a system that was trained here, one per seed."""
    facts = {"training": {"steps": 16}, **fields.pop("facts", {})}
    return [
        record(system, collection, mean, seed=seed, facts=facts, **fields)
        for seed, mean in enumerate(means)
    ]


def pair(
    gain: float, n: int, collection: str = "a", noise: float = 0.0, training: bool = False
) -> list[Record]:
    """Both systems of EFFECT on `n` queries: b at .5, a above by `gain`, alternately ± `noise`."""
    made = []
    for system, mean, spread in (("bm25", 0.5, 0.0), ("double", 0.5 + gain, noise)):
        queries = values(mean, spread, n)
        config: dict[str, Any] = {"system": system, "collection": collection}
        own = training and system == "double"
        made.append(
            Record.create(
                paper="toy", experiment="E1", tier="small", label=f"{collection} {system}",
                config={**config, "seed": 1} if own else config,
                means={"nDCG@10": mean}, per_query={"nDCG@10": queries},
                facts={"training": {"steps": 1}} if own else {},
            )
        )  # fmt: skip
    return made


def test_a_family_is_as_large_as_planned(tmp_path: Path) -> None:
    """One test at p = .017 holds alone; of four planned, three not run, it does not."""
    # 28 queries above and 12 below by the same amount: sign flips are the sign test.
    rows = {f"q{i}": 0.5 + (0.1 if i < 28 else -0.1) for i in range(40)}
    mean = sum(rows.values()) / 40
    better = Record.create(
        paper="toy", experiment="E1", tier="small", label="a double",
        config={"system": "double", "collection": "a"},
        means={"nDCG@10": mean}, per_query={"nDCG@10": rows},
    )  # fmt: skip
    found = [better, record("bm25", "a", 0.5, spread=0.0)]
    alone = only(judged(tmp_path, HEAD + claim(EFFECT), found))
    assert alone.verdict.word == "reproduced" and alone.p_holm is not None
    # Twice P(28 or more heads of 40 fair coins), by 10,000 sampled patterns.
    assert alone.p_holm == pytest.approx(2 * stats.binom.sf(27, 40, 0.5), abs=0.005)
    planned = [claim(EFFECT.replace('"double"', f'"later {i}"'), name=f"L{i}") for i in range(3)]
    text = HEAD + claim(EFFECT) + "".join(planned)
    judgement = judged(tmp_path, text, found)
    assert words(judgement) == {"C1": "inconclusive"} | {f"L{i}": "not run" for i in range(3)}
    first = judgement.findings[0]
    assert first.p_holm == pytest.approx(4 * alone.p_holm)


def test_one_training_of_a_side_is_preliminary(tmp_path: Path) -> None:
    text = HEAD + claim(EFFECT)
    base = [record("bm25", "a", 0.5)]
    finding = only(judged(tmp_path, text, [*trained("double", [0.6]), *base]))
    assert finding.verdict.word == "preliminary"
    assert finding.why.startswith("one training of a side; taken alone: reproduced")
    worse = only(judged(tmp_path, text, [*trained("double", [0.4]), *base]))
    assert worse.verdict.word == "preliminary" and "differs (lower)" in worse.why
    # Not so where nothing was trained here, with several trainings, or of the weights themselves.
    released = [record("double", "a", 0.6, seed=0), *base]
    assert only(judged(tmp_path, text, released)).verdict.word == "reproduced"
    several = [*trained("double", [0.59, 0.6, 0.61]), *base]
    assert only(judged(tmp_path, text, several)).verdict.word == "reproduced"
    gate = HEAD + claim(EFFECT + "these_weights = true\n")
    assert only(judged(tmp_path, gate, [*trained("double", [0.6]), *base])).verdict.word == (
        "reproduced"
    )


def test_two_trainings_against_one_are_preliminary(tmp_path: Path) -> None:
    found = [*trained("double", [0.59, 0.6, 0.61]), *trained("bm25", [0.5])]
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), found))
    assert finding.verdict.word == "preliminary"  # only seed 0 is on both sides


def test_equal_systems_trained_once_are_not_shown_to_be_equal(tmp_path: Path) -> None:
    text = HEAD + claim(EFFECT + "sesoi = 0.1\n")
    found = pair(0.001, 40, noise=0.01, training=True)
    assert only(judged(tmp_path, text, found)).verdict.word == "preliminary"
    found = pair(0.001, 40, noise=0.01)
    assert only(judged(tmp_path, text, found)).verdict.word == "negligible"


@pytest.mark.parametrize(
    ("n", "word"), [(4, "inconclusive"), (18, "inconclusive"), (20, "reproduced")]
)
def test_few_queries_bound_no_mean(tmp_path: Path, n: int, word: str) -> None:
    finding = only(judged(tmp_path, HEAD + claim(EFFECT), pair(0.1, n, noise=0.01)))
    assert finding.verdict.word == word
    if n < 20:
        assert finding.why == f"{n} queries; at least 20 bound a mean"


def test_two_queries_on_each_of_two_collections_have_the_p_of_sign_flips(tmp_path: Path) -> None:
    found = pair(0.1, 2, "a", noise=0.01) + pair(0.1, 2, "b", noise=0.01)
    finding = only(judged(tmp_path, HEAD + claim(POOLED), found))
    assert finding.effect is not None
    assert finding.effect.p == 2 / 2**4  # both of the 16 patterns in which all signs agree
    assert finding.effect.test == "stratified sign-flip randomisation"
    assert finding.verdict.word == "inconclusive"


def test_few_queries_that_all_say_the_same_are_equal(tmp_path: Path) -> None:
    check = EFFECT.replace('"effect"', '"equivalent"').replace('expect = "greater"', "bound = 0.01")
    assert only(judged(tmp_path, HEAD + claim(check), pair(0.0, 4))).verdict.word == "reproduced"


INTERVAL = """
kind = "interval"
select = {experiment = "E1"}
fact = "slope"
op = "<"
value = 0
"""


@pytest.mark.parametrize(
    ("spans", "word", "why"),
    [
        ([(-0.3, -0.1), (-0.2, -0.01)], "reproduced", "holds for 2 intervals"),
        (
            [(-0.3, -0.1), (-0.2, 0.1)],
            "inconclusive",
            "shown by 1 of 2 intervals, excluded by none",
        ),
        ([(-0.1, 0.1), (-0.2, 0.3)], "inconclusive", "shown by 0 of 2 intervals, excluded by none"),
        ([(-0.3, -0.1), (0.1, 0.2)], "differs (higher)", "excluded by 1 of 2 intervals"),
    ],
)
def test_an_interval_that_holds_the_limit_decides_nothing(
    tmp_path: Path, spans: list[tuple[float, float]], word: str, why: str
) -> None:
    found = [
        record("bm25", f"c{i}", 0.5, facts={"slope": {"estimate": 0, "low": low, "high": high}})
        for i, (low, high) in enumerate(spans)
    ]
    finding = only(judged(tmp_path, HEAD + claim(INTERVAL), found))
    assert (finding.verdict.word, finding.why) == (word, why)
    ends = [high for _, high in spans]
    assert finding.value == max(ends)


def test_a_bound_on_fewer_trainings_than_planned_is_preliminary(tmp_path: Path) -> None:
    check = 'kind = "bound"\nselect = {system = "new"}\nfact = "kl"\nop = "<"\nvalue = 1\n'
    one = trained("new", [0.5], facts={"kl": 2.0})
    two = trained("new", [0.5, 0.5], facts={"kl": 2.0})
    assert words(judged(tmp_path, HEAD + claim(check), one)) == {"C1": "differs (higher)"}
    planned = HEAD + claim(check + "seeds = 3\n")
    finding = only(judged(tmp_path, planned, one))
    assert finding.verdict.word == "preliminary"
    finding = only(judged(tmp_path, planned, two))
    assert finding.verdict.word == "differs (higher)"
    assert finding.why.endswith("preliminary: 2 of 3 seeds")


def test_a_ratio_of_two_facts(tmp_path: Path) -> None:
    check = 'kind = "bound"\nselect = {experiment = "E1"}\nop = ">="\nvalue = 1.5\n'
    text = HEAD + claim(check + 'fact = "speed.ours / speed.peer"\n')
    found = [record("bm25", "a", 0.5, facts={"speed": {"ours": 6.0, "peer": 4.0}})]
    finding = only(judged(tmp_path, text, found))
    assert (finding.verdict.word, finding.value) == ("reproduced", 1.5)
    found = [record("bm25", "a", 0.5, facts={"speed": {"ours": 6.0, "peer": 0.0}})]
    finding = only(judged(tmp_path, text, found))
    assert finding.verdict.word == "error" and "no ratio to it" in finding.why


def test_intervals_over_few_queries_are_too_short() -> None:
    """What MIN_QUERIES rests on: cover of 95 % intervals on real differences of two systems."""
    store = Path(__file__).resolve().parents[3] / "reports" / "results"
    rows = {
        record.config["system"]: record.per_query["nDCG@10"]
        for record in Store(store).records("bert_distill_losses")
        if record.tier == "small"
        and record.config.get("collection") == "beir/nfcorpus"
        and record.config["system"] in ("bm25", "bi-encoder")
    }
    differences = np.array([rows["bi-encoder"][q] - value for q, value in rows["bm25"].items()])
    differences -= differences.mean()
    rng = np.random.default_rng(1)

    def cover(n: int, trials: int = 200) -> float:
        found = [macro_bootstrap([rng.choice(differences, n)], n=500) for _ in range(trials)]
        return float(np.mean([interval.low <= 0 <= interval.high for interval in found]))

    few, least = cover(4), cover(MIN_QUERIES)
    assert few < 0.8 < least < 0.95
