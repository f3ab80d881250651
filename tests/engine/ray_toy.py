"""A paper of small cells for the tests on Ray; `install` puts it into a worker of the cluster."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from ir_replications.engine import registry
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.engine.jobs import Job
from ir_replications.shared.errors import InputError
from ir_replications.shared.evaluation.metrics import Scores


def _cell(config: Config, context: Context) -> Outcome:
    system = config["system"]
    if system.startswith("killed"):
        with Path(config["marks"]).open("a") as marks:
            marks.write("x")
        if system == "killed always" or Path(config["marks"]).read_text() == "x":
            os.kill(os.getpid(), signal.SIGKILL)
    if system == "refused":
        raise InputError("corpus.jsonl:1: bad")
    if system == "bad":
        raise ZeroDivisionError("nothing to divide by")
    if system == "slow":
        time.sleep(1)
    facts = {"node": Path(os.environ["IR_REPLICATIONS_CACHE"]).parent.name}
    if system == "files":
        facts["text"] = context.files("qa.txt").read_text()
    n = float(len(context.collection(config["collection"]).doc_ids))
    return Outcome(Scores({"n": {"q1": n}}, {"n": n}), facts, {"q1": [("d1", n)]})


def _cells(plan: Plan) -> list[dict[str, Any]]:
    return [{"collection": name, "system": "good"} for name in plan.collections]


TOY = {"E1": Experiment("E1", "toy", _cells, _cell, {})}


def toys(paper: str) -> dict[str, Experiment]:
    """In place of `registry.experiments`."""
    return TOY


def install() -> None:
    """Every paper of this process is the toy."""
    registry.experiments = toys


def toy_job(system: str, **config: Any) -> Job:
    """One cell of the toy on the collection "tiny"."""
    return Job("toy", "small", "E1", {"collection": "tiny", "system": system, **config})
