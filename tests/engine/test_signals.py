"""Ctrl-C, SIGTERM and SIGHUP at every moment of a start: one line, a status, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ir_replications.engine.cores import usable_cores
from tests.cli import E2, said

ROOT = Path(__file__).resolve().parents[2]
KEPT = "what is finished is kept, run the same command to go on"
LINES = {
    signal.SIGINT: f"stopped; {KEPT}\n",
    signal.SIGTERM: f"stopped by SIGTERM; {KEPT}\n",
    signal.SIGHUP: f"stopped by SIGHUP; {KEPT}\n",
}
# Sends the signal when a module is looked for: the moment at which its loading begins.
HOOK = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Finder())
"""
LIST = ["-m", "ir_replications", "list"]
RUN = ["-m", "ir_replications", "run", "bmx", "--collection", "tiny", *E2, "--store", "s"]
TRAIN = ["-m", "ir_replications", "train", "prorank", "released-0.5b", "--dry-run"]
REWRITE = ["-m", "ir_replications", "rewrite", "--help"]
RERANK = ["-m", "ir_replications", "rerank", "--help"]
DISTIL = [
    "-m", "ir_replications", "train", "bert_distill_losses", "msmarco-tinybert-4l", "--dry-run",
]  # fmt: skip


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """The working directory; `sitecustomize` in it is what the interpreter runs first."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    return tmp_path


def _heard() -> None:
    # A job in the background is born deaf to SIGINT, one of nohup to SIGHUP: so are its children.
    for sent in LINES:
        signal.signal(sent, signal.SIG_DFL)


def _run(
    arguments: list[str], folder: Path, at: str, sent: signal.Signals
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "hook"), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "AT": at,
            "SIGNAL": str(int(sent)),
            "IR_REPLICATIONS_CACHE": str(folder / "cache"),
        },
        capture_output=True,
        text=True,
        preexec_fn=_heard,
    )


P = "ir_replications"
MOMENTS = [
    *((LIST, at) for at in ("click", f"{P}.engine.door", "rich.console", "numpy", "yaml")),
    *((RUN, at) for at in (f"{P}.engine.execute", "bm25s", "numba", "numba.core.registry",
                           "llvmlite.binding", "scipy.sparse", "numpy.linalg", "ir_measures")),
    *((TRAIN, at) for at in (f"{P}.shared.scratch", "click", f"{P}.prorank.training.recipe",
                             "yaml")),
    *((REWRITE, at) for at in ("click", f"{P}.tongsearch_qr.method.prompts")),
    *((RERANK, at) for at in ("click", "numpy", f"{P}.engine.first_stages")),
    *((DISTIL, at) for at in ("click", f"{P}.bert_distill_losses.training.arms")),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "at"), MOMENTS, ids=lambda part: str(part[1:3])
                         if isinstance(part, list) else part)  # fmt: skip
def test_ctrl_c_while_modules_load(folder: Path, arguments: list[str], at: str) -> None:
    done = _run(arguments, folder, at, signal.SIGINT)
    if done.returncode == 0 and at in ("yaml", "numpy"):
        pytest.fail(f"{at} is not loaded by {arguments}: choose another moment")
    assert (done.returncode, said(done.stderr)) == (130, LINES[signal.SIGINT]), done


@pytest.mark.parametrize("at", ["ir_replications.shared", "ir_replications.shared.entry"])
def test_ctrl_c_before_the_door_is_loaded(folder: Path, at: str) -> None:
    done = _run(LIST, folder, at, signal.SIGINT)
    assert (done.returncode, done.stdout, done.stderr) in (
        (130, "", "stopped\n"), (130, "", LINES[signal.SIGINT]),
    )  # fmt: skip


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("arguments", "at"), [(LIST, "click"), (RUN, "numba"), (TRAIN, "click")])
def test_other_signals_while_modules_load(
    folder: Path, arguments: list[str], at: str, sent: signal.Signals
) -> None:
    done = _run(arguments, folder, at, sent)
    assert (done.returncode, said(done.stderr)) == (128 + sent, LINES[sent])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_whole_group_of_a_run_with_workers_is_stopped(
    folder: Path, sent: signal.Signals
) -> None:
    """As a terminal does it: workers get Ctrl-C too, from the moment when they are born."""
    for wait in (0.8, 1.2, 1.6, 2.0):
        process = subprocess.Popen(
            [sys.executable, *RUN, "--jobs", "2"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT),
                 "IR_REPLICATIONS_CACHE": str(folder / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heard,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(wait)
        if sent == signal.SIGINT:
            os.killpg(process.pid, sent)
        else:
            process.send_signal(sent)
        out, err = process.communicate(timeout=60)
        # On a fast machine all is said by then, and the signal ends what is left of Python.
        if process.returncode in (0, -sent) and out.rstrip().endswith("for pages"):
            return
        # Python itself may say that it clears up what the workers' queues were made of.
        own = re.compile(r"note: |.*resource_tracker")
        said = [line for line in err.splitlines(keepends=True) if not own.match(line)]
        assert (process.returncode, said) == (128 + sent, [LINES[sent]]), (wait, err)


@pytest.mark.skipif(usable_cores() < 2, reason="a run has workers where there are two cores")
@pytest.mark.parametrize("thread", ["main", "another"])
@pytest.mark.parametrize("sent", LINES)
def test_a_stop_while_a_worker_starts(folder: Path, sent: signal.Signals, thread: str) -> None:
    """The worker is there and has not yet been told what it is for."""
    hook = """
import os, signal, threading, time
from multiprocessing import util
start = util.spawnv_passfds
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
def started(path, args, passed):
    process = start(path, args, passed)
    if any("spawn_main" in str(part) for part in args):
        to = other if os.environ["AT"] == "another" else threading.main_thread()
        signal.pthread_kill(to.ident, int(os.environ["SIGNAL"]))
        time.sleep(.1)
    return process
util.spawnv_passfds = started
"""
    (folder / "hook" / "sitecustomize.py").write_text(hook)
    done = _run([*RUN, "--jobs", "2"], folder, thread, sent)
    assert (done.returncode, said(done.stderr)) == (128 + sent, LINES[sent])


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    code = """
import os, signal, time
from ir_replications.shared.entry import loaded, run_process
def work():
    loaded()
    try:
        os.kill(os.getpid(), signal.SIGINT); time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT); time.sleep(60)
run_process(work)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=30, preexec_fn=_heard,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, LINES[signal.SIGINT])


def test_a_stop_that_python_could_not_raise_is_not_lost() -> None:
    code = """
import os, signal, time
from ir_replications.shared.entry import loaded, run_process
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM); time.sleep(.01)
def work():
    loaded()
    Last()
    time.sleep(60)
run_process(work)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (143, LINES[signal.SIGTERM])
