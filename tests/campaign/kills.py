"""python -m tests.campaign.kills WORK KILLS SEED FOLDER: work that is killed and goes on.

WORK is "cells" (a run of BMX's experiment E2 on a tiny collection) or "training" (a tiny
student). The work is done once undisturbed, then again and again in forks of this process, which
has imported all that is slow, each ended by SIGKILL at a random moment until it ends by itself.
What then lies in the folder has to be what the undisturbed work left. The last line of stdout
is [kills that met the work, times it was done].
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

TIMES = {"started", "wall_s", "peak_rss_mib"}  # of a record's provenance
Work = Callable[[Path], int]


def cells(folder: Path) -> int:
    """Run the cells with a store in `folder`; the exit status."""
    from ir_replications.__main__ import main
    from tests.cli import E2

    return main(["run", "bmx", "--collection", str(folder.parent / "tiny"), *E2,
                 "--store", str(folder)])  # fmt: skip


def training(folder: Path) -> int:
    """Train a tiny student in `folder` and write down its weights' digest and its log."""
    from ir_replications.bert_distill_losses.checks.tiny_training import train
    from ir_replications.bert_distill_losses.ranker.files import weights_sha256
    from ir_replications.bert_distill_losses.training.arms import BOTH
    from ir_replications.shared.files import atomic_write

    run = train(BOTH, folder=folder, steps=60, save_steps=3)
    log = [{k: v for k, v in entry.items() if "seconds" not in k} for entry in run.log]
    with atomic_write(folder / "told.json") as handle:
        json.dump({"weights": weights_sha256(run.ranker), "log": log}, handle)
    return 0


def left_by_cells(folder: Path) -> dict[str, Any]:
    """Records without their times and the digest of all, and run files byte for byte."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name[0] != "."):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            body = json.loads(path.read_text("utf-8"))
            body["provenance"] = {k: v for k, v in body["provenance"].items() if k not in TIMES}
            body.pop("digest")
            found[name] = json.dumps(body, sort_keys=True)
        else:
            found[name] = path.read_bytes()
    return found


def left_by_training(folder: Path) -> dict[str, Any]:
    return {"told.json": (folder / "told.json").read_text("utf-8")}


WORKS: dict[str, tuple[Work, Callable[[Path], dict[str, Any]]]] = {
    "cells": (cells, left_by_cells),
    "training": (training, left_by_training),
}


def forked(work: Callable[[], int], output: Path) -> int:
    """Start work in a fork of this process, its output into a file; returns the process."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        target = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        status = work()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finish(work: Callable[[], int], output: Path) -> None:
    """Let work end by itself, with status 0."""
    _, status = os.waitpid(forked(work, output), 0)
    assert status == 0, f"status {status}: {output.read_text()[-1500:]}"


def kill_at_random(work: Work, target: Path, longest: float, rng: Random, output: Path) -> int:
    """Kill work at random moments until it ends by itself; returns how many kills met it."""
    kills = 0
    while True:
        pid = forked(lambda: work(target), output)
        deadline = time.monotonic() + rng.uniform(0, longest)
        done = 0
        while time.monotonic() < deadline and not done:
            time.sleep(0.002)
            done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, f"status {status}: {output.read_text()[-1500:]}"
            return kills
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1


def main() -> None:
    name, wanted, seed, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    import torch

    import ir_replications.__main__
    import ir_replications.bert_distill_losses.checks.tiny_training
    import ir_replications.bmx.experiments.registry  # noqa: F401
    from tests.cli import beir

    torch.set_num_threads(1)
    beir(place / "tiny")
    work, left = WORKS[name]
    output = place / "output.txt"
    finish(lambda: work(place / "warm"), output)  # what a first run alone makes, such as caches
    started = time.monotonic()
    finish(lambda: work(place / "undisturbed"), output)
    longest = 1.2 * (time.monotonic() - started)
    expected = left(place / "undisturbed")
    rng, kills, done = Random(seed), 0, 0
    while kills < wanted:
        target = place / f"killed-{done}"
        kills += kill_at_random(work, target, longest, rng, output)
        found = left(target)
        assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
        differing = [part for part in expected if found[part] != expected[part]]
        assert not differing, f"{target}: {differing[0]} is not what undisturbed work leaves"
        done += 1
    print(json.dumps([kills, done]))


if __name__ == "__main__":
    main()
