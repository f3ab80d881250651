"""Both stages and supervised training on a tiny model: reproducible, resumable, and they learn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from ir_replications.prorank.checks.tiny_reranker import tiny_model, tiny_pairs, tiny_recipe
from ir_replications.prorank.method.score import PairScorer
from ir_replications.prorank.training.fine_grained import fine_grained
from ir_replications.prorank.training.recipe import Recipe
from ir_replications.prorank.training.sft import sft
from ir_replications.prorank.training.warmup import warmup
from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder, load_adapter

PAIRS = tiny_pairs()
GROUPS = [(PAIRS[2 * i], PAIRS[2 * i + 1]) for i in range(len(PAIRS) // 2)]
STAGES: dict[str, tuple[Callable[..., dict[str, Any]], Any]] = {
    "warmup": (warmup, PAIRS),
    "sft": (sft, PAIRS),
    "fine_grained": (fine_grained, GROUPS),
}
RECIPE = tiny_recipe()
EXACT = ("step", "loss", "grad_norm", "reward", "accuracy", "p0", "margin")  # not the times


@pytest.fixture(scope="module")
def answering() -> tuple[Any, Any]:
    return tiny_model(answers=0.5)


@pytest.fixture
def train(answering: Any, tmp_path: Path) -> Callable[..., Any]:
    """Train a copy of the model; the result and the log, times left out."""
    model, tokenizer = answering

    def run(
        stage: str, recipe: Recipe, name: str = "run", data: Any = None, **options: Any
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        function, usual = STAGES[stage]
        folder = TrainingFolder(tmp_path / name, recipe.request(stage))
        data = usual if data is None else data
        result = function(copy.deepcopy(model), tokenizer, data, recipe, folder, **options)
        log = [{k: entry[k] for k in EXACT if k in entry} for entry in folder.read_log()]
        return result, log

    return run


def with_warmup(recipe: Recipe = RECIPE, **changes: Any) -> Recipe:
    return replace(recipe, warmup=replace(recipe.warmup, **changes))


def with_stage_2(recipe: Recipe = RECIPE, **changes: Any) -> Recipe:
    return replace(recipe, fine_grained=replace(recipe.fine_grained, **changes))


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_seed_gives_the_same_log_and_weights(stage: str, train: Any) -> None:
    one, log = train(stage, RECIPE, "one")
    two, again = train(stage, RECIPE, "two")
    other, different = train(stage, replace(RECIPE, seed=7), "three")
    assert len(log) == 4
    assert log == again != different
    assert one["weights_sha256"] == two["weights_sha256"] != other["weights_sha256"]
    assert one["updates"] == 4
    assert one["pairs"] == 16, "as many pairs in each stage"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_a_killed_run_goes_on_to_the_same_weights(
    stage: str, lora: bool, train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE if lora else replace(RECIPE, lora=None)
    unbroken, log = train(stage, recipe, "unbroken")
    plain = TrainingFolder.log

    def kill(self: TrainingFolder, entry: dict[str, Any]) -> None:
        if entry["step"] == 4:
            raise KeyboardInterrupt
        plain(self, entry)

    monkeypatch.setattr(TrainingFolder, "log", kill)
    with pytest.raises(KeyboardInterrupt):
        train(stage, recipe, "killed")
    monkeypatch.undo()
    left = tmp_path / "killed" / ".checkpoint-4"  # what a kill in the middle of writing leaves
    left.mkdir()
    (left / "state.pt").write_bytes(b"half")
    resumed, log_again = train(stage, recipe, "killed")
    assert resumed["resumed_from"] == "checkpoint-2"
    assert log_again == log
    assert resumed["weights_sha256"] == unbroken["weights_sha256"]


@pytest.mark.parametrize("damaged", [["3"], ["2", "3"]], ids=["the last", "all"])
def test_a_damaged_checkpoint_is_passed_over(
    damaged: list[str],
    train: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run goes on from the one before, or from the start, to the same weights."""
    recipe = with_warmup(save_steps=1)
    unbroken, log = train("sft", recipe, "unbroken")
    with monkeypatch.context() as patch:
        patch.setattr(TrainingFolder, "finish", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            train("sft", recipe)
    left = sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*"))
    assert left == ["checkpoint-2", "checkpoint-3"]
    for step in damaged:
        state = tmp_path / "run" / f"checkpoint-{step}" / "state.pt"
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 1  # torch alone reads some of these without a word
        state.write_bytes(content)
    resumed, log_again = train("sft", recipe)
    assert resumed["resumed_from"] == ("checkpoint-2" if damaged == ["3"] else None)
    assert (resumed["weights_sha256"], log_again) == (unbroken["weights_sha256"], log)
    said = capsys.readouterr().err
    assert said.count("state.pt was altered\n") == len(damaged)


@pytest.mark.parametrize("stage", STAGES)
def test_a_finished_run_is_read_not_repeated(stage: str, train: Any) -> None:
    first, log = train(stage, RECIPE)
    again, same = train(stage, RECIPE)
    assert (again, same) == (first, log)
    changed = with_stage_2() if stage == "fine_grained" else with_warmup()
    slower = {"fine_grained": with_stage_2(changed, learning_rate=1e-3)}
    with pytest.raises(InputError, match="another settings"):
        train(stage, slower.get(stage, with_warmup(changed, learning_rate=1e-3)))


@pytest.mark.parametrize("stage", STAGES)
def test_a_loss_that_is_not_finite_names_its_step_and_keeps_the_checkpoint(
    stage: str, train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ir_replications.prorank.method.answer_grpo as module

    calls = 0

    def poisoned(model: Any, ids: Any, mask: Any) -> Any:
        nonlocal calls
        calls += 1
        passes = 2 if stage == "warmup" else 1  # the policy and its reference
        return logits(model, ids, mask) * (float("nan") if calls > 2 * passes else 1.0)

    logits = module.answer_logits
    for name in ("warmup", "sft", "fine_grained"):
        monkeypatch.setattr(f"ir_replications.prorank.training.{name}.answer_logits", poisoned)
    with pytest.raises(InputError, match=r"not finite at step 3; .* checkpoint is kept"):
        train(stage, RECIPE)
    assert (tmp_path / "run" / "checkpoint-2" / "trainer_state.json").is_file()
    weights = torch.load(tmp_path / "run" / "checkpoint-2" / "state.pt")["weights"]
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


@pytest.mark.parametrize("stage", STAGES)
def test_pieces_of_a_batch_and_checkpointing_change_memory_only(
    stage: str, train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def every_answer(logits: Any, group_size: int, *_: Any) -> Any:
        """Draws that do not depend on the piece that a prompt is in: "0" and "1", then others."""
        return (15 + torch.arange(group_size)).expand(len(logits), group_size)

    monkeypatch.setattr("ir_replications.prorank.method.answer_grpo.draw", every_answer)
    _, whole = train(stage, RECIPE, "whole")
    _, pieces = train(stage, with_stage_2(with_warmup(forward_pairs=1), forward_pairs=2), "pieces")
    _, memory = train(stage, replace(RECIPE, gradient_checkpointing=True), "memory")
    for other in (pieces, memory):
        for name in ("loss", "grad_norm"):
            expected = [entry[name] for entry in whole]
            assert [entry[name] for entry in other] == pytest.approx(expected, rel=1e-2, abs=1e-4)
    assert whole[0]["grad_norm"] > 0.01


def test_the_adapter_alone_is_trained_and_stage_2_goes_on_with_it(
    answering: Any, train: Any, tmp_path: Path
) -> None:
    model, tokenizer = answering
    first, _ = train("warmup", with_warmup(rewards="relevance", steps=20), "stage1")
    start = tmp_path / "stage1" / "final"
    texts = [(pair.query, pair.document) for pair in PAIRS]
    warmed = load_adapter(copy.deepcopy(model), start)
    scores = PairScorer(warmed, tokenizer, max_length=RECIPE.max_length).score(texts)
    margin = float((scores[::2] - scores[1::2]).mean())
    every = with_stage_2(groups_per_step=len(GROUPS))
    second, log = train("fine_grained", every, "stage2", start=start)
    _, without = train("fine_grained", every, "alone")
    assert log[0]["margin"] == pytest.approx(margin, abs=1e-4)
    assert abs(without[0]["margin"] - margin) > 0.1
    # Rank 2 on 2 layers: q and o map 32 to 32, k and v 32 to 16: 2 * 2 * (2 * 64 + 2 * 48).
    assert second["trainable_parameters"] == first["trainable_parameters"] == 896
    assert second["parameters"] == sum(p.numel() for p in model.parameters())


def test_full_parameters_go_on_from_stage_1_too(answering: Any, train: Any, tmp_path: Path) -> None:
    recipe = replace(RECIPE, lora=None)
    first, log = train("warmup", recipe, "stage1")
    assert log[0]["loss"] == pytest.approx(0, abs=1e-6), "advantages sum to zero, KL is zero"
    assert first["trainable_parameters"] == sum(p.numel() for p in answering[0].parameters())
    second, _ = train("fine_grained", recipe, "stage2", start=tmp_path / "stage1" / "final")
    alone, _ = train("fine_grained", recipe, "alone")
    assert second["weights_sha256"] != alone["weights_sha256"]


@pytest.mark.parametrize("lora", [RECIPE.lora, None], ids=["lora", "full"])
def test_the_policy_leaves_its_reference(lora: Any, train: Any, tmp_path: Path) -> None:
    train("warmup", replace(with_warmup(kl_beta=0.1), lora=lora))
    log = TrainingFolder(tmp_path / "run", {}).read_log()
    assert log[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert log[-1]["kl"] > 1e-3


def test_several_updates_of_one_batch(train: Any) -> None:
    result, log = train("warmup", with_warmup(num_iterations=3, steps=2))
    assert (result["updates"], len(log)) == (6, 2)


def test_bfloat16_trains(train: Any) -> None:
    for stage in STAGES:
        _, log = train(stage, replace(RECIPE, precision="bfloat16"), stage)
        assert len(log) == 4


def test_stage_1_learns_to_tell_documents_apart(train: Any, tmp_path: Path) -> None:
    recipe = with_warmup(
        steps=60, pairs_per_step=16, group_size=64, rewards="relevance", save_steps=100
    )
    result, log = train("warmup", recipe)
    assert result["collapsed_to"] is None
    assert log[0]["accuracy"] == pytest.approx(0.5, abs=0.2)
    assert log[-1]["accuracy"] == 1.0
    assert log[-1]["reward"] > 1.3 * log[0]["reward"]


def test_stage_1_with_both_rewards_can_collapse_and_says_so(train: Any) -> None:
    """The more frequent answer pays for every document; a few steps on it is all there is."""
    recipe = with_warmup(
        replace(RECIPE, lora=None), steps=40, learning_rate=2e-3, pairs_per_step=8, group_size=16,
        save_steps=100, kl_beta=0.0,
    )  # fmt: skip
    result, log = train("warmup", recipe)
    assert result["collapsed_to"] == "0"
    assert log[-1]["p0"] > 0.9
    assert log[-1]["accuracy"] == 0.5


def test_supervised_training_learns_on_the_same_batches(train: Any) -> None:
    _, log = train("sft", with_warmup(steps=30, pairs_per_step=16, save_steps=100))
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert log[-1]["accuracy"] == 1.0


@pytest.mark.parametrize("loss", ["bce", "softmax", "ranknet"])
def test_stage_2_learns_with_each_loss(loss: Any, train: Any, tmp_path: Path) -> None:
    recipe = with_stage_2(steps=30, groups_per_step=8, loss=loss, save_steps=100)
    result, log = train("fine_grained", recipe)
    assert result["method"] == loss
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]
    assert log[-1]["margin"] > 2
    assert TrainingFolder(tmp_path / "run", {}).read_log()[-1]["ordered"] == 1.0


def test_no_layer_is_added(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__("ir_replications.prorank.training.fine_grained", fromlist=["merged"])

    def grown(model: Any) -> Any:
        merged = model.merge_and_unload()
        merged.score = torch.nn.Linear(32, 1)
        return merged

    monkeypatch.setattr(module, "merged", grown)
    with pytest.raises(RuntimeError, match=r"changed the layers .*score"):
        train("fine_grained", RECIPE)


def test_groups_must_be_those_of_the_recipe(train: Any) -> None:
    with pytest.raises(InputError, match="group 1 has the labels"):
        train("fine_grained", RECIPE, data=[(PAIRS[1], PAIRS[0])])
    with pytest.raises(InputError, match="one relevant pair and then 2 others"):
        train("fine_grained", with_stage_2(negatives=2))
    with pytest.raises(InputError, match="no training groups"):
        train("fine_grained", RECIPE, data=[])


def test_pairs_must_be_couples_where_batches_are_balanced(train: Any) -> None:
    with pytest.raises(InputError, match="pairs 1 and 2 have the labels"):
        train("warmup", RECIPE, data=PAIRS[::2])
    with pytest.raises(InputError, match="2 training pairs: one step takes 4"):
        train("sft", RECIPE, data=PAIRS[:2])
    result, _ = train("sft", with_warmup(balanced=False), data=PAIRS[::2])
    assert result["collapsed_to"] is None, "one label alone is no evidence of a collapse"
