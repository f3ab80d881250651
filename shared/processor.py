"""What the processor of this machine is and can."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path

from ir_replications.shared.scratch import note_once

_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, the last ARM


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
    if importlib.util.find_spec("torch") is None:
        return False
    return bool(importlib.import_module("torch").cuda.is_available())


def note_slow_bfloat16() -> None:
    """A note, where bfloat16 was asked for, that float32 may be faster."""
    if not has_bfloat16():
        note_once("no bfloat16 instructions here: it may take several times as long as float32")
