"""What a hub, a network or a disk can do wrong: one line, nothing believed, right the next time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.data import load_collection
from tests.cli import DOCS, Result
from tests.hub import Fault, LoopbackHub
from tests.hub.client import Client, Running
from tests.hub.samples import REVISION, write_tiny, write_weights

GONE = REVISION[::-1]
TEXT = " of a wing in a wind tunnel" * 400  # well compressed in parquet, much on disk
NO_WAIT = {"Retry-After": "0"}
LATER = "run it again later"


@dataclass(frozen=True)
class Case:
    """What the user is told, and the fault: of every request, or of those for LFS files only."""

    reason: str
    remedy: str
    fault: dict[str, Any] | None = None
    files_only: bool = False
    served: bool = True
    revision: str = REVISION
    largest_file: int = 0


def file(reason: str, remedy: str, **fault: Any) -> Case:
    return Case(reason, remedy, fault, files_only=True)


def answer(reason: str, remedy: str, **fault: Any) -> Case:
    return Case(reason, remedy, fault)


NOT_PUBLIC = "no such repository, or one that not everybody may read", "check the name, or accept"
FULL = r"cannot write.*: File too large", "free some space and run it again"
CASES = {
    "reset": file("the connection broke", "run it again, what arrived", cut=500, reset=True),
    "always cut": file("the connection broke", "run it again, what arrived", cut=0),
    "wrong byte": file("is not what the hub declares", "was removed, fetch", corrupt=9),
    "wrong letter": file("is not what the hub declares", "was removed, fetch", corrupt=-1),
    "stalled": file("the server is too slow: timed out", LATER, delay=60),
    "trickle": file(r"the server is too slow: \d+ bytes in \d+ s", LATER, rate=20),
    "revision gone": Case("404: this revision is gone", "name one that is there", revision=GONE),
    "absent": Case(*NOT_PUBLIC, served=False),
    "401": answer(*NOT_PUBLIC, status=401, message="Invalid credentials"),
    "gated": answer(*NOT_PUBLIC, status=403, code="GatedRepo"),
    "404": answer("404: the server refuses", "check the name and the address", status=404),
    "429": answer("429: too many requests", "wait some minutes", status=429, headers=NO_WAIT),
    "500": answer("500: the server itself fails", LATER, status=500, headers=NO_WAIT),
    "full disk": Case(*FULL, largest_file=600),
    "disk full later": Case(*FULL, largest_file=20_000),
}


@dataclass
class Started:
    """A case for one kind of repository, under way."""

    case: Case
    command: tuple[str, str, str]
    cache: Path
    fault: Fault | None
    running: Running


def letter(path: Path) -> int:
    """Where a parquet file holds a letter of a text; another one there is read as a text, too."""
    from pyarrow import BufferReader, parquet

    content = bytearray(path.read_bytes())
    offset = content.index(b"lift and drag")
    content[offset] ^= 1
    texts = parquet.read_table(BufferReader(bytes(content)))["text"].to_pylist()
    assert texts[0].startswith("mift and drag")
    return offset


@pytest.fixture(scope="module")
def started(
    hub: LoopbackHub, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Started]]:
    """Every case at once, since most of them wait."""
    folder, under_way = tmp_path_factory.mktemp("cases"), {}
    data, model = write_tiny(folder / "data", TEXT), write_weights(folder / "model")
    offset = letter(data / "corpus" / "corpus-00000-of-00001.parquet")
    for name, case in CASES.items():
        for kind, command in (("datasets", "data"), ("models", "models")):
            repository = f"bad/{name.replace(' ', '-')}"
            if case.served and kind == "datasets":
                hub.add_dataset(repository, REVISION, data)
            elif case.served:
                hub.add_model(repository, REVISION, model)
            every = f"( /|/models/){repository}/" if kind == "models" else f"/{kind}/{repository}/"
            match = f"GET /lfs/{kind}/{repository}/" if case.files_only else every
            fault = hub.fail(match, **case.fault) if case.fault else None
            if fault and fault.corrupt == -1:
                fault.corrupt = offset
            arguments = (command, "fetch", f"hub:{repository}@{case.revision}")
            cache = folder / f"{name} {kind}"
            running = client.start(*arguments, cache=cache, largest_file=case.largest_file)
            under_way[name, kind] = Started(case, arguments, cache, fault, running)
    yield under_way
    hub.faults.clear()


def error_of(result: Result) -> str:
    """The one line of a refusal; notes of the client library may precede it."""
    lines = [line for line in result.err.splitlines() if not line.startswith("note: ")]
    assert (result.status, result.out, len(lines)) == (2, "", 1), result
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("kind", ["datasets", "models"])
@pytest.mark.parametrize("name", CASES)
def test_one_line_and_right_the_next_time(
    name: str,
    kind: str,
    started: dict[tuple[str, str], Started],
    client: Client,
) -> None:
    attempt = started[name, kind]
    error = error_of(attempt.running.result())
    repository = attempt.command[-1].removeprefix("hub:").partition("@")[0]
    assert repository in error
    assert attempt.case.revision in error
    assert re.search(f"{attempt.case.reason}.*{attempt.case.remedy}", error), error
    left = [path.name for path in attempt.cache.rglob("*") if path.is_file()]
    assert not [name for name in left if name.endswith((".jsonl", ".tsv", ".safetensors", ".tmp"))]
    assert not list(attempt.cache.rglob("*.incomplete"))
    if not attempt.case.served or attempt.case.revision == GONE:
        return
    if attempt.fault:
        attempt.fault.times = 0
    done = client(*attempt.command, cache=attempt.cache)
    assert done.status == 0, done
    if kind == "datasets":
        found = load_collection(attempt.command[-1], cache_dir=attempt.cache, download=False)
        assert found.texts == [row["text"] + TEXT for row in DOCS]
    else:
        assert done.out.split()[-1] == hashlib.sha256(bytes(30_000)).hexdigest()
