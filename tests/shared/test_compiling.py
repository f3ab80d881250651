"""Compiled functions are built once on a machine, which is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
from ir_replications.shared.retrieval.topk import worse
print(worse(1.0, 2, 1.0, 1))
print(worse(1, 2, 1, 1))  # compiled for other types: said once
"""


def test_the_first_call_says_that_it_compiles_and_the_next_start_is_silent(tmp_path: Path) -> None:
    def run() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            capture_output=True,
            text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            check=True,
        )
        return done.stdout, done.stderr

    note = "note: compiling search kernels, once on this machine\n"
    assert run() == ("True\nTrue\n", note)
    assert run() == ("True\nTrue\n", "")


TURNS = """
import sys
from ir_replications.shared.retrieval.topk import worse
print("ready", flush=True)
sys.stdin.readline()
worse(1.0, 2, 1.0, 1)
print(sum(worse.stats.cache_misses.values()), sum(worse.stats.cache_hits.values()))
"""


def test_of_two_processes_one_compiles_and_the_other_finds_it(tmp_path: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TURNS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in both if process.stdout] == ["ready\n"] * 2
    for process in both:  # both at once
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(process.communicate()[0] for process in both) == ["0 1\n", "1 0\n"]
