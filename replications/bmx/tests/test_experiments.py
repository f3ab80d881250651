"""The experiments on a small folder: what each writes, and the code paths of the paper tier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ir_replications.bmx.experiments import (
    e2_retrieval,
    e3_ablation,
    e4_entropy,
    e5_augmentation,
    e6_robustness,
    e11_preparation,
    e12_alpha,
    figures,
    testbeds,
)
from ir_replications.bmx.experiments.printed_tables import NAMES, read_table
from ir_replications.bmx.experiments.registry import COLLECTIONS, EXPERIMENTS
from ir_replications.engine.context import Context
from ir_replications.engine.execute import run_job
from ir_replications.engine.experiment import Plan
from ir_replications.engine.jobs import plan_jobs
from ir_replications.shared.data import pinned
from ir_replications.shared.errors import InputError

DOCUMENTS = {
    "d1": ("Bread", "crusty sourdough bread with a crisp crust"),
    "d2": ("Rolls", "soft rolls, butter and sweet bread"),
    "d3": ("Soup", "a soup of leeks and potatoes with butter"),
    "d4": ("Wings", "the drag of swept wings at high speed"),
    "d5": ("Jets", "heat of jets and wings in supersonic flow"),
}
QUERIES = {
    "q1": "crusty bread",
    "q2": "butter soup",
    "q3": "drag of wings",
    "q4": "supersonic heat",
    "q5": "the and of",
}
QRELS = {
    "q1": {"d1": 2, "d2": 1},
    "q2": {"d3": 1},
    "q3": {"d4": 1},
    "q4": {"d5": 1},
    "q5": {"d1": 1},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root that holds toy/food, a BEIR folder without train or dev split."""
    folder = tmp_path / "root" / "toy" / "food"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": k, "title": t, "text": x} for k, (t, x) in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"_id": k, "text": x} for k, x in QUERIES.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"{q}\t{d}\t{g}\n" for q, grades in QRELS.items() for d, g in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return tmp_path / "root"


def _plan(name: str) -> Plan:
    return Plan("small", (name,), chosen=True)


def test_retrieval_table_has_every_system_and_its_best_answers(root: Path) -> None:
    context = Context(root)
    for config in e2_retrieval.cells(_plan("toy/food")):
        outcome = e2_retrieval.run(config, context)
        assert outcome.scores is not None
        per_query = outcome.scores.per_query["nDCG@10"]
        assert per_query["q1"] == 1.0
        assert per_query["q5"] == 0.0  # only stop words: counted, not dropped
        headline = (config["analyzer"], config["title"]) == ("baguetter", "newline")
        assert outcome.run is None or headline
    assert len({json.dumps(c) for c in e2_retrieval.cells(_plan("toy/food"))}) == 4 * 9


def test_tuning_never_sees_the_queries_it_is_scored_on(root: Path) -> None:
    config = e3_ablation.cells(_plan("toy/food"))[0] | {"variant": "BM25 tuned on other queries"}
    outcome = e3_ablation.run(config, Context(root))
    assert "two folds" in outcome.facts["tuned_on"]
    assert outcome.scores is not None
    assert set(outcome.scores.per_query["nDCG@10"]) == set(QRELS)
    folds = {e3_ablation._fold(qid) for qid in QRELS}
    assert folds == {0, 1}


def test_every_ablation_runs_and_names_its_parameters(root: Path) -> None:
    context = Context(root)
    facts = {
        c["variant"]: e3_ablation.run(c, context).facts
        for c in e3_ablation.cells(_plan("toy/food"))
    }
    assert list(facts) == list(e3_ablation.VARIANTS)
    assert facts["beta=0"]["beta"] == 0
    matched = facts["BM25 with BMX's k1 and b"]
    assert matched["b"] == pytest.approx(facts["full"]["alpha"] / matched["k1"], abs=1e-3)


def test_the_ablation_of_the_small_tier_has_more_collections_unless_some_are_named() -> None:
    jobs = plan_jobs("bmx", "small", only=["E3"])
    analyzers = {job.config["collection"]: job.config["analyzer"] for job in jobs}
    assert set(analyzers) == {*testbeds.SMALL, *testbeds.FURTHER}
    assert len(jobs) == len(analyzers) * len(e3_ablation.VARIANTS)
    assert [name for name, used in analyzers.items() if used != "baguetter"] == [testbeds.JAPANESE]
    named = plan_jobs("bmx", "small", only=["E3"], collections=["beir/scifact"])
    assert {job.config["collection"] for job in named} == {"beir/scifact"}


