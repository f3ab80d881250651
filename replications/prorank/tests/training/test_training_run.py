"""Systems as runs of stages, and the command that trains them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from click.testing import Result

from ir_replications.prorank.checks.tiny_reranker import (
    save_tiny,
    tiny_pairs,
    tiny_recipe,
    tiny_root,
)
from ir_replications.prorank.reranking.reranker import causal_reranker, weights_sha256
from ir_replications.prorank.training import run as training_run
from ir_replications.prorank.training.data import TrainingData
from ir_replications.prorank.training.recipe import RECIPES, Recipe
from ir_replications.prorank.training.run import SYSTEMS, TrainedStage, train
from ir_replications.prorank.training.train import SYSTEM_NAMES
from ir_replications.shared.errors import InputError
from ir_replications.shared.own_code import code_of
from ir_replications.shared.training.pairs import Group
from tests.cli import invoked
from tests.code_run import left_out, modules_of, modules_run
from tests.shared.models.tiny_model import tiny_model as word_model
from tests.shared.models.tiny_model import tiny_tokenizer as word_tokenizer

PAIRS = tiny_pairs()
GROUPS: list[Group] = [(PAIRS[2 * i], PAIRS[2 * i + 1]) for i in range(len(PAIRS) // 2)]
DATA = TrainingData(PAIRS, GROUPS, "0" * 64, ("made",))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    for name in ("RANK", "WORLD_SIZE", "IR_REPLICATIONS_DATA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "lm")


@pytest.fixture
def recipe(model: Path) -> Recipe:
    return replace(tiny_recipe(), model=str(model))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that were trained, in order; one that is found finished is none of them."""
    stages: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            stages.append(name)
            return function(*arguments, **options)

        return run

    for name in ("warmup", "sft", "fine_grained"):
        monkeypatch.setattr(training_run, name, noted(name, getattr(training_run, name)))
    return stages


# ---- Systems


def test_systems_share_their_stages(recipe: Recipe, trained: list[str]) -> None:
    runs = {system: train(recipe, system, DATA) for system in SYSTEMS}
    assert trained == ["sft", "warmup", "fine_grained", "fine_grained", "fine_grained"]
    assert runs["zero-shot"] == []
    assert runs["stage 1"] == runs["stage 1+2"][:1]
    assert runs["sft"] == runs["sft+stage 2"][:1]
    stage_2 = [runs[system][-1] for system in ("stage 2", "stage 1+2", "sft+stage 2")]
    assert len({weights_sha256(stage.weights) for stage in stage_2}) == 3
    for stages in runs.values():
        for stage in stages:
            assert len(stage.log) == stage.result["steps"]


def test_stage_2_alone_takes_the_updates_and_pairs_of_both(
    recipe: Recipe, trained: list[str]
) -> None:
    (alone,), both = train(recipe, "stage 2", DATA), train(recipe, "stage 1+2", DATA)
    for what in ("steps", "updates", "pairs"):
        assert alone.result[what] == sum(stage.result[what] for stage in both) > 0
    uneven = replace(recipe, fine_grained=replace(recipe.fine_grained, groups_per_step=3))
    with pytest.raises(InputError, match="a control of equal updates"):
        train(uneven, "stage 2", DATA)


def test_a_finished_run_is_found_and_another_request_is_another_run(
    recipe: Recipe, trained: list[str], tmp_path: Path
) -> None:
    first = train(recipe, "stage 1", DATA)
    assert train(replace(recipe, note="reworded"), "stage 1", DATA) == first
    assert trained == ["warmup"]
    for other in (
        replace(recipe, seed=7),
        replace(recipe, model=str(save_tiny(tmp_path / "b", 1))),
    ):
        assert train(other, "stage 1", DATA)[0].weights != first[0].weights
    more = replace(DATA, sha256="1" * 64)
    assert train(recipe, "stage 1", more)[0].weights != first[0].weights
    assert trained == ["warmup"] * 4


