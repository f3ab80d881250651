"""Decorators of the compiled functions, with an on-disk cache that notices every edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba as nb

from ir_replications.shared.compiling import compiled
from ir_replications.shared.retrieval import topk

# The code of any of these may be part of a kernel.
SOURCES = (
    *(
        Path(__file__).with_name(f"{name}.py")
        for name in (
            "state", "kernels", "topk", "bounds", "index", "choice", "pruning", "search",
            "compiled",
        )
    ),
    topk.SOURCE,
)  # fmt: skip

# Plain IEEE arithmetic: no reordering, no fused multiply-add, so every path gives the same bits.
jit = compiled(sources=SOURCES, nogil=True, error_model="numpy", boundscheck=False)
inline: Any = nb.njit(nogil=True, error_model="numpy", boundscheck=False, inline="always")