def test_entropy_direction_and_robustness_map(root: Path) -> None:
    context = Context(root)
    (config,) = e4_entropy.cells(_plan("toy/food"))
    facts = e4_entropy.run(config, context).facts
    assert facts["spearman_entropy_idf"] < 0 < facts["spearman_entropy_df"]
    config = e6_robustness.cells(_plan("toy/food"))[0]
    outcome = e6_robustness.run(config, context)
    assert outcome.scores is not None
    assert len(outcome.scores.means) == 1 + len(e6_robustness.PARAMETERS)


def test_augmentation_uses_the_same_paraphrases_for_all(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        e5_augmentation, "paraphrase", lambda queries, *_: ([["loaf", ""]] * len(queries), "0")
    )
    context = Context(root)
    configs = e5_augmentation.cells(_plan("toy/food"))
    outcomes = [e5_augmentation.run(config, context) for config in configs]
    assert len({o.facts["paraphrases_sha256"] for o in outcomes}) == 1
    plain = {c["system"]: o for c, o in zip(configs, outcomes, strict=True)
             if c["augmentation"] == "none"}  # fmt: skip
    for config, outcome in zip(configs, outcomes, strict=True):
        if config["augmentation"] == "paper":  # "loaf" is in no document: nothing may change
            assert outcome.scores == plain[config["system"]].scores


def test_prompt_ends_with_the_query_and_answers_are_cleaned() -> None:
    messages = e5_augmentation.prompt("why is bread crusty")
    assert messages[-1] == {"role": "user", "content": "why is bread crusty"}
    assert [m["role"] for m in messages[:3]] == ["system", "user", "assistant"]
    assert e5_augmentation.clean('\n "How is a crust made?"\nBecause') == "How is a crust made?"
    assert e5_augmentation.clean("  \n") == ""


def test_a_language_has_its_own_analyzer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(testbeds.MULTILINGUAL, "toy/food", "german")
    assert not testbeds.is_english("toy/food")
    configs = e2_retrieval.cells(_plan("toy/food"))
    assert {c["analyzer"] for c in configs} == {"baguetter-german"}
    assert e2_retrieval.run(configs[0], Context(root)).scores is not None
    assert {c["analyzer"] for c in e6_robustness.cells(_plan("toy/food"))} == {"baguetter-german"}


def test_the_paper_tier_names_collections_that_the_manifest_knows() -> None:
    unknown = [name for name in COLLECTIONS["paper"] if pinned(name) is None]
    assert unknown == []
    assert len(testbeds.BEIR) == 14 + 12
    jobs = plan_jobs("bmx", "paper")
    assert {job.experiment for job in jobs} == {e.id for e in EXPERIMENTS} - {"E1", "E8", "E11"}
    printed = {
        "beir": {name.partition("-")[0] if "cqad" in name else name for name in testbeds.BEIR},
        "bright": set(testbeds.BRIGHT),
        "multilingual": set(testbeds.PRINTED_LANGUAGES),
    }
    assert {table: len(names) for table, names in printed.items()} == {
        table: len(read_table(table).columns) for table in NAMES
    }  # 15, 12 and 5: the 32 columns that the authors printed
    asked = {job.config.get("collection") for job in jobs if job.experiment == "E2"}
    assert (
        asked == set(COLLECTIONS["paper"]) >= set().union(*printed.values()) - {"beir/cqadupstack"}
    )
    assert all(pinned(name).hub for names in printed.values() for name in names & asked)  # type: ignore[union-attr]


def test_a_cell_is_written_once_and_reused(root: Path, tmp_path: Path) -> None:
    job = plan_jobs("bmx", "small", collections=["toy/food"], only=["E4"])[0]
    store = tmp_path / "store"
    first, reused = run_job(job, store, data_root=root)
    again, reused_again = run_job(job, store, data_root=root)
    assert (reused, reused_again) == (False, True)
    assert first.digest == again.digest


