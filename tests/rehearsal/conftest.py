"""The loopback hub of a paper's rehearsal; nothing is collected where an extra is missing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.hub import LoopbackHub

NEEDED = ("torch", "transformers", "datasets", "trl", "peft", "yaml")
collect_ignore_glob = [] if all(map(find_spec, NEEDED)) else ["test_*.py"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    with LoopbackHub(tmp_path_factory.mktemp("hub")) as found:
        yield found
