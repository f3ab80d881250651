"""Training on a tiny random model: same seed same trace, resume, refusals, arithmetic."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("peft")

from ir_replications.shared.errors import InputError
from ir_replications.shared.own_code import code_of
from ir_replications.tongsearch_qr.experiments.e6_baseline import trajectory
from ir_replications.tongsearch_qr.rewriting.rewriter import make_rewriter
from ir_replications.tongsearch_qr.training import run as training_run
from ir_replications.tongsearch_qr.training.data import Row
from ir_replications.tongsearch_qr.training.grpo import dataset
from ir_replications.tongsearch_qr.training.recipe import (
    RECIPES,
    Lora,
    Recipe,
    arithmetic,
    load_recipe,
)
from ir_replications.tongsearch_qr.training.run import TrainingRows, train
from tests.cli import invoked
from tests.code_run import left_out, modules_of, modules_run
from tests.shared.models.tiny_model import WORDS, tiny_model, tiny_tokenizer

ROWS = TrainingRows(
    [Row(f"q{i}", f"w{i} w{i + 1} w{i + 2}", (f"w{i + 3} w{i + 4}",)) for i in range(8)],
    [Row("h", "w9 w8", ("w7",))],
    "0" * 64,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Folders of a random causal LM and of a random encoder that share a vocabulary."""
    import transformers

    folder = tmp_path_factory.mktemp("models")
    tiny_model().save_pretrained(str(folder / "lm"))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.5,
    )
    transformers.BertModel(config).save_pretrained(str(folder / "encoder"))
    for name in ("lm", "encoder"):
        tiny_tokenizer().save_pretrained(str(folder / name))
    (folder / "encoder" / "1_Pooling").mkdir()
    (folder / "encoder" / "1_Pooling" / "config.json").write_text(
        '{"pooling_mode_mean_tokens": true}'
    )
    return str(folder / "lm"), str(folder / "encoder")


@pytest.fixture(scope="module")
def recipe(models: tuple[str, str]) -> Recipe:
    return Recipe(
        name="tiny",
        model=models[0],
        embedder=models[1],
        data="none",
        max_steps=4,
        per_device_batch=4,
        accumulation=1,
        processes=1,
        group_size=4,
        max_prompt_tokens=400,
        max_completion_tokens=6,
        learning_rate=1e-2,
        kl_beta=0.1,
        vllm="off",
        precision="float32",
        gradient_checkpointing=False,
        lora=Lora(rank=2, alpha=4),
        save_steps=2,
    )


