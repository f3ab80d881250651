"""What names a collection or a model of the hub: "hub:<organisation>/<name>@<revision>"."""

from __future__ import annotations

import re

from ir_replications.shared.errors import InputError

_REF = re.compile(r"hub:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@([0-9a-f]{40})", re.ASCII)


def parse_hub_ref(ref: str) -> tuple[str, str]:
    """("<organisation>/<name>", revision of 40 hex digits). Raises InputError for another form."""
    match = _REF.fullmatch(ref)
    if match is None or ".." in ref:
        raise InputError(
            f"{ref}: expected hub:<organisation>/<name>@<revision> with the full revision of 40 "
            "hexadecimal digits; a branch or a short revision can change under your feet"
        )
    return match[1], match[2]
