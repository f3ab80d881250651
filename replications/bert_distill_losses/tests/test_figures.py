"""Figures: drawn from records alone, with the numbers that the records hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ir_replications.bert_distill_losses.experiments.contrasts import (
    H1,
    Contrast,
    combined,
    compared,
)
from ir_replications.bert_distill_losses.experiments.figures import figures
from ir_replications.bert_distill_losses.experiments.hinge_studies import sides
from ir_replications.reports.pages.render import load_figures
from ir_replications.reports.records.record import Record

PLACES = ("classic/cacm", "rerank/dl19")
QUERIES = tuple(f"q{i}" for i in range(12))
# Per query noise that the seeds share, so that a constant shift is the whole difference.
NOISE = [0.03 * (i % 3 - 1) for i in range(len(QUERIES))]


def record(
    experiment: str, config: dict[str, Any], value: float, tier: str = "small", **fields: Any
) -> Record:
    """A cell whose nDCG@10 is `value` on average, around which the queries differ."""
    rows = {qid: value + noise for qid, noise in zip(QUERIES, NOISE, strict=True)}
    mean = sum(rows.values()) / len(rows)
    return Record.create(
        paper="bert_distill_losses", experiment=experiment, tier=tier, label="cell",
        config=config, means={"nDCG@10": mean}, per_query={"nDCG@10": rows}, **fields,
    )  # fmt: skip


def student(
    arm: str,
    value: float,
    *,
    seed: int = 1,
    where: str = PLACES[0],
    init: str = "pre-trained",
    experiment: str = "E2",
    facts: dict[str, Any] | None = None,
    **more: Any,
) -> Record:
    config = {"collection": where, "system": "student", "arm": arm, "init": init, "seed": seed}
    return record(experiment, config | more, value, facts=facts or {})


def runs(arm: str, value: float, seeds: int = 3, **more: Any) -> list[Record]:
    """Several seeds on both collections; a seed is worth a hundredth more than the one before."""
    return [
        student(arm, value + 0.01 * s, seed=s + 1, where=name, **more)
        for s in range(seeds)
        for name in PLACES
    ]


def only(records: list[Record], name: str) -> Any:
    (found,) = [figure for figure in figures(records) if figure.id == name]
    assert (
        found.drawing.startswith(("<svg", "<table")) and found.alt and found.title and found.caption
    )
    return found


def ids(records: list[Record]) -> list[str]:
    return [figure.id for figure in figures(records)]


def test_the_page_can_load_them() -> None:
    """Pages load the file by its path, as no part of a package."""
    assert load_figures(Path(__file__).parents[1], []) == []


def test_no_record_no_figure() -> None:
    assert figures([]) == []
    failed = Record.create(
        paper="bert_distill_losses", experiment="E2", tier="small", label="x",
        config={"system": "student", "arm": "A8"}, error="out of memory",
    )  # fmt: skip
    assert figures([failed]) == []


def test_a_contrast_is_the_mean_over_collections_and_each_collection() -> None:
    records = runs("A5", 0.40) + runs("A8", 0.42)
    table = only(records, "hard-labels").table
    assert [row[:2] for row in table[1:]] == [
        ["A8 - A5", "mean of 2"], ["A8 - A5", PLACES[0]], ["A8 - A5", PLACES[1]]
    ]  # fmt: skip
    assert [row[2] for row in table[1:]] == ["+2.00"] * 3
    assert [row[-1] for row in table[1:]] == [3, 3, 3]


def test_what_the_hinge_adds_in_every_study() -> None:
    planned = runs("A5", 0.40) + runs("A8", 0.40)
    assert "hinge-studies" not in ids(planned), "that is the figure of H1"
    wrong = {"experiment": "E4", "study": "30 % wrong labels", "swapped": 0.3}
    records = planned + runs("A5", 0.40, 1, **wrong) + runs("A8", 0.37, 1, **wrong)
    tuned = {"experiment": "E3", "study": "hard weight", "hard_weight": 10.0}
    records += runs("A8", 0.42, 2, **tuned)
    records += runs("A5", 0.41, 2, experiment="E3", study="temperature")
    table = only(records, "hinge-studies").table
    assert [[row[0], row[1], row[2], row[-1]] for row in table[1:]] == [
        ["A8 - A5, as planned", "mean of 2", "+0.00", 3],
        ["A8 - A5, other weight", "mean of 2", "+1.00", 2],
        ["A8 - A5, 30 % wrong labels", "mean of 2", "-3.00", 1],
    ]
    assert {"temperature": 1.0, "study": "temperature", "arm": "A6"}.items() <= next(
        b for label, _, b in sides("A9", "A6") if label == "other weight"
    ).items()


def test_an_arm_that_is_missing_somewhere_leaves_that_row_out() -> None:
    records = [r for r in runs("A8", 0.42) if r.config["collection"] == PLACES[0]]
    table = only([*records, *runs("A5", 0.40)], "hard-labels").table
    assert [row[1] for row in table[1:]] == [PLACES[0]]
    assert "hard-labels" not in ids(runs("A8", 0.42))


def test_layers_are_compared_by_where_the_student_begins() -> None:
    records = runs("A8", 0.40) + runs("A13", 0.37)
    records += runs("A8", 0.40, init="teacher") + runs("A13", 0.41, init="teacher")
    table = only(records, "layers-hurt").table
    found = {(row[0], row[1]): row[2] for row in table[1:]}
    assert found["A13 - A8", "mean of 2"] == "-3.00"
    assert found["A13 - A8, teacher", "mean of 2"] == "+1.00"


def test_the_mean_of_three_contrasts_by_hand() -> None:
    values = {"A4": 0.30, "A7": 0.33, "A5": 0.40, "A8": 0.40, "A6": 0.35, "A9": 0.41}
    records = [record for arm, value in values.items() for record in runs(arm, value)]
    row = combined(records, H1[:3])
    assert row is not None
    assert row.value == pytest.approx(3.0)  # (3 + 0 + 6) / 3
    assert (row.where, row.seeds) == ("mean of 2", 3)
    table = only(records, "hard-labels").table
    assert table[1][0] == "mean of A7 - A4, A8 - A5, A9 - A6" and table[1][2] == "+3.00"


def test_the_mean_of_three_contrasts_takes_common_seeds_and_all_arms() -> None:
    values = {"A4": 0.30, "A7": 0.33, "A5": 0.40, "A8": 0.40, "A6": 0.35}
    records = [record for arm, value in values.items() for record in runs(arm, value)]
    assert combined(records, H1[:3]) is None
    row = combined([*records, *runs("A9", 0.41, seeds=2)], H1[:3])
    assert row is not None and row.seeds == 2


def test_the_interval_of_the_mean_is_that_of_one_contrast() -> None:
    """The mean of one contrast is the contrast, with the interval that the claims have."""
    records = runs("A5", 0.40)
    for step, (arm, where) in enumerate((r.config["arm"], r) for r in runs("A8", 0.42)):
        shift = 0.004 * ((3 * step) % 4)
        records.append(
            student(arm, where.means["nDCG@10"] + shift, seed=where.config["seed"],
                    where=where.config["collection"])
        )  # fmt: skip
    contrast = Contrast("A8", "A5")
    mean, row = combined(records, [contrast]), compared(records, contrast)[0]
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == pytest.approx((row.value, row.low, row.high))
    assert row.high > row.low


def test_runs_of_several_settings_are_not_mixed() -> None:
    """Two systems under one name are no sample: the figure leaves them out."""
    records = runs("A5", 0.40) + runs("A8", 0.42) + runs("A8", 0.10, recipe="other")
    assert "hard-labels" not in ids(records)


def axis(arm: str, value: float, study: str, **more: Any) -> list[Record]:
    return runs(arm, value, experiment="E3", study=study, **more)


def test_the_temperature_axis_has_both_ends_and_says_what_is_missing() -> None:
    records = axis("A3", 0.30, "temperature") + axis("A5", 0.40, "temperature")
    records += axis("A6", 0.35, "temperature", temperature=1.0)
    records += axis("A6", 0.39, "temperature", temperature=10.0)
    table = only(records, "temperature").table
    assert table[0][1:] == [
        "RankNet", "T = 0.5", "T = 1", "T = 2", "T = 5", "T = 10", "Margin-MSE"
    ]  # fmt: skip
    # seeds are worth 0, .01 and .02: a point more on average
    assert table[1] == [
        PLACES[0], "31.00", "not run", "36.00", "not run", "not run", "40.00", "41.00"
    ]  # fmt: skip
    gaps = table[3]
    assert gaps[0] == "mean of 2, less Margin-MSE" and gaps[2] == gaps[7] == ""
    assert [gaps[place].split()[0] for place in (1, 3, 6)] == ["-10.00", "-5.00", "-1.00"]
    assert [row[0] for row in table[4:]] == [f"{name}, less Margin-MSE" for name in PLACES]


def test_the_weights_and_their_mean_over_collections() -> None:
    records = axis("A8", 0.40, "weight")
    for place, weight in enumerate((0.001, 0.01, 0.1, 1.0)):
        records += axis("A13", 0.41 - 0.02 * place, "weight", weight=weight)
    table = only(records, "weights").table
    assert table[1][1:] == table[2][1:] == ["41.00", "42.00", "40.00", "38.00", "36.00"]
    assert table[3][0] == "mean of 2, less weight 0"
    assert [gap.split()[0] for gap in table[3][2:]] == ["+1.00", "-1.00", "-3.00", "-5.00"]
    assert ids(records) == ["weights"]  # another study's cells are not on the other axis


CURVE = [
    {"step": 0, "hard": 1.0, "soft": 10.0, "hidden": 100.0, "grad_norm/ranking": 1.0,
     "grad_norm/layers": 1000.0, "grad_cosine": -0.25},
    {"step": 20, "hard": 0.5, "soft": 2.0, "hidden": 10.0},
]  # fmt: skip


def test_curves_of_ranking_layers_and_gradients() -> None:
    records = runs("A13", 0.40, facts={"curve": CURVE})
    assert only(records, "ranking-curves").table[1:] == [
        ["A13", 0, "1", "10"], ["A13", 20, "0.5", "2"]
    ]  # fmt: skip
    assert only(records, "layer-curves").table[1] == ["A13", 0, "", "100", ""]
    gradients = only(records, "gradients").table
    assert gradients[0] == ["arm", "step", "grad_norm/ranking", "grad_norm/layers", "grad_cosine"]
    assert gradients[1:] == [["A13", 0, "1", "1000", "-0.25"]]


def test_curves_are_means_over_seeds_and_not_over_collections() -> None:
    """A student is the same on every collection: each seed counts once."""
    other = [point | {"hard": 3.0} for point in CURVE]
    records = [
        student("A8", 0.4, seed=1, where=name, facts={"curve": CURVE}) for name in PLACES
    ] + [student("A8", 0.4, seed=2, facts={"curve": other})]
    assert only(records, "ranking-curves").table[1][2] == "2"


def test_closeness_is_left_out_for_arms_that_lack_a_number() -> None:
    facts = {f"{t}, held out": v for t, v in (("embedding", 1), ("hidden", 2), ("attention", 3))}
    records = runs("A8", 0.4, facts=facts) + runs("A2", 0.4, facts={"hidden, held out": 9.0})
    assert only(records, "closeness").table[1:] == [["A8", "1", "2", "3"]]


def test_spread_is_of_seeds_that_have_every_collection() -> None:
    base = [record("E2", {"collection": name, "system": "bm25"}, 0.30) for name in PLACES]
    records = base + runs("A2", 0.35) + [student("A2", 0.9, seed=9)]
    table = only(records, "spread").table
    assert [row[1:] for row in table[1:]] == [[1, "+5.00"], [2, "+6.00"], [3, "+7.00"]]
    assert "spread" not in ids(runs("A2", 0.35))


def test_the_small_tier_goes_before_the_embedded_one() -> None:
    def embedded(arm: str) -> Record:
        made = student(arm, 0.4, where="pydocs", facts={"curve": CURVE})
        return record("E2", made.config, 0.4, "embedded", facts=made.facts)

    small = runs("A13", 0.4, facts={"curve": CURVE})
    assert "tier embedded" in only([embedded("A13")], "layer-curves").caption
    assert "tier small" in only([embedded("A13"), *small], "layer-curves").caption


def test_arms_stand_in_the_order_of_their_numbers() -> None:
    facts = {f"{t}, held out": 1.0 for t in ("embedding", "hidden", "attention")}
    records = [r for arm in ("A13", "A2", "C2", "A8") for r in runs(arm, 0.4, facts=facts)]
    assert [row[0] for row in only(records, "closeness").table[1:]] == ["A2", "A8", "A13", "C2"]


def test_the_same_records_give_the_same_bytes() -> None:
    records = runs("A5", 0.40) + runs("A8", 0.42)
    first, again = (only(records, "hard-labels").drawing for _ in range(2))
    assert first == again and "Margin-MSE + hinge minus Margin-MSE · mean of 2" in first
