"""Two processes train what one does: weights, log, a batch of which one process has no label.

Each process runs `main` of this file with what torchrun tells its own. They are forks of one that
has imported everything; prorank's test_distributed.py starts its processes as a user does.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ir_replications.bert_distill_losses.checks.tiny_training import Run, student, toy_set, train
from ir_replications.bert_distill_losses.ranker.files import save_ranker
from ir_replications.bert_distill_losses.training.arms import BOTH
from ir_replications.shared.errors import InputError
from ir_replications.shared.training.distributed import process_group

PROCESSES = 2
# The last is what an optimizer imports when it is first made, for two seconds.
IMPORTED = ["ir_replications.bert_distill_losses.tests.training.test_distributed", "torch._dynamo"]
TERMS = {
    "hidden": 0.5,
    "attention": 0.1,
    "embedding": 1.0,
    "cosine": 1.0,
    "minilm": 1.0,
    "pkd": 1.0,
}
LAYERS = replace(BOTH, title="layers", layers=TERMS)
# Of 24 groups 18 are unlabelled: processes often have no label in their share of a batch.
RUNS: dict[str, dict[str, Any]] = {
    "both": {"arm": BOTH, "data": toy_set(24)},
    "few labels": {"arm": replace(BOTH, title="few"), "data": toy_set(24, unlabelled=18)},
    "layers": {"arm": LAYERS, "data": toy_set(24), "probe_steps": 2},
}


def run(name: str, folder: Path) -> Run:
    """Train without dropout, whose numbers are each process's own."""
    options = {"steps": 6, "groups_per_step": 4} | RUNS[name]
    if options["arm"].layers:
        options["layer_teacher"] = student(2, seed=1).encoder
    ranker = student(dropout=False)
    return train(ranker=ranker, folder=folder / name, **options)


def digest(done: Run) -> str:
    found = hashlib.sha256()
    for name, value in sorted(done.weights.items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


def main(folder: Path) -> None:
    """One process of several: every run, and one whose batches cannot be shared."""
    torch.set_num_threads(1)
    rank, found = int(os.environ["RANK"]), {}
    for name in RUNS:
        done = run(name, folder)
        found[name] = digest(done)
        if rank == 0:
            save_ranker(done.ranker, folder / name / "final")
    with process_group():
        try:
            train(BOTH, folder=folder / "uneven", groups_per_step=3)
        except InputError as error:
            found["uneven"] = str(error)
    (folder / f"process-{rank}.json").write_text(json.dumps(found))


def start(rank: int, port: int, folder: Path) -> None:
    """`main` in the process of this rank."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": PROCESSES, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in told.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "CUDA_VISIBLE_DEVICES": ""}
    main(folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes ran `main`."""
    folder = tmp_path_factory.mktemp("two")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    processes = [
        context.Process(target=start, args=(rank, port, folder)) for rank in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    return folder


@pytest.mark.parametrize("name", list(RUNS))
def test_two_processes_train_what_one_does(name: str, two: Path, tmp_path: Path) -> None:
    from ir_replications.bert_distill_losses.ranker.files import load_ranker
    from ir_replications.shared.training import TrainingFolder

    alone = run(name, tmp_path)
    found = load_ranker(two / name / "final").state_dict()
    for weight, expected in alone.weights.items():
        if weight.endswith("key.bias"):  # adds the same to all scores of a row: no true gradient
            continue
        apart = (expected - found[weight]).abs() > 1e-5
        # Adam makes a whole step even of a gradient that is a rounding error, as a few are.
        assert float(apart.float().mean()) <= 0.01, weight
    log = TrainingFolder(two / name, {}).read_log()
    assert len(log) == len(alone.log) == 6
    for line, same in zip(alone.log, log, strict=True):
        del line["step_seconds"], same["step_seconds"]
        assert same == pytest.approx(line, rel=1e-3, abs=1e-5)
    assert any("hard" in line for line in log)


def test_processes_end_with_the_same_weights_and_refuse_alike(two: Path) -> None:
    first, second = (json.loads((two / f"process-{i}.json").read_text()) for i in range(PROCESSES))
    assert first == second
    assert "groups_per_step: 3 cannot be shared by 2 processes" in first["uneven"]
    assert len({first[name] for name in RUNS}) == len(RUNS)
    assert not (two / "uneven").exists(), "refused before anything is written"