def test_a_folder_of_its_own_has_a_folder_for_each_stage(recipe: Recipe, tmp_path: Path) -> None:
    stages = train(recipe, "stage 1+2", DATA, output=tmp_path / "run")
    assert [s.weights for s in stages] == [
        tmp_path / "run" / name / "final" for name in ("warmup", "fine_grained")
    ]
    asked = json.loads((tmp_path / "run" / "fine_grained" / "run.json").read_text())["request"]
    assert asked["start_sha256"] == weights_sha256(stages[0].weights)
    with pytest.raises(InputError, match="holds a run with another settings, start_sha256"):
        train(recipe, "stage 2", DATA, output=tmp_path / "run")


def test_an_unknown_system_is_one_line(recipe: Recipe) -> None:
    with pytest.raises(InputError, match="system 'stage 3': expected one of zero-shot, sft, "):
        train(recipe, "stage 3", DATA)


def test_several_processes_must_share_the_batches_of_every_stage(
    recipe: Recipe, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six pairs are shared by three processes, two groups are not: seen before stage 1 trains."""
    for name, value in (("WORLD_SIZE", "3"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    six = replace(recipe, warmup=replace(recipe.warmup, pairs_per_step=6))
    with pytest.raises(InputError, match="groups_per_step: 2 cannot be shared by 3 processes"):
        train(six, "stage 1+2", DATA)
    with pytest.raises(InputError, match="pairs_per_step: 4 cannot be shared by 3 processes"):
        train(recipe, "sft", DATA)
    assert trained == []


def test_sha256_of_weights_is_of_their_files(recipe: Recipe, tmp_path: Path) -> None:
    (stage,) = train(recipe, "sft", DATA)
    copied = tmp_path / "elsewhere"
    shutil.copytree(stage.weights, copied)
    (copied / "notes.txt").write_text("not weights")
    assert weights_sha256(copied) == weights_sha256(stage.weights)
    weights = copied / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert weights_sha256(copied) != weights_sha256(stage.weights)
    with pytest.raises(InputError, match="no weights; expected the final folder"):
        weights_sha256(tmp_path)


def test_an_adapter_of_another_base_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    (stage,) = train(recipe, "sft", DATA)
    other = save_tiny(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match=r"adapter was trained on .*, not on this model"):
        causal_reranker(str(other), stage.weights)
    assert causal_reranker(recipe.model, stage.weights).scorer.score(
        [("sea", "sea tide")]
    ).shape == (1,)


def test_trained_weights_of_every_kind_are_scored(recipe: Recipe) -> None:
    """An adapter, and a whole model; both move the scores away from the untrained model's."""
    pairs = [(pair.query, pair.document) for pair in PAIRS]
    untrained = causal_reranker(recipe.model).scorer.score(pairs)
    for kind in (recipe, replace(recipe, lora=None)):
        (stage,) = train(kind, "sft", DATA)
        reranker = causal_reranker(recipe.model, stage.weights)
        assert reranker.identity["weights_sha256"] == weights_sha256(stage.weights)
        assert abs(reranker.scorer.score(pairs) - untrained).max() > 0.01


# ---- What was altered since, and other code


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "base.json"])
def test_altered_weights_of_either_stage_are_refused(
    recipe: Recipe, name: str, tmp_path: Path, trained: list[str]
) -> None:
    first, second = train(recipe, "stage 1+2", DATA)
    for stage in (second, first):
        content = (stage.weights / name).read_bytes()
        flip(stage.weights / name)
        for asked in ("stage 1+2", {"warmup": "stage 1"}.get(stage.stage, "stage 1+2")):
            with pytest.raises(InputError) as caught:
                train(recipe, asked, DATA)
            assert str(caught.value) == (
                f"{stage.weights / name} was altered; delete the folder {stage.weights.parent} and "
                "run again"
            )
        (stage.weights / name).write_bytes(content)
    assert train(recipe, "stage 1+2", DATA) == [first, second]
    assert trained == ["warmup", "fine_grained"], "nothing is trained over a finished run"


def test_altered_weights_that_are_named_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    (stage,) = train(recipe, "sft", DATA)
    copied = tmp_path / "copied"
    shutil.copytree(stage.weights, copied)
    assert causal_reranker(recipe.model, copied).identity["weights_sha256"]
    flip(copied / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"copied/adapter_model\.safetensors was altered"):
        causal_reranker(recipe.model, copied)


