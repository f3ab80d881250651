"""Decorators of the compiled functions, with an on-disk cache that notices every edit.

Numba stores compiled code by the source file of each function alone. A kernel also contains the
code of kernels in other files, so an edit there would go unnoticed: all kernels share one stamp.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
from numba.core.caching import FunctionCache

from ir_replications.shared.compiling import compiled

KERNEL_FILES = tuple(
    f"{name}.py"
    for name in (
        "state", "kernels", "topk", "bounds", "index", "choice", "pruning", "search", "compiled",
    )
)  # fmt: skip


def _stamp() -> str:
    digest = hashlib.sha256(nb.__version__.encode())
    for name in KERNEL_FILES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()


_STAMP = _stamp()


def _cached(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = compiled(nogil=True, error_model="numpy", boundscheck=False, **options)(
            function
        )
        if isinstance(dispatcher._cache, FunctionCache):  # else nothing is kept
            dispatcher._cache._cache_file._source_stamp = _STAMP
        return dispatcher

    return decorate


# Plain IEEE arithmetic: no reordering, no fused multiply-add, so every path gives the same bits.
jit = _cached()
# For functions that only compare: NaN never occurs, so a maximum can be vectorised.
jit_compare = _cached(fastmath={"nnan", "nsz"})
inline: Any = nb.njit(nogil=True, error_model="numpy", boundscheck=False, inline="always")
