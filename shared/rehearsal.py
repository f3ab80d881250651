"""A rehearsal: real commands under real ids, on stand-ins for the data and models they name.

IR_REPLICATIONS_REHEARSAL is "1", or settings that shorten every recipe read: "max_steps=2" or
"warmup.steps=2,fine_grained.steps=2". Downloads may then differ from their pins, so hub, caches
and store must be a rehearsal's own, and its records say what they are: none is ever published.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ir_replications.shared.errors import InputError

VARIABLE = "IR_REPLICATIONS_REHEARSAL"
OWN = ("HF_ENDPOINT", "HF_HOME", "IR_REPLICATIONS_CACHE")
ELSEWHERE = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE")  # win over HF_HOME
KEY = "rehearsal"  # in a record's provenance


def rehearsal() -> str | None:
    """The value of IR_REPLICATIONS_REHEARSAL; None outside a rehearsal.

    Raises InputError where the hub or a cache would be the one of real runs.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if not value or value == "0":
        return None
    if missing := [name for name in OWN if not os.environ.get(name)]:
        raise InputError(
            f"{VARIABLE} is set and {', '.join(missing)} not: stand-ins would end in the caches of "
            "real runs; set each to a hub and to folders of the rehearsal's own"
        )
    if others := [name for name in ELSEWHERE if os.environ.get(name)]:
        raise InputError(
            f"{VARIABLE} is set, and so is {', '.join(others)}; unset what leads "
            "past HF_HOME to the cache of real runs"
        )
    return value


def is_rehearsal(provenance: Mapping[str, Any]) -> bool:
    """Whether a record's provenance says that it was made in a rehearsal."""
    return bool(provenance.get(KEY))


def shortened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's settings with those of the rehearsal in their place; as they are outside one.

    Raises InputError for anything but "key=value" pairs.
    """
    from ir_replications.shared.yaml_reader import parse_yaml

    found, value = dict(settings), rehearsal()
    for pair in value.split(",") if value and value != "1" else ():
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not (name and equals and text):
            raise InputError(f"{VARIABLE}: {pair!r}: expected key=value, as in warmup.steps=2")
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            inner = place.get(parent) or {}
            if not isinstance(inner, Mapping):
                raise InputError(f"{VARIABLE}: {pair!r}: {parent} holds no settings of its own")
            place[parent] = dict(inner)
            place = place[parent]
        place[last] = parse_yaml(text, VARIABLE)
    return found