def test_what_is_printed_of_japanese_is_cut_in_three_ways() -> None:
    jobs = plan_jobs("bmx", "small", only=["E2"])
    found = [job.config for job in jobs if job.config["collection"] == testbeds.JAPANESE]
    assert {config["analyzer"] for config in found} == {"characters", "bigrams", "janome"}
    assert len(found) == 6 and all(map(e2_retrieval.is_comparison, found))


def test_alpha_and_its_equivalent_bm25_differ_by_the_bonus_alone(root: Path) -> None:
    context = Context(root)
    configs = e12_alpha.cells(_plan("toy/food"))
    assert [config["variant"] for config in configs] == list(e12_alpha.VARIANTS)
    facts = {config["variant"]: e12_alpha.run(config, context).facts for config in configs}
    assert facts["BMX"]["alpha"] == 0.5 and facts["BMX alpha=0.05"]["alpha"] == 0.05
    for name, alpha in (
        ("BM25 with BMX's k1 and b", 0.5),
        ("BM25 with k1 and b of BMX alpha=0.05", 0.05),
    ):  # k1 b = alpha (C2)
        assert facts[name]["k1"] * facts[name]["b"] == pytest.approx(alpha, abs=2e-4)
    assert {fact["mean_query_tokens"] for fact in facts.values()} == {8 / 5}


def test_reasoned_queries_take_the_place_of_the_posts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "toy" / "food"
    posts = {f"biology/{n}#q": text for n, text in enumerate(["crusty bread", "butter soup"])}
    rows = [json.dumps({"_id": qid, "text": text}) + "\n" for qid, text in posts.items()]
    (folder / "queries.jsonl").write_text("".join(rows))
    judged = [f"{qid}\t{docid}\t1\n" for qid, docid in zip(posts, ("d4", "d5"), strict=True)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    file = root / "bright" / "biology" / "reasoned" / "model.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"_id": "0", "text": "drag of swept wings"}\n')
    config = e12_alpha.cells(_plan("toy/food"))[0] | {"queries": "model"}
    with pytest.raises(InputError, match=r"model\.jsonl: no reasoned query for '1'"):
        e12_alpha.run(config, Context(root))
    with file.open("a") as handle:
        handle.write('{"_id": "1", "text": "supersonic heat"}\n')
    context = Context(root)
    outcome = e12_alpha.run(config, context)
    assert outcome.scores is not None and outcome.scores.means["nDCG@10"] == 1.0
    assert "files:bright/biology/reasoned/model.jsonl" in context.data


def test_the_printed_cells_are_prepared_one_change_at_a_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(e11_preparation.COLUMNS, "toy/food", "SciFact")
    monkeypatch.setitem(e11_preparation.STEMMERS, "Snowball 2", e11_preparation.STEMMERS["Porter"])
    context = Context(root)
    configs = e11_preparation.cells(_plan("toy/food"))
    assert len(configs) == len(e11_preparation.STEMMERS) + len(e11_preparation.CHANGES) - 1
    found = [e11_preparation.run(config, context).facts for config in configs]
    assert all(set(facts["values"]) == {"BMX", *e11_preparation.METHODS} for facts in found)
    assert {facts["agree"] for facts in found} == {0}
    values = {config["change"]: facts for config, facts in zip(configs, found, strict=True)}
    assert values["sums in float64"]["values"] == pytest.approx(values["none"]["values"])
    assert values["none"]["terms"] < values["no stop words"]["terms"]


def test_results_are_filled_up_in_the_order_of_ids() -> None:
    padded = e11_preparation._padded({"a": [("c", 2.0)]}, ["a", "b", "c", "d"])
    assert padded == {"a": [("c", 2.0), ("b", 0.0), ("d", 0.0)]}


def test_figures_are_drawn_from_records(root: Path, tmp_path: Path) -> None:
    jobs = plan_jobs("bmx", "small", collections=["toy/food"], only=["E3", "E4", "E6"])
    records = [run_job(job, tmp_path, data_root=root)[0] for job in jobs]
    drawn = {figure.id: figure for figure in figures.figures(records)}
    assert set(drawn) == {"robustness", "ablation", "entropy"}
    robustness = drawn["robustness"]
    # three analyzers; the toy is ranked alike with and without titles, which counts once
    assert len(robustness.table) == 1 + 3 * len(e6_robustness.PARAMETERS)
    assert robustness.drawing.startswith('<table class="heat">')
    assert figures.figures([]) == []