@pytest.fixture(scope="module")
def unbroken(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a training without interruption gives."""
    return train(recipe, rows=ROWS, output=tmp_path_factory.mktemp("unbroken") / "run")


def trace(log: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(entry["reward"], entry["loss"]) for entry in log]


def test_the_same_seed_gives_the_same_losses_and_weights(
    recipe: Recipe, unbroken: Any, tmp_path: Path
) -> None:
    one = unbroken
    two = train(recipe, rows=ROWS, output=tmp_path / "two")
    other = train(replace(recipe, seed=7), rows=ROWS, output=tmp_path / "three")
    assert len(one.log) == recipe.max_steps
    assert trace(one.log) == trace(two.log) != trace(other.log)
    assert one.result["weights_sha256"] == two.result["weights_sha256"]
    assert one.result["weights_sha256"] != other.result["weights_sha256"]
    assert one.log[-1]["kl"] > 0, "the policy must have left its reference"


def test_a_killed_run_resumes_to_the_weights_of_an_unbroken_one(
    recipe: Recipe, unbroken: Any, tmp_path: Path
) -> None:
    from transformers import TrainerCallback

    class Kill(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, rows=ROWS, output=tmp_path / "killed", callbacks=[Kill()])
    resumed = train(recipe, rows=ROWS, output=tmp_path / "killed")
    assert resumed.result["resumed_from"] == "checkpoint-2"
    assert trace(resumed.log) == trace(unbroken.log)
    assert resumed.result["weights_sha256"] == unbroken.result["weights_sha256"]


def test_a_finished_run_is_read_not_repeated(recipe: Recipe, tmp_path: Path) -> None:
    first = train(recipe, rows=ROWS, output=tmp_path / "run")
    again = train(recipe, rows=ROWS, output=tmp_path / "run")
    assert again.result == first.result
    with pytest.raises(InputError, match="another learning_rate"):
        train(replace(recipe, learning_rate=1e-3), rows=ROWS, output=tmp_path / "run")


@pytest.mark.parametrize("damaged", [["3"], ["2", "3"]], ids=["the last", "all"])
def test_a_damaged_checkpoint_is_passed_over(
    damaged: list[str],
    recipe: Recipe,
    unbroken: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of transformers' own checkpoints, whose files nothing else checks."""
    from transformers import TrainerCallback

    class Kill(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 3:
                raise KeyboardInterrupt

    often, run = replace(recipe, save_steps=1), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(often, rows=ROWS, output=run, callbacks=[Kill()])
    assert sorted(p.name for p in run.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]
    shutil.copytree(run / "checkpoint-3", run / "checkpoint-3.bak")
    for step in damaged:
        flip(run / f"checkpoint-{step}" / "adapter_model.safetensors")
    resumed = train(often, rows=ROWS, output=run)
    assert resumed.result["resumed_from"] == ("checkpoint-2" if damaged == ["3"] else None)
    assert trace(resumed.log) == trace(unbroken.log)
    assert resumed.result["weights_sha256"] == unbroken.result["weights_sha256"]
    said = capsys.readouterr().err
    assert said.count("adapter_model.safetensors was altered") == len(damaged)
    assert [p.name for p in run.glob("checkpoint-*")] == ["checkpoint-3.bak"], "somebody's own"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_altered_files_of_a_finished_run_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    short, run = replace(recipe, max_steps=1), tmp_path / "run"
    final = train(short, rows=ROWS, output=run).weights
    names = [p.name for p in final.iterdir() if p.name != "files.sha256.json"]
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= set(names)
    for name in names:
        content = (final / name).read_bytes()
        flip(final / name)
        with pytest.raises(InputError, match="was altered; delete the folder"):
            train(short, rows=ROWS, output=run)
        with pytest.raises(InputError, match="was altered; delete the run's folder"):
            make_rewriter(short.model, adapter=final)
        (final / name).write_bytes(content)
    assert train(short, rows=ROWS, output=run).weights == final


def test_other_code_is_another_run(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(recipe, max_steps=1)
    result = train(short, rows=ROWS, output=tmp_path / "run").result
    code = code_of("ir_replications.tongsearch_qr.training.run")
    assert result["provenance"]["training_code_sha256"] == code
    monkeypatch.setattr(training_run, "code_of", lambda *_: "0" * 64)
    with pytest.raises(InputError, match="holds a run with another code_sha256"):
        train(short, rows=ROWS, output=tmp_path / "run")


def test_what_runs_in_a_training_is_in_its_digest(recipe: Recipe, tmp_path: Path) -> None:
    short = replace(recipe, max_steps=1)

    def everything() -> None:
        for method in ("grpo", "sft"):
            train(short, method, rows=ROWS, output=tmp_path / method)

    run = modules_run(everything)
    assert {
        "ir_replications.tongsearch_qr.training.grpo",
        "ir_replications.tongsearch_qr.method.reward",
        "ir_replications.tongsearch_qr.training.sft",
    } <= run
    assert run <= modules_of("ir_replications.tongsearch_qr.training.run") | left_out()


def test_a_target_that_the_model_lacks_is_one_line(recipe: Recipe, tmp_path: Path) -> None:
    lacking = replace(recipe, lora=Lora(rank=2, targets=("q_proj", "query")))
    for method in ("grpo", "sft"):
        with pytest.raises(InputError, match="tiny: lora: no layer of the model is named 'query'"):
            train(lacking, method, rows=ROWS, output=tmp_path / method)


def test_full_parameters_and_fine_tuning_train_too(recipe: Recipe, tmp_path: Path) -> None:
    short = replace(recipe, max_steps=1)
    full = train(replace(short, lora=None), rows=ROWS, output=tmp_path / "full")
    assert full.result["trainable_parameters"] == sum(p.numel() for p in tiny_model().parameters())
    sft = train(short, "sft", rows=ROWS, output=tmp_path / "sft")
    assert sft.result["outputs"] == {}
    assert sft.result["trainable_parameters"] < full.result["trainable_parameters"]


def test_think_mode_on_a_model_without_tags_fails_everywhere_and_learns_nothing(
    recipe: Recipe, tmp_path: Path
) -> None:
    thinking = train(replace(recipe, think=True, max_steps=2), rows=ROWS, output=tmp_path / "run")
    assert thinking.result["outputs"].get("tags missing", 0) == 8
    assert [entry["reward"] for entry in thinking.log] == [-1.0, -1.0]
    assert all(entry["frac_reward_zero_std"] == 1.0 for entry in thinking.log)


def test_subtracting_the_baseline_leaves_the_trajectory(recipe: Recipe) -> None:
    subtracted, log, _ = trajectory(recipe, ROWS)
    plain, other, _ = trajectory(replace(recipe, subtract_baseline=False), ROWS)
    moved = np.linalg.norm(subtracted[-1] - subtracted[0])
    assert moved > 1e-3
    # Adam divides by the gradient's size, so float32 rounding of tiny gradients shows.
    assert np.linalg.norm(subtracted[-1] - plain[-1]) < 0.01 * moved
    assert log[0]["reward"] != pytest.approx(other[0]["reward"])


def test_questions_longer_than_the_recipe_allows_are_refused_when_none_is_left(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="0 of 8 questions"):
        train(replace(recipe, max_prompt_tokens=5), rows=ROWS, output=tmp_path / "run")


def test_a_recipe_for_several_processes_does_not_run_in_one(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="accelerate launch"):
        train(replace(recipe, processes=2), rows=ROWS, output=tmp_path / "run")


def test_vllm_that_is_missing_or_does_not_answer_is_one_line(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = replace(recipe, vllm="server", model=recipe.model)
    monkeypatch.setattr(training_run, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"which is not installed: pip .*, or set vllm: off"):
        train(served, rows=ROWS, output=tmp_path / "a")
    monkeypatch.setattr(training_run, "find_spec", lambda name: name)

    def unanswered(*_: Any, **__: Any) -> None:
        raise ConnectionError("The vLLM server can't be reached after 240 seconds")

    monkeypatch.setattr("trl.GRPOTrainer", unanswered)
    with pytest.raises(InputError, match="no vLLM server answers; start it on a GPU of its own"):
        train(served, rows=ROWS, output=tmp_path / "b")


def test_what_is_loaded_is_shuffled_as_the_released_script_does(recipe: Recipe) -> None:
    def order(seed: int | None) -> list[int]:
        found = dataset(replace(recipe, loading_seed=seed), tiny_tokenizer(), ROWS.train)
        return [ROWS.train.index(row) for query in found["query"] for row in ROWS.train
                if query.endswith(row.query)]  # fmt: skip

    assert load_recipe("released-1.5b").loading_seed == load_recipe("v2-7b").loading_seed == 5202
    # numpy.random.default_rng(5202).permutation(8), which the released Dataset.shuffle draws
    assert order(5202) == [4, 6, 5, 7, 1, 3, 0, 2]
    assert order(5203) != order(5202)
    assert load_recipe("small").loading_seed is load_recipe("embedded").loading_seed is None
    assert order(None) == list(range(8))


def test_the_released_recipe_takes_twelve_prompts_a_step() -> None:
    recipe = load_recipe("released-1.5b")
    assert recipe.prompts_per_step == 12
    assert "1,800 prompts" in "\n".join(arithmetic(recipe))
    assert (recipe.learning_rate, recipe.kl_beta, recipe.group_size) == (1e-6, 0.008, 16)
    assert recipe.lora is None


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_printed(path: Path) -> None:
    result = invoked("train", "tongsearch_qr", path.stem, "--dry-run")
    assert result.exit_code == 0
    assert "prompts a step" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no recipe 'nothing'"),
        (["small", "--data", "no/such/data"], "no/such/data"),
        (["embedded", "--model", "hub:a/b"], "hub:"),
    ],
)
def test_bad_requests_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = invoked("train", "tongsearch_qr", *arguments, "--output", tmp_path / "run")
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_groups_that_do_not_fill_the_batch_are_refused() -> None:
    with pytest.raises(InputError, match="do not divide"):
        Recipe(name="x", model="m", data="d", max_steps=1, per_device_batch=5, processes=1)


def test_every_trained_weight_is_float32_whatever_the_precision(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the paper's learning rate of 1e-6, weights kept in bfloat16 would never move."""
    from ir_replications.tongsearch_qr.training import run as training_run

    kinds: list[set[Any]] = []
    make = training_run.make_trainer

    def spy(*arguments: Any) -> Any:
        trainer = make(*arguments)
        kinds.append({p.dtype for p in trainer.model.parameters() if p.requires_grad})
        return trainer

    monkeypatch.setattr(training_run, "make_trainer", spy)
    short = replace(recipe, max_steps=1, precision="bfloat16")
    train(short, rows=ROWS, output=tmp_path / "adapter")
    train(replace(short, lora=None), rows=ROWS, output=tmp_path / "full")
    assert kinds == [{torch.float32}, {torch.float32}]
