"""The command line in processes that know the loopback hub, with the imports paid for once.

The client libraries read their environment when they are imported. A parent process imports them
with HF_ENDPOINT set and forks for every command, as a new process would start after its imports.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.cli import Result

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from ir_replications.__main__ import main
statuses = [main(line.split()) for line in sys.argv[1:]]
print("statuses", *statuses)
"""  # `python -c CODE "<arguments>" ...`: several commands in one new process


class Client:
    """Runs commands at once or side by side; `folder` gets their output and HF_HOME."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.environment = {**os.environ, **environment, "HF_HOME": str(folder / "hf")}
        self.environment.pop("IR_REPLICATIONS_DATA", None)  # a data root goes before the hub
        self._pending: dict[int, Future[int]] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hub.client"],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._collect, daemon=True).start()

    def start(self, *arguments: object, cache: Path, largest_file: int = 0) -> Running:
        """Start `replicate <arguments>` with its own cache; files end at `largest_file` bytes."""
        number = len(self._pending)
        self._pending[number] = Future()
        order = {
            "number": number,
            "arguments": [str(argument) for argument in arguments],
            "environment": {"IR_REPLICATIONS_CACHE": str(cache)},
            "largest_file": largest_file,
            "output": str(self.folder / str(number)),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Running(self._pending[number], self.folder / str(number))

    def __call__(self, *arguments: object, cache: Path, largest_file: int = 0) -> Result:
        """Run `replicate <arguments>` to its end."""
        return self.start(*arguments, cache=cache, largest_file=largest_file).result()

    def close(self) -> None:
        """End the parent process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, status = json.loads(line)
            self._pending[number].set_result(status)


class Running:
    """A command that runs."""

    def __init__(self, status: Future[int], output: Path) -> None:
        self._status, self._output = status, output

    def result(self, timeout: float = 120) -> Result:
        """Its exit status and what it printed, once it has ended."""
        status = self._status.result(timeout)
        out, err = (self._output.with_suffix(end).read_text() for end in (".out", ".err"))
        return Result(status, out, err)


def _serve() -> None:
    import datasets  # noqa: F401
    import huggingface_hub
    import pyarrow.parquet  # noqa: F401

    from ir_replications.engine.commands import group  # noqa: F401
    from ir_replications.engine.commands.inputs import data, models  # noqa: F401

    huggingface_hub.snapshot_download  # noqa: B018 - imported on first use
    children: dict[int, int] = {}
    told = threading.Lock()

    def wait(pid: int, number: int) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with told:
            print(json.dumps([number, status]), flush=True)

    waiting = []
    for line in sys.stdin:
        order = json.loads(line)
        with told:  # a child must not inherit the lock held
            pid = os.fork()
            if pid == 0:
                _run(order)
        children[order["number"]] = pid
        waiting.append(threading.Thread(target=wait, args=(pid, order["number"])))
        waiting[-1].start()
    for thread in waiting:
        thread.join()


def _run(order: dict[str, Any]) -> None:
    """Be the command: never returns."""
    status = 70
    try:
        for descriptor, end in ((1, ".out"), (2, ".err")):
            target = os.open(order["output"] + end, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(target, descriptor)
        os.environ |= order["environment"]
        if order["largest_file"]:
            most = order["largest_file"]
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        from ir_replications.__main__ import main

        status = main(order["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
