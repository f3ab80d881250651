"""A new paper's folder from the template beside this file: `replicate new`.

Files of the template end in `.template`, so that nothing finds, tests or packs them as code; in
name and text `PAPER_NAME` stands for the paper's name.
"""

from __future__ import annotations

import keyword
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ir_replications.shared.errors import InputError

TEMPLATE = Path(__file__).with_name("template")
SUFFIX = ".template"
PLACEHOLDER = "PAPER_NAME"
RESERVED = ("all", "tests")  # what commands call every paper, and what no wheel holds
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_IMPORTS = re.compile(r"(?:^from ir_replications\.\S+ import .*\n)+", re.MULTILINE)


def write_new_paper(name: str, papers: Path) -> Path:
    """Write papers/name from the template, whole or not at all; returns the folder.

    Raises InputError for a name that is no lower-case Python identifier or is in use, and where
    the folder cannot be written.
    """
    folder = papers / name
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in RESERVED:
        raise InputError(
            f"{name!r}: cannot name a paper; give an identifier in lower case, e.g. rank_fusion"
        )
    if folder.exists() or find_spec(f"ir_replications.{name}") is not None:
        raise InputError(f"{name!r}: is a part of the suite already; choose another name")
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=papers) as temporary:
            made = Path(temporary) / name
            for path in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
                place = made / path.relative_to(TEMPLATE).with_suffix("")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(_filled(path.read_text("utf-8"), name), "utf-8")
            made.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder


def _filled(text: str, name: str) -> str:
    """A file's text with the name in place; imports are put in order, which the name changes."""
    text = text.replace(PLACEHOLDER, name)
    return _IMPORTS.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)
