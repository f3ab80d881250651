"""A process that permissions bind, also where the tests run as root (in containers)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_DROP = 24  # PR_CAPBSET_DROP of linux/prctl.h
_PAST_PERMISSIONS = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


def unprivileged(
    arguments: list[str], folder: Path, package: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Python with these arguments in a folder, on the modules of `package`."""
    libc = ctypes.CDLL(None)

    def drop() -> None:
        for capability in _PAST_PERMISSIONS if os.geteuid() == 0 else ():
            libc.prctl(_DROP, capability, 0, 0, 0)

    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**_bare(os.environ), "PYTHONPATH": str(package), **environment},
        capture_output=True,
        text=True,
        preexec_fn=drop,
    )


def _bare(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment that says nothing about caches."""
    ours = ("IR_", "HF_", "XDG_", "NUMBA_", "MPL", "TMPDIR")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}