def test_other_code_is_another_run(
    recipe: Recipe, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = train(recipe, "sft", DATA)
    made = first.result["provenance"]["training_code_sha256"]
    assert made == code_of("ir_replications.prorank.training.run")
    monkeypatch.setattr(training_run, "code_of", lambda *_: "0" * 64)
    (other,) = train(recipe, "sft", DATA)
    assert trained == ["sft", "sft"] and other.weights != first.weights
    assert weights_sha256(other.weights) == weights_sha256(first.weights)


def test_what_runs_in_a_training_is_in_its_digest(recipe: Recipe) -> None:
    run = modules_run(lambda: [train(recipe, system, DATA) for system in ("sft", "stage 1+2")])
    assert {
        "ir_replications.prorank.training.sft",
        "ir_replications.prorank.method.losses",
        "ir_replications.prorank.training.batches",
    } <= run
    assert run <= modules_of("ir_replications.prorank.training.run") | left_out()


def test_a_target_that_the_model_lacks_is_one_line(recipe: Recipe) -> None:
    """peft trains those that it finds and says nothing of the others."""
    assert recipe.lora is not None
    lora = replace(recipe.lora, targets=("q_proj", "query"))
    with pytest.raises(InputError, match="tiny: lora: no layer of the model is named 'query'"):
        train(replace(recipe, lora=lora), "sft", DATA)


# ---- The command


@pytest.fixture
def yaml(model: Path, tmp_path: Path) -> Path:
    """A recipe file for the tiny model on a BEIR folder."""
    root = tiny_root(tmp_path / "root")
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\nmodel: {model}\ndata: [{root / 'local' / 'mine'}]\nmax_length: 64\n"
        "precision: float32\nlora: {rank: 2, alpha: 4}\n"
        "warmup: {steps: 2, pairs_per_step: 4, group_size: 8}\n"
        "fine_grained: {steps: 2, groups_per_step: 2, negatives: 1}\n"
    )
    return path


def command(*arguments: Any) -> Result:
    return invoked("train", "prorank", *arguments)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_dry_run_prints_the_arithmetic_and_trains_nothing(path: Path, own_cache: Path) -> None:
    result = command(path.stem, "--dry-run")
    assert result.exit_code == 0
    assert result.output.startswith(f"{path.stem}: ")
    assert "stage 1: " in result.output and "stage 2: " in result.output
    assert not own_cache.exists()


def test_options_change_the_recipe() -> None:
    result = command("small", "--dry-run", "--loss", "ranknet", "--model", "here")
    assert "small: here\n" in result.output and "(ranknet)" in result.output
    assert set(SYSTEM_NAMES) == set(SYSTEMS) - {"zero-shot"}


def test_a_whole_run_and_its_repetition(yaml: Path, tmp_path: Path) -> None:
    result = command(yaml, "--output", tmp_path / "run")
    final = tmp_path / "run" / "fine_grained" / "final"
    assert (result.exit_code, result.stdout) == (0, f"weights in {final}\n")
    assert (final / "adapter_model.safetensors").is_file()
    notes = result.stderr.splitlines()
    assert notes[0].startswith("mine train: 8 queries, 0 left out, 8 with both labels")
    assert "taken: 8 pairs and 8 groups" in notes
    again = command(yaml, "--output", tmp_path / "run")
    assert (again.stdout, again.stderr) == (result.stdout, result.stderr)


@pytest.mark.parametrize(("rank", "printed"), [("0", True), ("1", False)])
def test_one_process_of_several_prints(
    rank: str, printed: bool, yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapsed(*_: Any, **__: Any) -> list[TrainedStage]:
        return [TrainedStage(tmp_path / "final", [], {"collapsed_to": "1"}, "warmup")]

    monkeypatch.setattr(training_run, "train", collapsed)
    monkeypatch.setenv("RANK", rank)
    result = command(yaml)
    assert result.exit_code == 0
    assert bool(result.stdout) == bool(result.stderr) == printed
    assert ("warning: warmup collapsed to the answer 1\n" in result.stderr) == printed


def test_the_first_stage_of_a_folder_is_its_stored_pool(yaml: Path, tmp_path: Path) -> None:
    """A pool without any relevant document: nothing to train on, which BM25 would have found."""
    folder = tmp_path / "root" / "local" / "mine"
    (folder / "run.BM25.jsonl").write_text(
        '{"qid": "q-sea", "candidates": [{"docid": "a-map", "rank": 1, "score": 1.0}]}\n'
    )
    result = command(yaml)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "mine train: no query has both a relevant and an irrelevant candidate" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no recipe 'nothing'; expected a .yaml file or one of embedded, "),
        (["small", "--data", "no/such/data"], "no/such/data: no such folder"),
        (["none.yaml"], "no recipe 'none.yaml'"),
    ],
)
def test_bad_requests_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = command(*arguments, "--output", tmp_path / "run", "--data-root", tmp_path)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith(f"error: {message}")
    assert os.listdir(tmp_path) in ([], ["cache"])


