"""Where caches go when the user's home folder cannot be written: a private temporary folder."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from ir_replications.shared.entry import say

# Libraries' own caches: the variable that moves each, and where it lies without the variable.
_LIBRARIES = {
    "HF_HOME": ("XDG_CACHE_HOME", "~/.cache", "huggingface"),
    "MPLCONFIGDIR": ("XDG_CONFIG_HOME", "~/.config", "matplotlib"),
    "IR_DATASETS_HOME": ("", "~", ".ir_datasets"),
}


def usable(folder: Path | str) -> bool:
    """Whether a folder is there, or could be made."""
    path = os.path.abspath(folder)
    if str(folder).startswith("~"):  # a user without a home
        return False
    if os.path.isdir(path):
        return True
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)


@cache
def private_folder(name: str) -> Path | None:
    """A folder `name` that this user alone can enter, below the temporary folder; None: nowhere.

    It is the same for every process of the user, and stays until the system clears it.
    """
    import tempfile

    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        own = Path(tempfile.gettempdir()) / f"ir-replications-{user}"
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
        # Another user's folder, or a link into one, could hold anything.
        if own.is_symlink() or found.st_uid != user or found.st_mode & 0o077:
            return None
        folder = own / name
        folder.mkdir(exist_ok=True)
        return folder if os.access(folder, os.W_OK | os.X_OK) else None
    except OSError:
        return None


def redirect_caches() -> None:
    """Have libraries that would fail or warn for want of a home keep their caches elsewhere.

    To be called before they are imported. What the user has set stays; so does everything in a
    rehearsal, which must have caches of its own.
    """
    if os.environ.get("IR_REPLICATIONS_REHEARSAL"):
        return
    for variable, (base, otherwise, name) in _LIBRARIES.items():
        parent = os.environ.get(base) or os.path.expanduser(otherwise)
        if not os.environ.get(variable) and not usable(os.path.join(parent, name)):
            folder = private_folder(name.lstrip("."))
            if folder is not None:
                os.environ[variable] = str(folder)


@cache
def note_once(text: str) -> None:
    """A line on stderr, once in a process."""
    say(f"note: {text}")
