"""Two processes train what one does: draws, weights, log, resumed and refused runs.

The processes are started as a user starts them, by accelerate with launch/ddp.yaml; each runs
`main` of this file and writes what it saw for the tests to compare.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from ir_replications.prorank.checks.tiny_llama import byte_tokenizer, tiny_llama
from ir_replications.prorank.checks.tiny_reranker import tiny_model, tiny_pairs, tiny_recipe
from ir_replications.prorank.method.answer_grpo import draw
from ir_replications.prorank.training.fine_grained import fine_grained
from ir_replications.prorank.training.loop import Loop
from ir_replications.prorank.training.recipe import Recipe, load_recipe
from ir_replications.prorank.training.sft import sft
from ir_replications.prorank.training.warmup import warmup
from ir_replications.shared.errors import InputError
from ir_replications.shared.training import TrainingFolder
from ir_replications.shared.training.distributed import check_shares, place, process_group

LAUNCH = Path(__file__).parents[2] / "training" / "launch"
PROCESSES = 2
PAIRS = tiny_pairs()
GROUPS = [(PAIRS[2 * i], PAIRS[2 * i + 1]) for i in range(len(PAIRS) // 2)]
STAGES: dict[str, tuple[Callable[..., dict[str, Any]], Any]] = {
    "warmup": (warmup, PAIRS),
    "sft": (sft, PAIRS),
    "fine_grained": (fine_grained, GROUPS),
}


def with_settings(recipe: Recipe, pairs: dict[str, Any], groups: dict[str, Any]) -> Recipe:
    return replace(
        recipe,
        warmup=replace(recipe.warmup, **pairs),
        fine_grained=replace(recipe.fine_grained, **groups),
    )


# Shares of four pairs in pieces of three and one; two updates of each batch.
LORA = with_settings(
    tiny_recipe(),
    {"pairs_per_step": 8, "forward_pairs": 3, "num_iterations": 2},
    {"groups_per_step": 6, "forward_pairs": 4},
)
FULL = with_settings(replace(LORA, lora=None), {"learning_rate": 1e-3}, {"learning_rate": 1e-3})
RECIPES = {"lora": LORA, "full": FULL}
RUNS = [f"{kind}/{stage}" for kind in RECIPES for stage in STAGES]
UNEVEN = with_settings(tiny_recipe(), {"pairs_per_step": 7, "balanced": False}, {})


def train(folder: Path, run: str, recipe: Recipe, weights: dict[str, Any]) -> dict[str, Any]:
    """Train a stage from the weights; what it returned, and the sha256 of what the model became."""
    function, data = STAGES[run.split("/")[1]]
    tokenizer = byte_tokenizer("gpt2")
    model = tiny_llama(len(tokenizer))
    model.load_state_dict(weights)
    result = function(
        model.eval(), tokenizer, data, recipe, TrainingFolder(folder, recipe.request("sft"))
    )
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return {"result": result, "model_sha256": digest.hexdigest()}


def main(folder: Path) -> None:
    """One process of several: every run, one that is killed and resumed, two that are refused."""
    weights = torch.load(folder / "start.pt")
    rank = int(os.environ["RANK"])
    found: dict[str, Any] = {}
    for run in RUNS:
        found[run] = train(folder / run, run, RECIPES[run.split("/")[0]], weights)
    killed, plain = folder / "killed", Loop.log

    def kill(self: Loop, entry: Any) -> None:
        if self.done == 3:
            raise KeyboardInterrupt
        plain(self, entry)

    with mock.patch.object(Loop, "log", kill):
        try:
            train(killed, "lora/warmup", LORA, weights)
        except KeyboardInterrupt:
            found["left"] = sorted(path.name for path in killed.glob("checkpoint-*"))
    found["killed"] = train(killed, "lora/warmup", LORA, weights)

    poison = mock.patch(
        "ir_replications.prorank.training.sft.answer_ce",
        lambda logits, *_: logits.sum() * float("nan"),
    )
    try:
        if rank == 1:
            poison.start()
        train(folder / "poisoned", "lora/sft", LORA, weights)
    except InputError as error:
        found["poisoned"] = str(error)
    mock.patch.stopall()
    try:
        train(folder / "uneven", "lora/sft", UNEVEN, weights)
    except InputError as error:
        found["uneven"] = str(error)
    (folder / f"process-{rank}.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def start() -> dict[str, Any]:
    """Weights of a model that answers at all."""
    return copy.deepcopy(tiny_model(answers=0.5)[0].state_dict())


@pytest.fixture(scope="module")
def two(start: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes ran `main`."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("two")
    torch.save(start, folder / "start.pt")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    command += [str(LAUNCH / "ddp.yaml"), "--num_processes", str(PROCESSES)]
    command += ["-m", "ir_replications.prorank.tests.training.test_distributed", str(folder)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[4]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def seen(two: Path) -> list[dict[str, Any]]:
    """What each process wrote."""
    return [json.loads((two / f"process-{i}.json").read_text()) for i in range(PROCESSES)]


def read_weights(run: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (path,) = (run / "final").glob("*.safetensors")
    return load_file(path)


@pytest.mark.parametrize("run", RUNS)
def test_two_processes_train_what_one_does(
    run: str, two: Path, start: dict[str, Any], tmp_path: Path
) -> None:
    recipe = RECIPES[run.split("/")[0]]
    alone = train(tmp_path, run, recipe, start)["result"]
    expected, found = read_weights(tmp_path), read_weights(two / run)
    assert expected.keys() == found.keys()
    for name in expected:
        apart = (expected[name] - found[name]).abs() > 1e-5
        # Adam makes a whole step even of a gradient that is a rounding error, as a few are.
        assert float(apart.float().mean()) <= (0 if recipe.lora else 1e-3), name
    log, other = (TrainingFolder(path, {}).read_log() for path in (tmp_path, two / run))
    assert len(log) == len(other) == 4
    for line, same in zip(log, other, strict=True):
        del line["step_seconds"], same["step_seconds"]
        assert same == pytest.approx(line, rel=1e-3, abs=1e-5)
    done = json.loads((two / run / "finished.json").read_text())["result"]
    assert (alone["processes"], done["processes"]) == (1, PROCESSES)
    assert (done["updates"], done["pairs"]) == (alone["updates"], alone["pairs"])


def test_processes_end_with_the_same_weights_and_record(seen: list[dict[str, Any]]) -> None:
    first, second = seen
    for run in [*RUNS, "killed"]:
        assert first[run] == second[run]


def test_a_killed_run_goes_on_in_every_process(seen: list[dict[str, Any]], two: Path) -> None:
    for found in seen:
        assert found["left"] == ["checkpoint-2"]
        assert found["killed"]["result"]["resumed_from"] == "checkpoint-2"
        assert found["killed"]["model_sha256"] == found["lora/warmup"]["model_sha256"]
    steps = [entry["step"] for entry in TrainingFolder(two / "killed", {}).read_log()]
    assert steps == [1, 2, 3, 4]


def test_what_one_process_meets_stops_all_of_them(seen: list[dict[str, Any]], two: Path) -> None:
    for found in seen:
        assert "the loss is not finite at step 1" in found["poisoned"]
        assert "pairs_per_step: 7 cannot be shared by 2 processes" in found["uneven"]
    assert not (two / "uneven").exists(), "refused before anything is written"


def test_shares_draw_what_the_whole_batch_draws() -> None:
    logits = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    whole = draw(logits, 5, 1.0, generator)
    probabilities, plain = logits.double().softmax(-1), torch.Generator().manual_seed(1)
    assert torch.equal(whole, torch.multinomial(probabilities, 5, True, generator=plain))
    for processes in (2, 3):
        for number in range(processes):
            mine = torch.Generator().manual_seed(1)
            share = draw(logits[number::processes], 5, 1.0, mine, (number, processes))
            assert torch.equal(share, whole[number::processes])
            assert torch.equal(mine.get_state(), generator.get_state())
    with pytest.raises(InputError, match="group_size of 2 or more"):
        draw(logits[::2], 1, 1.0, generator, (0, 2))


def test_one_process_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with process_group():
        assert place() == (0, 1)
        assert not torch.distributed.is_initialized()
        check_shares(7, "pairs_per_step")


def test_more_processes_than_gpus_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "3")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="process 4 of 4 has no GPU: there are 2"), process_group():
        pass


def test_trl_does_not_train_in_several_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = with_settings(tiny_recipe(), {"method": "trl", "forward_pairs": 2}, {})
    monkeypatch.setattr("ir_replications.prorank.training.warmup.place", lambda: (0, 2))
    with pytest.raises(InputError, match="method trl trains in one process"):
        warmup(None, None, PAIRS, recipe, TrainingFolder(tmp_path, {}))


@pytest.mark.parametrize("watched", [True, False])
def test_progress_is_shown_on_a_terminal_only(
    watched: bool, start: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return watched

    shown = Screen()
    monkeypatch.setattr(sys, "stderr", shown)
    train(tmp_path, "lora/warmup", LORA, start)
    assert ("4/4" in shown.getvalue()) is watched
    assert ("reward=" in shown.getvalue()) is watched


@pytest.mark.parametrize(("name", "kind"), [("ddp", "MULTI_GPU"), ("gpu", "NO")])
def test_accelerate_reads_the_launch_files(name: str, kind: str) -> None:
    config_args = pytest.importorskip("accelerate.commands.config.config_args")
    found = config_args.load_config_from_file(str(LAUNCH / f"{name}.yaml"))
    assert found.distributed_type == kind
    assert (found.num_processes > 1) == (name == "ddp")
    recipe = load_recipe("released-0.5b")
    for size in (recipe.warmup.pairs_per_step, recipe.fine_grained.groups_per_step):
        assert size % found.num_processes == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
