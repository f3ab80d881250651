"""What a stage costs: seconds an item, kept across runs, and the peak memory of the process."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir_replications.reports.records.provenance import peak_rss_mib
from ir_replications.shared.errors import InputError
from ir_replications.shared.files import atomic_write, find_cache_dir
from ir_replications.shared.reading import is_finite, read_json


def seconds_per_item(what: Mapping[str, Any], items: int, seconds: float) -> float | None:
    """Seconds that one item takes, from all runs that made any; None where no run is known.

    `what` names the work; `items` were made now in `seconds`. What a cache gave has taken its time
    in an earlier run, which is remembered here, so that a resumed bench shows what it costs anew.
    """
    key = hashlib.sha256(json.dumps(dict(what), sort_keys=True).encode()).hexdigest()[:24]
    path = find_cache_dir() / "bench" / f"pace-{key}.json"
    known_items, known_seconds = _read(path)
    known_items, known_seconds = known_items + items, known_seconds + seconds * bool(items)
    if items:
        with contextlib.suppress(InputError), atomic_write(path) as handle:
            json.dump({"items": known_items, "seconds": known_seconds}, handle)
    return known_seconds / known_items if known_items else None


def _read(path: Path) -> tuple[int, float]:
    with contextlib.suppress(InputError):
        found = read_json(path) if path.is_file() else {}
        if isinstance(found, dict) and all(is_finite(found.get(k)) for k in ("items", "seconds")):
            return int(found["items"]), float(found["seconds"])
    return 0, 0.0


def forget_peak() -> None:
    """Begin anew with the peak of this process's memory, where the system can (Linux)."""
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The peak resident memory of this process since `forget_peak`, MiB; 0 where nobody knows."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return peak_rss_mib() or 0.0
