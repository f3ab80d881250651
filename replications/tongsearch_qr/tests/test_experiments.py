"""Experiments: their cells, and whole small runs on tiny random models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ir_replications.engine.context import FILES, Context
from ir_replications.engine.experiment import Plan
from ir_replications.engine.jobs import plan_jobs
from ir_replications.shared.data import BRIGHT_SUBSETS
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.tongsearch_qr.experiments import (
    e1_goldens,
    e5_training,
    e6_baseline,
    e9_prompted,
    e10_reward_model,
    measuring,
)
from ir_replications.tongsearch_qr.experiments.registry import COLLECTIONS
from ir_replications.tongsearch_qr.rewriting.reasoned_files import PROXY
from ir_replications.tongsearch_qr.training.recipe import Lora, Recipe, load_recipe


def plan(tier: str, *names: str) -> Plan:
    return Plan(tier, names or COLLECTIONS[tier], bool(names))


def test_every_golden_check_runs_once_at_its_tier() -> None:
    assert [c["check"] for c in e1_goldens.cells(plan("embedded"))] == [
        f"A{i}" for i in range(1, 10)
    ]
    assert [c["check"] for c in e1_goldens.cells(plan("small"))] == ["A10", "C10"]
    assert e1_goldens.cells(plan("small", "local/mine")) == []


@pytest.mark.parametrize("check", sorted(e1_goldens.CHECKS))
def test_goldens_give_numbers(check: str) -> None:
    facts = e1_goldens.run({"check": check}, Context()).facts
    assert any(isinstance(value, int | float) for value in facts.values())


def test_paper_tier_is_bright_alone() -> None:
    jobs = plan_jobs("tongsearch_qr", "paper")
    assert {job.experiment for job in jobs} == {"E2"}
    assert {job.config["collection"] for job in jobs} == {f"bright/{s}" for s in BRIGHT_SUBSETS}


def test_small_tier_has_each_system_on_each_test_set() -> None:
    cells = e5_training.cells(plan("small"))
    pairs = {(c["collection"], c["system"], c["seed"]) for c in cells}
    assert {(PROXY, s, 42) for s in e5_training.SYSTEMS} <= pairs
    assert ("qa/stackexchange", "think", 42) in pairs
    assert len(pairs) == len(cells)
    again = {(name, system) for name, system, seed in pairs if seed != 42}
    assert again == {(c["collection"], s) for c in cells for s in e5_training.TRAINED}
    assert {c["system"] for c in e5_training.cells(plan("small", "local/mine"))} == set(
        e5_training.SYSTEMS
    )
    assert e5_training.cells(plan("paper")) == e6_baseline.cells(plan("paper")) == []


def test_a_missing_source_of_questions_costs_its_cell_alone(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="qa/stackexchange: not in the data root"):
        e5_training.training_source(load_recipe("small"), Context(tmp_path))


@pytest.mark.parametrize(
    ("collection", "queries", "missing"),
    [
        ("qa/stackexchange", {}, "embedded:wordllama-256"),
        ("beir/scifact", {}, "embedded:minilm-l6"),
        ("beir/scifact", {"queries": 20}, None),
    ],
)
def test_models_are_asked_for_before_the_training_and_never_downloaded_unasked(
    collection: str, queries: dict[str, int], missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Files:
        sha256 = "0" * 64

    def fetch(ref: str, download: bool = True) -> Files:
        assert not download
        if ref == missing:
            raise InputError(f"{ref}: not in the cache")
        return Files()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "fetch_model", fetch)
    monkeypatch.setattr(e5_training, "training_source", stop)
    recipe = replace(load_recipe("small"), embedder="embedded:all-mpnet-base-v2")
    with pytest.raises(MissingDependencyError if missing else KeyboardInterrupt, match=missing):
        e5_training.measure(
            {"collection": collection, **queries}, recipe, "sft", Context(download=False)
        )


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with ten questions and a collection, tiny models, and recipes that use them."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("trl")
    from ir_replications.shared.data import write_beir
    from ir_replications.shared.data.collection import make_collection
    from tests.shared.models.tiny_model import WORDS, tiny_model, tiny_tokenizer

    lm, encoder, root = tmp_path / "lm", tmp_path / "encoder", tmp_path / "root"
    model = tiny_model()
    model.config.max_position_embeddings = 256  # the instructions alone are 50 words
    model.save_pretrained(str(lm))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    transformers.BertModel(config).save_pretrained(str(encoder))
    for folder in (lm, encoder):
        tiny_tokenizer().save_pretrained(str(folder))
    (encoder / "1_Pooling").mkdir()
    (encoder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (root / "qa").mkdir(parents=True)
    lines = [
        {"site": "s", "id": str(i), "title": f"w{i} w{i + 1}", "body": f"w{i + 2}",
         "answers": [{"text": f"w{i + 3} w{i + 4}", "score": 1, "accepted": True}]}
        for i in range(10)
    ]  # fmt: skip
    (root / "qa" / "s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    documents = {f"d{i}": ("", f"w{i} w{i + 1} w{i + 2}") for i in range(6)}
    queries = {f"q{i}": f"w{i} w{i + 1}" for i in range(3)}
    qrels = {"test": {f"q{i}": {f"d{i}": 1} for i in range(3)}}
    collection = make_collection(
        "local/mine", documents, queries, qrels, source="here", licence="none", where="here"
    )
    write_beir(collection, root / "local" / "mine")
    recipe = Recipe(
        name="tiny",
        model=str(lm),
        embedder=str(encoder),
        data="qa",
        max_steps=2,
        per_device_batch=4,
        accumulation=1,
        processes=1,
        group_size=4,
        held_out=3,
        max_completion_tokens=5,
        learning_rate=1e-2,
        vllm="off",
        precision="float32",
        gradient_checkpointing=False,
        lora=Lora(rank=2, alpha=4),
    )

    def load(name: str, **changes: Any) -> Recipe:
        return replace(recipe, **{k: v for k, v in changes.items() if v is not None})

    for module in (e5_training, e6_baseline, e9_prompted, e10_reward_model):
        monkeypatch.setattr(module, "load_recipe", load)
    monkeypatch.setattr(measuring, "WORDLLAMA", str(encoder))
    monkeypatch.setattr(measuring, "MINILM", str(encoder))
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    return root


def outcome(cell: dict[str, Any], root: Path) -> Any:
    return e5_training.run(cell, Context(root))


def cell(system: str, collection: str, recipe: str = "tiny") -> dict[str, Any]:
    return {
        "recipe": recipe,
        "system": system,
        "collection": collection,
        "max_new_tokens": 5,
        "seed": 42,
        "think": system == "think",
    }


def test_held_out_rewards_before_and_after_training(tiny: Path) -> None:
    before, after = (outcome(cell(s, "qa"), tiny) for s in ("untrained", "grpo"))
    assert len(before.scores.per_query["reward"]) == before.facts["questions"] == 3
    assert before.scores.per_query.keys() == after.scores.per_query.keys()
    assert "curve" not in before.facts
    assert [point["step"] for point in after.facts["curve"]] == [1, 2]
    assert after.facts["training"]["trainable_parameters"] > 0


def test_think_mode_fails_for_every_question(tiny: Path) -> None:
    found = outcome(cell("think", "qa"), tiny)
    assert found.facts["failure_share"] == 1.0
    assert found.scores.means["reward"] == -1.0


def test_retrieval_with_the_original_queries_is_the_same_in_both_modes(tiny: Path) -> None:
    found = outcome(cell("original", "local/mine"), tiny)
    assert found.scores.means["nDCG@10, bm25q"] == found.scores.means["nDCG@10, bm25q, append"] > 0


def test_retrieval_with_a_fine_tuned_model(tiny: Path) -> None:
    found = outcome(cell("sft", "local/mine"), tiny)
    assert set(found.scores.means) == {
        f"nDCG@10, {retriever}{mode}"
        for retriever in (*measuring.RETRIEVERS, *measuring.OTHERS)
        for mode in ("", ", append")
    }
    assert found.facts["outputs"]["queries"] == 3


def test_a_prompted_model_and_another_reward_have_the_test_sets_of_e5() -> None:
    prompted = e9_prompted.cells(plan("small"))
    assert len(prompted) == 2 * (1 + len(COLLECTIONS["small"]))
    assert {c["max_new_tokens"] for c in prompted} == {40, 160}
    rewarded = e10_reward_model.cells(plan("small"))
    grpo = [c for c in e5_training.cells(plan("small")) if c["system"] == "grpo"]
    assert [{k: v for k, v in c.items() if k != "embedder"} for c in rewarded] == grpo
    assert e9_prompted.cells(plan("embedded")) == e10_reward_model.cells(plan("embedded")) == []


def test_a_prompted_model_and_another_reward_are_measured_as_the_trained_one(tiny: Path) -> None:
    trained = {name: outcome(cell("grpo", name), tiny) for name in ("qa", "local/mine")}
    lm, encoder = (str(tiny.parent / name) for name in ("lm", "encoder"))
    for name, expected in trained.items():
        other = e9_prompted.run(cell("prompted", name) | {"model": lm}, Context(tiny))
        assert other.scores.per_query.keys() == expected.scores.per_query.keys()
        assert "training" not in other.facts and lm in other.models
        assert other.scores.means != expected.scores.means
        same = e10_reward_model.run(cell("grpo", name) | {"embedder": encoder}, Context(tiny))
        assert same.scores.per_query == expected.scores.per_query
        assert same.facts["training"]["weights_sha256"]


def test_training_notes_the_files_it_read(tiny: Path) -> None:
    context = Context(tiny)
    e5_training.run(cell("untrained", "qa"), context)
    assert list(context.data) == [f"{FILES}qa"]
    sha256 = context.data[f"{FILES}qa"]
    assert Context(tiny).fingerprint(f"{FILES}qa") == sha256
    (tiny / "qa" / "s.jsonl").write_text("{}\n")
    assert Context(tiny).fingerprint(f"{FILES}qa") != sha256


def test_the_kl_study_compares_three_weights(tiny: Path) -> None:
    facts = outcome(cell("kl study", "qa"), tiny).facts
    assert list(facts["final_kl"]) == ["0", "0.008", "0.1"]
    assert facts["kl_out_of_order"] in (0, 1, 2)


def test_the_baseline_experiment_compares_two_trajectories(tiny: Path) -> None:
    config = {"recipe": "tiny", "steps": 2, "seed": 42, "collection": "qa"}
    facts = e6_baseline.run(config, Context(tiny)).facts
    assert [step["step"] for step in facts["trajectory"]] == [1, 2]
    assert facts["final_distance"] < 0.05
    assert facts["final_moved"] > 0
    assert facts["largest_spread_gap"] == pytest.approx(0, abs=1e-4)
