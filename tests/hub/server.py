"""The loopback hub: two ports of 127.0.0.1, one for the hub and one for its content network.

It answers what huggingface_hub and datasets ask: repository information, tree, paths-info and
resolve. A file in git is redirected to a path of the hub itself, one in LFS to the other port, as
the hub does. Xet, authentication and everything that writes are not spoken.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from tests.hub.answers import Handler, Request
from tests.hub.faults import Fault, Faults
from tests.hub.repository import Repository


class LoopbackHub:
    """A hub on 127.0.0.1 for HF_ENDPOINT: `with LoopbackHub(folder) as hub`, then `hub.url`.

    `folder` keeps the content of the repositories. `page` is how many entries a tree lists at once.
    """

    def __init__(self, folder: Path, page: int = 1000) -> None:
        self.folder = folder
        self.page = page
        self.faults = Faults()
        self.requests: list[Request] = []
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.stopped = threading.Event()
        self._hub = _Server(self)
        self._cdn = _Server(self)
        self.url = f"http://127.0.0.1:{self._hub.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self._cdn.server_port}"

    def add_model(self, name: str, revision: str, folder: Path) -> None:
        """Serve the files of `folder` as the model `name` at `revision` (40 hex digits)."""
        self._add("models", name, revision, folder)

    def add_dataset(self, name: str, revision: str, folder: Path) -> None:
        """Serve the files of `folder` as the dataset `name` at `revision` (40 hex digits)."""
        self._add("datasets", name, revision, folder)

    def _add(self, kind: str, name: str, revision: str, folder: Path) -> None:
        repository = self.repositories.setdefault((kind, name), Repository(kind, name))
        repository.add(revision, folder, self.folder / "blobs")

    def fail(self, match: str, **options: object) -> Fault:
        """Put `Fault(match, **options)` in force."""
        return self.faults.add(Fault(match, **options))  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """What a client process needs to talk to this hub, past any proxy, with no token sent."""
        return {
            "HF_ENDPOINT": self.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            "HF_HUB_OFFLINE": "0",
        }

    def __enter__(self) -> LoopbackHub:
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on and end those that are open; may be called twice."""
        if not self.stopped.is_set():
            self.stopped.set()
            for server in (self._hub, self._cdn):
                server.shutdown()
                server.server_close()
                server.end_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub: LoopbackHub) -> None:
        self.hub = hub
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: socket.socket, client_address: tuple) -> None:  # type: ignore[override]
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Close what clients keep alive; a stopped server must not answer them."""
        with self._guard:
            for request in self._open:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error here."""
