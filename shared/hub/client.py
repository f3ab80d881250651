"""The hub's client library: found or refused at once, never waiting without an end, verified.

Its own defaults wait forever for a listing, believe a file of the right length, and miss no
network before 25 seconds of trials. Everything of this suite that downloads from the hub calls
`hub_client`, `check_network` and `damaged_files`; `shared.hub.errors` says what went wrong.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ir_replications.shared.files import sha256_file
from ir_replications.shared.models.libraries import require

SLOWEST = 1000  # bytes per second; below it a download would take days


def check_network() -> None:
    """Raise OSError at once where the hub does not answer at its address, through any proxy.

    The address is HF_ENDPOINT, scheme and port included; any answer will do. Nothing is asked
    with HF_HUB_OFFLINE set, when the client's cache may serve.
    """
    hub = hub_client()
    if hub.constants.HF_HUB_OFFLINE:
        return
    url, seconds = hub.constants.ENDPOINT, hub.constants.HF_HUB_ETAG_TIMEOUT
    try:
        hub.get_session().head(url, timeout=seconds, follow_redirects=False)
    except Exception as error:  # those of httpx or httpx2
        if type(error).__name__.endswith("Timeout"):
            raise TimeoutError(f"{url}: no answer in {seconds} s") from error
        raise ConnectionError(f"{url}: {error}") from error


@cache
def hub_client() -> Any:
    """The module huggingface_hub, whose requests of this process now all end.

    A request without a limit of its own waits HF_HUB_DOWNLOAD_TIMEOUT seconds for each byte, and
    a body slower than `SLOWEST` raises TimeoutError. What it warns of is a line "note: ..." each,
    and there are no progress bars where nobody watches.
    """
    hub = require("huggingface_hub")
    if not sys.stderr.isatty():
        require("huggingface_hub.utils").disable_progress_bars()
    tell_as_notes(logging.getLogger("huggingface_hub"))
    seconds = float(hub.constants.HF_HUB_DOWNLOAD_TIMEOUT)
    first = hub.get_session()
    library = importlib.import_module(type(first).__module__.partition(".")[0])  # httpx or httpx2

    class Paced(library.SyncByteStream):  # type: ignore[name-defined]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            return _paced(iter(self._stream), 6 * seconds)

        def close(self) -> None:
            self._stream.close()

    def limit(request: Any) -> None:
        limits = request.extensions.get("timeout") or {}
        unlimited = ("connect", "read", "write", "pool")
        given = {name: value for name, value in limits.items() if value is not None}
        request.extensions["timeout"] = dict.fromkeys(unlimited, seconds) | given

    def pace(response: Any) -> None:
        response.stream = Paced(response.stream)

    hooks = {
        "request": [*first.event_hooks["request"], limit],
        "response": [*first.event_hooks["response"], pace],
    }
    hub.set_client_factory(
        lambda: type(first)(event_hooks=hooks, follow_redirects=True, timeout=seconds)
    )
    return hub


def tell_as_notes(logger: logging.Logger) -> None:
    """Let each message of a library be a line "note: ..." of its own."""
    for handler in logger.handlers:
        handler.setFormatter(_Note())


class _Note(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"note: {' '.join(record.getMessage().split())}"


def _paced(chunks: Iterator[bytes], window: float) -> Iterator[bytes]:
    """Pass `chunks` on; raise TimeoutError when `window` seconds of waiting bring too little."""
    waited, got = 0.0, 0
    while True:
        began = time.monotonic()
        chunk = next(chunks, None)
        waited += time.monotonic() - began
        if chunk is None:
            return
        got += len(chunk)
        if waited > window:
            if got < SLOWEST * waited:
                raise TimeoutError(f"{got:,} bytes in {waited:.0f} s")
            waited, got = 0.0, 0
        yield chunk


def damaged_files(snapshot: Path) -> list[Path]:
    """Files below a snapshot of the client's cache whose content is not what the hub declared.

    The client names the file behind each link by its ETag: the sha256 of a file in LFS, git's
    sha1 of another. A cache without links (some file systems) has no such names: nothing is found.
    """
    return sorted(path for path in snapshot.rglob("*") if path.is_file() and _differs(path))


def discard(paths: list[Path]) -> None:
    """Remove cached files and what their links point to, so that the client fetches them again."""
    for path in paths:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _differs(path: Path) -> bool:
    name = path.resolve().name
    if not path.is_symlink() or not set(name) <= set("0123456789abcdef"):
        return False
    if len(name) == 64:
        return sha256_file(path) != name
    if len(name) == 40:
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() != name
    return False
