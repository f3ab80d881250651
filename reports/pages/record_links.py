"""Links of a page to the files of its records, in a store that lies beside the pages."""

from __future__ import annotations

import re
from pathlib import Path

from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.reading import read_bytes

STORES = ("local", "results")  # a local record comes before the published one
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"\}?$', re.MULTILINE)  # the last field


class RecordLinks:
    """Links from pages in `out` to stores beside it."""

    def __init__(self, out: Path) -> None:
        self._beside = out.parent
        self._stores = [Store(out.parent / name) for name in STORES]
        self._digests: dict[Path, frozenset[bytes]] = {}

    def of(self, record: Record) -> tuple[str | None, str | None]:
        """Relative links to the record's file, or its pack, and to its run file; None without."""
        for store in self._stores:
            for path in (
                store.path(record),
                store.pack(record.paper, record.tier, record.experiment),
            ):
                if path.is_file() and record.digest.encode() in self._held(path):
                    run = store.run_path(record) if record.run else None
                    return self._link(path), self._link(run) if run and run.is_file() else None
        return None, None

    def _link(self, path: Path) -> str:
        return f"../{path.relative_to(self._beside).as_posix()}"

    def _held(self, path: Path) -> frozenset[bytes]:
        """The digests of the records in a file or pack."""
        if path not in self._digests:
            self._digests[path] = frozenset(_DIGEST.findall(read_bytes(path)))
        return self._digests[path]