def test_a_tokenizer_without_the_answers_is_refused_before_training(
    yaml: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "words"
    word_model().save_pretrained(str(folder))
    word_tokenizer().save_pretrained(str(folder))
    result = command(yaml, "--model", folder, "--output", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (2, "")
    error = result.stderr.splitlines()[-1]
    assert error.startswith("error: the tokenizer makes '0' the ids [0]; expected one known token")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_says_how_to_go_on(
    yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "fine_grained", stop)
        result = command(yaml, "--output", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith(
        "stopped; what is finished is kept, run the same command to go on\n"
    )
    monkeypatch.setattr(training_run, "warmup", stop)  # it is finished
    assert command(yaml, "--output", tmp_path / "run").exit_code == 0


def test_damaged_weights_end_the_command_before_anything_is_trained(
    yaml: Path, tmp_path: Path
) -> None:
    assert command(yaml, "--system", "sft", "--output", tmp_path / "run").exit_code == 0
    flip(tmp_path / "run" / "sft" / "final" / "adapter_model.safetensors")
    result = command(yaml, "--system", "sft", "--output", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "adapter_model.safetensors was altered; delete the folder" in result.stderr


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (PermissionError(13, "Permission denied", "/x"), "error: /x: Permission denied"),
        (OSError(30, "Read-only file system", "/x"), "error: /x: Read-only file system"),
        (OSError(28, "No space left on device"), "error: No space left on device"),
        (OSError("no such\nmodel"), "error: no such model"),
        (MemoryError(), "error: out of memory; ask for less"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried"), "error: out of memory (CUDA out of"),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    failure: Exception, message: str, yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(training_run, "train", fail)
    result = command(yaml, "--output", tmp_path / "run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_fault_of_ours_asks_to_be_reported(yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(training_run, "train", fail)
    result = command(yaml)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "RuntimeError: shapes differ" in result.stderr and "please report it" in result.stderr


@pytest.mark.slow
def test_torchrun_with_two_processes_trains_what_one_does(yaml: Path, tmp_path: Path) -> None:
    """The command as a user gives it; the adapters of both stages are compared."""
    from safetensors.torch import load_file

    train = ["-m", "ir_replications", "train", "prorank", str(yaml), "--system", "sft+stage 2"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, *train, "--output", str(tmp_path / "two")],
        cwd=Path(__file__).parents[4],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"weights in {tmp_path / 'two' / 'fine_grained' / 'final'}\n"
    assert command(*train[4:], "--output", tmp_path / "one").exit_code == 0
    found: dict[str, dict[str, Any]] = {}
    for name in ("one", "two"):
        found[name] = {
            f"{stage} {key}": value
            for stage in ("sft", "fine_grained")
            for key, value in load_file(
                tmp_path / name / stage / "final" / "adapter_model.safetensors"
            ).items()
        }
    assert found["one"].keys() == found["two"].keys()
    # Adapters begin with lora_B at 0, so its values are what was learnt. Two sums of half a batch
    # round otherwise than one of all of it: 3e-7 of the values here. Adam makes a whole step of
    # the sign of a gradient, which may be a rounding error on another processor: hence 1e-3.
    for key, one in found["one"].items():
        apart = float((found["two"][key] - one).norm() / one.norm())
        assert apart <= (1e-3 if "lora_B" in key else 1e-5), (key, apart)
        assert float(one.norm()) > 0, f"{key} learnt nothing"
