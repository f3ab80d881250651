"""The user's folder of collections."""

from __future__ import annotations

import os
from pathlib import Path

from ir_replications.shared.errors import InputError
from ir_replications.shared.reading import user_path


def find_data_root(data_root: Path | str | None = None) -> Path | None:
    """Return the data root: the argument, else IR_REPLICATIONS_DATA, else None."""
    chosen = data_root or os.environ.get("IR_REPLICATIONS_DATA")
    if not chosen:
        return None
    folder = user_path(chosen)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; the data root must be one that exists")
    return folder
