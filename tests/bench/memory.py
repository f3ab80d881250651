"""`python -m tests.bench.memory DOCUMENTS...`: the peak memory of `replicate bench` by size.

Each size in an empty cache and a process tree of its own; prints one line of JSON a size.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.bench.synthetic import write_folder

SYSTEMS = "lexical"
LIMIT = 8 << 30  # bytes; beyond it a run is stopped


def peak_of(folder: Path, scratch: Path, systems: str = SYSTEMS) -> dict[str, float]:
    """Run the bench of a folder: peak resident MiB of its processes, without mapped files, seconds.

    Raises RuntimeError where it fails or goes beyond LIMIT.
    """
    command = [
        sys.executable, "-m", "ir_replications", "bench", str(folder), "--systems", systems,
        "--no-download", "--out", str(scratch / "out"),
    ]  # fmt: skip
    env = {**os.environ, "IR_REPLICATIONS_CACHE": str(scratch / "cache"), "OMP_NUM_THREADS": "1"}
    whole = own = 0
    started = time.perf_counter()
    with (scratch / "log").open("w") as log:
        child = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        while child.poll() is None:
            resident, mapped = _memory(child.pid)
            whole, own = max(whole, resident), max(own, resident - mapped)
            if whole > LIMIT:
                child.kill()
                child.wait()
                raise RuntimeError(f"{folder}: beyond {LIMIT >> 20} MiB")
            time.sleep(0.2)
    if child.returncode:
        raise RuntimeError((scratch / "log").read_text()[-2000:])
    seconds = time.perf_counter() - started
    return {"resident_mib": whole >> 20, "own_mib": own >> 20, "seconds": round(seconds, 1)}


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes of a process and of those below it, and how many are mapped from files."""
    resident = mapped = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            memory = each.memory_info()
            resident, mapped = resident + memory.rss, mapped + getattr(memory, "shared", 0)
    return resident, mapped


if __name__ == "__main__":
    for size in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as scratch:
            made = write_folder(Path(scratch) / "synthetic", size)
            print(json.dumps({"documents": size, **peak_of(made, Path(scratch))}), flush=True)
