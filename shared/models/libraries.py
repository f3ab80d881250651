"""The optional libraries that models need."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ir_replications.shared.errors import MissingDependencyError
from ir_replications.shared.extras import remedy


def require(module: str) -> Any:
    """Import an optional dependency, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(f"{module} is not installed: {remedy(module)}") from error


def hide_progress() -> None:
    """No progress bars of transformers where nobody watches a terminal."""
    if not sys.stderr.isatty():
        require("transformers.utils.logging").disable_progress_bar()
