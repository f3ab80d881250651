"""What the processor of this machine is and can."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

from ir_replications.shared.scratch import note_once

_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, the last ARM
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA, the same under WSL, AMD


def cpuinfo(name: str) -> str | None:
    """The first value of a field of Linux's /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    found = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in found if key.strip() == name), None)


def processor_flags() -> list[str]:
    """What the processor offers beyond its first instructions, as the kernel says it."""
    return (cpuinfo("flags") or cpuinfo("Features") or "").split()  # x86; ARM


@cache
def has_bfloat16() -> bool:
    """Whether the processor or a GPU multiplies in bfloat16.

    Without, PyTorch's bfloat16 can be several times slower than its float32: products of a layer of
    Qwen2.5-0.5B 4 and 7 times (32 and 4,800 rows) on an AMD EPYC with AVX2 alone, by hand.
    """
    if _BFLOAT16.intersection(processor_flags()):
        return True
    # Importing PyTorch takes seconds: only where there can be a GPU that it knows.
    if not _may_have_gpu() or importlib.util.find_spec("torch") is None:
        return False
    return bool(importlib.import_module("torch").cuda.is_available())


def usual_device() -> str:
    """Where models run: "cuda" where PyTorch finds a GPU, else "cpu"."""
    return "cuda" if importlib.import_module("torch").cuda.is_available() else "cpu"


def _may_have_gpu() -> bool:
    """Whether this system can have an NVIDIA or AMD GPU; on Linux its driver has a device file."""
    if sys.platform.startswith("linux"):
        return any(Path(node).exists() for node in _GPU_DRIVERS)
    return sys.platform != "darwin"


def note_slow_bfloat16() -> None:
    """A note, where bfloat16 was asked for, that float32 may be faster."""
    if not has_bfloat16():
        note_once("no bfloat16 instructions here: it may take several times as long as float32")
