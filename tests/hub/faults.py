"""What the loopback hub does wrong when told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Fault:
    """One misbehaviour, for requests whose "METHOD /path?query" the regular expression finds.

    `status` answers with that status (and `code`, the hub's X-Error-Code). `cut` ends the
    connection after so many bytes of the body, with a reset where `reset`. `corrupt` flips a bit
    of the byte at that offset of the file, length and ETag unchanged. `delay` seconds pass
    before an answer; the body comes at `rate` bytes per second. `times` is how often it happens.
    """

    match: str
    status: int = 0
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    corrupt: int | None = None
    delay: float = 0
    rate: float = 0
    times: int | None = None


class Faults:
    """The faults in force; several threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force; of several that match a request the last one added counts."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()

    def take(self, request: str) -> Fault | None:
        """The fault that this request meets, counted; None when it is to be answered well."""
        with self._lock:
            for fault in reversed(self._faults):
                if fault.times != 0 and re.search(fault.match, request):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
