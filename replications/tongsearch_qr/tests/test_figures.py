"""Figures: drawn from records alone, with the numbers that the records hold."""

from __future__ import annotations

import re
from typing import Any

from ir_replications.reports.records.record import Record
from ir_replications.tongsearch_qr.experiments.figures import figures

PROXY = "derived/bright-goldanswer"


def record(experiment: str, config: dict[str, Any], tier: str = "small", **fields: Any) -> Record:
    values = fields.pop("per_query", {})
    means = {name: sum(rows.values()) / len(rows) for name, rows in values.items()}
    return Record.create(
        paper="tongsearch_qr",
        experiment=experiment,
        tier=tier,
        label=experiment,
        config=config,
        means=means,
        per_query=values,
        **fields,
    )


def proxy_cell(queries: str, values: list[float], **config: Any) -> Record:
    ids = ("biology/0#q", "biology/1#q", "biology/2#q", "economics/0#q")
    common = {"collection": PROXY, "queries": queries, "system": "bm25q", "analyzer": "lucene"}
    return record("E3", common | config, per_query={"nDCG@10": dict(zip(ids, values, strict=True))})


def only(records: list[Record], name: str) -> Any:
    (found,) = [figure for figure in figures(records) if figure.id == name]
    assert (
        found.drawing.startswith(("<svg", "<table")) and found.alt and found.title and found.caption
    )
    return found


def test_the_proxys_differences_are_means_over_subsets() -> None:
    records = [
        proxy_cell("original", [0.5, 0.5, 0.5, 0.5]),
        # biology +.1 on average, economics +.3: mean of subsets .2.
        proxy_cell("tongsearch-qr-7b", [0.6, 0.5, 0.7, 0.8], mode="replace"),
        proxy_cell("tongsearch-qr-7b", [0.4, 0.4, 0.4, 0.4], mode="append"),
        proxy_cell("original", [0.1, 0.1, 0.1, 0.1], analyzer="bm25s"),
        proxy_cell("tongsearch-qr-7b", [0.1, 0.1, 0.1, 0.1], mode="replace", system="bm25"),
    ]
    drawn = only(records, "proxy")
    assert [row[2:6] for row in drawn.table[1:]] == [
        ["tongsearch-qr-7b", "replace", "65.00", "+20.00"],
        ["tongsearch-qr-7b", "append", "40.00", "-10.00"],
    ]
    assert "Of 2 rows, 2 exclude 0: 1 above, 1 below." in drawn.caption
    assert "bm25q · tongsearch-qr-7b · replace" in drawn.drawing


def effect(estimate: float) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - 0.01, "high": estimate + 0.01}


def test_features_show_the_larger_model_and_list_all() -> None:
    names = ("words", "answer_gained")
    facts = {
        "effects": {name: effect(0.02 * i) for i, name in enumerate(names)},
        "spearman": {name: effect(0.1) for name in names},
        "feature_means": dict.fromkeys(names, 0.5),
        "r2": 0.1234,
    }
    records = [
        record("E4", {"queries": q, "system": system}, facts=facts)
        for q in ("tongsearch-qr-1.5b", "tongsearch-qr-7b")
        for system in ("bm25q", "bm25")
    ]
    drawn = only(records, "features")
    assert len(drawn.table) == 1 + 2 * 2 * 2
    assert drawn.table[2] == [
        "tongsearch-qr-1.5b", "bm25q", "answer words gained", "0.5",
        "+2.00", "+1.00", "+3.00", "+0.10", "+0.09", "+0.11",
    ]  # fmt: skip
    assert drawn.drawing.count("answer words gained") == 2
    assert "for tongsearch-qr-7b on" in drawn.caption and "0.12 to 0.12" in drawn.caption


CURVE = [
    {"step": 1, "reward": 0.5, "reward_std": 0.1, "length": 90.0, "clipped": 0.9},
    {"step": 2, "reward": 0.75, "kl": 0.001, "length": 80.0},
    {"step": 3, "loss": 2.0},
]


def training_cell(system: str, values: dict[str, list[float]], **config: Any) -> Record:
    common = {"recipe": "small", "model": "m", "seed": 42, "collection": "qa/x", "system": system}
    curve = {"grpo": CURVE, "sft": [{"step": 1, "loss": 3.0}]}.get(system)
    if config.get("seed"):
        curve = CURVE[:1]
    return record(
        "E5",
        common | config,
        per_query={
            measure: {str(i): value for i, value in enumerate(rows)}
            for measure, rows in values.items()
        },
        facts={"curve": curve, "training": {}} if curve else {},
    )


