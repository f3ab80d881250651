"""One loopback hub and one parent of client processes for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub import LoopbackHub
from tests.hub.client import Client


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    """A hub that lists two files at a time."""
    with LoopbackHub(tmp_path_factory.mktemp("hub"), page=2) as served:
        yield served


@pytest.fixture(scope="package")
def client(hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Commands that reach the hub, past a proxy that does not work, and wait a second for it."""
    pytest.importorskip("datasets")
    dead = "http://127.0.0.1:9"
    patience = {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1"}
    proxies = {"HTTP_PROXY": dead, "http_proxy": dead, "ALL_PROXY": dead}
    # The hub speaks no TLS: every session of a client library would read certificates for 20 ms.
    no_certificates = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(tmp_path_factory.mktemp("none"))}
    environment = {**hub.environment(), **patience, **proxies, **no_certificates}
    started = Client(tmp_path_factory.mktemp("client") / "run", environment)
    yield started
    started.close()
