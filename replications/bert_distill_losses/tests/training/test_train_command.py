"""The command that trains: dry runs, requests that cannot be, a run and its repetition."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from click.testing import Result

from ir_replications.bert_distill_losses.checks.tiny_training import write_recipe
from ir_replications.bert_distill_losses.training import run as training_run
from ir_replications.bert_distill_losses.training import train as command_module
from ir_replications.bert_distill_losses.training.recipe import RECIPES
from ir_replications.shared.errors import DivergedError
from ir_replications.shared.training import TrainingFolder
from tests.cli import invoked

MINE = "local/mine"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    for name in ("RANK", "WORLD_SIZE", "IR_REPLICATIONS_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


def command(*arguments: Any) -> Result:
    return invoked("train", "bert_distill_losses", *arguments)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_dry_run_prints_the_arithmetic_and_trains_nothing(path: Path, own_cache: Path) -> None:
    result = command(path.stem, "--dry-run", "--arm", "A8", "--arm", "A1", "--seed", "2")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "A8 (hinge + Margin-MSE), seed 2", "A1 (BCE (hard, pointwise)), seed 2",
    ]  # fmt: skip
    assert not own_cache.exists()


def test_the_arithmetic_of_a_dry_run(yaml: Path) -> None:
    assert command(yaml, "--dry-run").output == (
        "teacher, seed 11: 4 steps x 4 groups of 2 documents = 32 pairs\n"
    )
    both = command(yaml, "--dry-run", "--arm", "A2", "--seed", "1", "--seed", "2").output
    assert [line.split(":")[0][-6:] for line in both.splitlines()] == ["seed 1", "seed 2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no recipe 'nothing'; expected a .yaml file or one of embedded, "),
        (["none.yaml"], "no recipe 'none.yaml'"),
        (["small", "--arm", "A99"], "arm 'A99': expected one of A1, A2, "),
        (["small", "--arm", "A8", "--weight", "1"], "arm A8, "),
        (["small", "--rate", "1e-4"], "--rate is for students: name one with --arm"),
        (["small", "--init", "teacher", "--dry-run"], "--init is for students"),
        (["small", "--arm", "A5", "--temperature", "2"], "arm A5, "),
        (["small", "--arm", "A2", "--rate", "nan"], "--rate nan: expected a number above 0"),
        (["small", "--arm", "A13", "--weight", "-1", "--dry-run"], "A8 + embeddings, "),
        (["small", "--seed", "1", "--seed", "2"], "--output holds one run; 2 are asked for"),
        (["small"], "beir/nfcorpus: "),
    ],
)
def test_bad_requests_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_replications.shared.data import resolve

    monkeypatch.setattr(resolve, "find_data_root", lambda *_: tmp_path)
    result = command(*arguments, "--output", tmp_path / "run", "--data-root", tmp_path)
    assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
    assert result.output.startswith(f"error: {message}")
    assert os.listdir(tmp_path) in ([], ["cache"])


def test_a_bad_recipe_names_the_file_and_the_key(yaml: Path) -> None:
    yaml.write_text(yaml.read_text() + "betta: 1\n")
    result = command(yaml, "--dry-run")
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith(
        f"error: {yaml}:11: unknown key 'betta'; expected one of name, "
    )


def test_a_choice_that_is_none_is_refused_by_the_option() -> None:
    assert command("small", "--init", "random").exit_code == 2
    assert command("small", "--teacher", "best").exit_code == 2
    assert command("small", "--seed", "-1", "--dry-run").exit_code == 2


def test_a_dry_run_says_what_is_changed() -> None:
    found = command("small", "--arm", "A6", "--temperature", "5", "--dry-run").stdout
    assert found.startswith("A6 (pair KL (soft, T = 1); temperature 5.0), seed 1: 400 steps")


def test_a_loss_that_is_not_finite_ends_one_run_and_not_the_others(
    yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def train(recipe: Any, arm: Any, seed: int, *_: Any, **__: Any) -> Any:
        tried.append(arm.hard or arm.soft)
        if arm.hard:
            raise DivergedError("the loss is not finite at step 3")
        return SimpleNamespace(weights=tmp_path / "final")

    monkeypatch.setattr(training_run, "train_student", train)
    result = command(yaml, "--arm", "A2", "--arm", "A5", "--data-root", tmp_path)
    assert tried == ["hinge", "margin-mse"]
    assert result.stdout == f"A5, seed 1: weights in {tmp_path / 'final'}\n"
    assert (result.exit_code, result.stderr) == (2, "error: the loss is not finite at step 3\n")


def test_a_run_and_its_repetition(
    yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (yaml, "--arm", "A2", "--output", tmp_path / "run", "--data-root", tmp_path)
    result = command(*arguments, "--rate", "0.01")
    final = tmp_path / "run" / "final"
    assert (result.exit_code, result.stdout) == (0, f"A2, seed 1: weights in {final}\n")
    assert (final / "head.safetensors").is_file()
    log = TrainingFolder(tmp_path / "run", {}).read_log()
    assert [entry["learning_rate"] for entry in log] == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    again = command(*arguments, "--rate", "0.01", "--development")
    first, second = again.stdout.splitlines()
    assert first == result.stdout.strip()
    values = dict(part.rsplit(" ", 1) for part in second.split(", local")) if second else {}
    assert "local/mine" in second and "mean" in second and values
    other = command(*arguments, "--rate", "0.02")
    assert other.exit_code == 2
    assert "holds a run with another rounds; choose another folder" in other.output


def test_an_interrupted_run_says_how_to_go_on(
    yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run, "train_teacher", stop)
    result = command(yaml, "--data-root", tmp_path)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith(
        "stopped; what is finished is kept, run the same command to go on\n"
    )


@pytest.mark.parametrize(("rank", "printed"), [("0", True), ("1", False)])
def test_one_process_of_several_prints(
    rank: str, printed: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    command_module.tell_once("done")
    assert bool(capsys.readouterr().out) == printed
