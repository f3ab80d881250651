"""Whether a collection is what its pin says."""

from __future__ import annotations

from ir_replications.shared.data.collection import Collection
from ir_replications.shared.data.manifest import Pin, pinned

UNPINNED = "nothing is pinned"
"""Begins the one line that `check_collection` returns for a collection that has no pin."""


def count_mismatches(collection: Collection, pin: Pin) -> list[str]:
    """Return one line per count of `pin` that `collection` does not have."""
    found = {
        "documents": (len(collection.doc_ids), pin.docs),
        f"queries in {pin.split!r}": (len(collection.qrels.get(pin.split, {})), pin.queries),
    }
    return [
        f"{collection.id}: {number} {what}, pinned {expected}"
        for what, (number, expected) in found.items()
        if expected and number != expected
    ]


def check_collection(collection: Collection) -> list[str]:
    """Return one line per difference between a collection and its pin; empty when it matches.

    Without a pinned fingerprint the only line begins with UNPINNED, unless counts differ: such a
    collection can be used, but no golden value may be compared on it.
    """
    pin = pinned(collection.id)
    if pin is None:
        return [f"{UNPINNED} for {collection.id}; no golden value is compared"]
    lines = count_mismatches(collection, pin)
    if pin.sha256 and pin.sha256 != collection.sha256:
        lines.append(f"{collection.id}: sha256 {collection.sha256}, pinned {pin.sha256}")
    if not lines and not pin.sha256:
        what = collection.source if collection.id == "pydocs" else collection.id
        return [f"{UNPINNED} for the content of {what}; no golden value is compared"]
    return lines