def test_training_is_shown_against_the_untrained_model_and_by_step() -> None:
    held_out = {"reward": [0.1, 0.2, 0.3], "reward, second embedder": [0.0, 0.0, 0.1]}
    found = {"nDCG@10, bm25q": [0.5, 0.5, 0.5], "nDCG@10, bm25q, append": [0.6, 0.6, 0.6]}
    better = {name: [v + 0.25 for v in values] for name, values in held_out.items()}
    worse = {name: [v - 0.5 for v in values] for name, values in found.items()}
    records = [
        training_cell("untrained", held_out | {"words": [1, 2, 3]}),
        training_cell("grpo", better | {"words": [3, 3, 3]}),
        training_cell("sft", held_out),
        training_cell("original", {"nDCG@10, bm25q": [0.4, 0.4, 0.4]}, collection="beir/x"),
        training_cell("untrained", found, collection="beir/x"),
        training_cell("grpo", worse, collection="beir/x"),
        training_cell("grpo", found, collection="beir/x", seed=43),
    ]
    rewards = only(records, "held-out").table[1:]
    assert [(row[1], row[3], row[6]) for row in rewards] == [
        ("grpo", "reward", "+0.25"),
        ("grpo", "reward, second embedder", "+0.25"),
        ("sft", "reward", "+0.00"),
        ("sft", "reward, second embedder", "+0.00"),
    ]
    retrieval = only(records, "trained-retrieval").table[1:]
    assert [(row[1], row[3], row[6]) for row in retrieval] == [
        ("original", "nDCG@10, bm25q", "-10.00"),
        ("grpo", "nDCG@10, bm25q", "-25.00"),  # the mean of two trainings
        ("grpo", "nDCG@10, bm25q, append", "-25.00"),
    ]
    assert [row[2] for row in retrieval] == ["", "42, 43", "42, 43"]
    # One training run serves two cells and is drawn once; a step without a reward is not drawn.
    assert only(records, "reward-curve").table == [
        ["run", "step", "reward", "reward_std", "kl", "length", "clipped"],
        ["small grpo seed 42", 1, "0.5", "0.1", None, "90", "0.9"],
        ["small grpo seed 42", 2, "0.75", None, "0.001", "80", None],
        ["small grpo seed 43", 1, "0.5", "0.1", None, "90", "0.9"],
    ]
    assert len(only(records, "length-curve").table) == 4


def test_the_distance_between_two_runs_is_drawn() -> None:
    steps = [{"step": 1, "distance": 1e-6}, {"step": 2, "distance": 2.5e-6}]
    records = [record("E6", {"recipe": "small", "seed": 42}, facts={"trajectory": steps})]
    assert only(records, "baseline").table[1:] == [
        ["small seed 42", 1, "1e-06"],
        ["small seed 42", 2, "2.5e-06"],
    ]


def test_the_larger_tier_is_taken_and_what_is_absent_is_left_out() -> None:
    assert figures([]) == []
    steps = {"trajectory": [{"step": 1, "distance": 0.5}]}
    small = record("E6", {"recipe": "small"}, facts=steps)
    embedded = record("E6", {"recipe": "embedded"}, "embedded", facts=steps)
    failed = record("E6", {"recipe": "x"}, error="no model")
    assert only([embedded, small, failed], "baseline").table[1][0] == "small"
    assert only([embedded, failed], "baseline").table[1][0] == "embedded"
    untrained = training_cell("untrained", {"reward": [0.1]})
    assert figures([untrained, failed, proxy_cell("original", [0.5] * 4)]) == []


def test_a_figure_is_the_same_whenever_it_is_drawn() -> None:
    records = [
        proxy_cell("original", [0.5, 0.4, 0.5, 0.5]),
        proxy_cell("tongsearch-qr-7b", [0.6, 0.5, 0.7, 0.8], mode="replace"),
    ]
    drawn = only(records, "proxy").drawing
    assert drawn == only(records, "proxy").drawing
    assert not re.search(r"\d{4}-\d\d-\d\d", drawn)
