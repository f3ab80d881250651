"""The loopback hub of all rehearsals, filled when a paper first asks for something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub import LoopbackHub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    with LoopbackHub(tmp_path_factory.mktemp("hub")) as found:
        yield found
