"""Collections through the real client libraries, and again without the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ir_replications.reports.records.store import Store
from ir_replications.shared.data import load_collection
from ir_replications.shared.data.manifest import pinned
from tests.cli import DOCS, QUERIES
from tests.hub import LoopbackHub
from tests.hub.client import CODE, ROOT, Client
from tests.hub.samples import REVISION, write_bright, write_mteb, write_tiny, write_weights


def test_layout_of_mteb(hub: LoopbackHub, client: Client, tmp_path: Path) -> None:
    hub.add_dataset("org/tiny", REVISION, write_tiny(tmp_path / "served"))
    hub.add_dataset("org/tiny", REVISION[::-1], write_tiny(tmp_path / "newer", text=" and more"))
    ref, cache = f"hub:org/tiny@{REVISION}", tmp_path / "cache"
    done = client("data", "fetch", ref, cache=cache)
    assert (done.status, done.err) == (0, "")
    asked = [request.path for request in hub.requests if "org/tiny" in request.path]
    assert asked
    assert all(REVISION in path for path in asked)
    collection = load_collection(ref, cache_dir=cache, download=False)
    documents = zip(collection.doc_ids, collection.titles, collection.texts, strict=True)
    assert [*documents] == [(row["_id"], row["title"], row["text"]) for row in DOCS]
    assert collection.queries == {row["_id"]: row["text"] for row in QUERIES}
    assert collection.qrels == {"test": {"q1": {"d1": 1}, "q2": {"d2": 2, "d5": 1}}}
    again = client("data", "fetch", ref, cache=cache)
    assert again == done
    assert len([r for r in hub.requests if "org/tiny" in r.path]) == len(asked)


def test_a_collection_of_the_hub_is_benched(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    hub.add_dataset("org/benched", REVISION, write_tiny(tmp_path / "served"))
    out = tmp_path / "out"
    ref = f"hub:org/benched@{REVISION}"
    done = client(
        "bench", ref, "--systems", "bm25-0.9", "--out", str(out), cache=tmp_path / "cache"
    )
    assert done.status == 0, done
    assert f"on 2 queries of {ref}" in done.out
    commands = {record.provenance["command"] for record in Store(out / "records").records()}
    assert len(commands) == 2 and all(ref in command for command in commands)
    assert (out / "bench.html").is_file()


def test_layout_of_bright_under_its_real_id(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    pin = pinned("bright/pony")
    assert pin is not None
    documents = [{"id": f"d/{i}.txt", "content": f"page {i}"} for i in range(pin.docs)]
    examples = [
        {
            "id": str(i),
            "query": f"question {i}",
            "reasoning": "",
            "gold_ids": [f"d/{i}.txt", f"d/{i}.txt"],
            "excluded_ids": [f"d/{i + 1}.txt"] if i else ["N/A"],
        }
        for i in range(pin.queries)
    ]
    folder = write_bright(tmp_path / "served", {"pony": (documents, examples)})
    hub.add_dataset("xlangai/BRIGHT", pin.revision, folder)
    done = client("data", "fetch", "bright/pony", cache=tmp_path / "cache")
    assert done.status == 0, done
    asked = [request.path for request in hub.requests if "BRIGHT" in request.path]
    assert all(pin.revision in path for path in asked)
    collection = load_collection("bright/pony", cache_dir=tmp_path / "cache", download=False)
    assert sorted(collection.contents("space")) == sorted(row["content"] for row in documents)
    assert collection.qrels["test"]["7"] == {"d/7.txt": 1}
    assert collection.excluded["7"] == frozenset({"d/8.txt"})
    assert "0" not in collection.excluded


def test_other_content_under_a_pinned_id_is_told(
    hub: LoopbackHub, client: Client, tmp_path: Path
) -> None:
    pin = pinned("beir/scifact")
    assert pin is not None
    documents = [{"_id": str(i), "title": "", "text": f"t {i}"} for i in range(pin.docs)]
    queries = [{"_id": f"q{i}", "text": f"q {i}"} for i in range(pin.queries)]
    qrels = [{"query-id": f"q{i}", "corpus-id": "0", "score": 1} for i in range(pin.queries)]
    hub.add_dataset(
        "mteb/scifact", pin.revision, write_mteb(tmp_path / "served", documents, queries, qrels)
    )
    assert client("data", "fetch", "beir/scifact", cache=tmp_path / "cache").status == 0
    done = client("data", "check", "beir/scifact", cache=tmp_path / "cache")
    assert done.status == 2
    assert f", pinned {pin.sha256}" in done.out
    other = pinned("beir/arguana")
    assert other is not None
    hub.add_dataset("mteb/arguana", other.revision, write_tiny(tmp_path / "less"))
    done = client("data", "fetch", "beir/arguana", cache=tmp_path / "other")
    assert done.status == 2
    assert "5 documents, pinned 8674; " in done.err
    assert "nothing was kept" in done.err
    assert not list((tmp_path / "other").rglob("*.jsonl"))


@pytest.mark.parametrize("offline", ["1", "0"], ids=["HF_HUB_OFFLINE", "network gone"])
def test_second_start_without_the_hub(
    hub: LoopbackHub, client: Client, tmp_path: Path, offline: str
) -> None:
    kept, cache = f"org/kept{offline}", tmp_path / "cache"
    hub.add_dataset(kept, REVISION, write_tiny(tmp_path / "data"))
    hub.add_model(kept, REVISION, write_weights(tmp_path / "model"))
    ref, absent = f"hub:{kept}@{REVISION}", f"hub:org/absent@{REVISION}"
    assert client("data", "fetch", ref, cache=cache).status == 0
    first = client("models", "fetch", ref, cache=cache)
    assert first.status == 0
    gone = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": offline}
    commands = ("data check", "models fetch", "models check")
    refused = (f"data fetch {absent}", f"models fetch {absent}")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *(f"{command} {ref}" for command in commands), *refused],
        env={**client.environment, **gone, "IR_REPLICATIONS_CACHE": str(cache)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "statuses 0 0 0 2 2", done
    assert first.out in done.stdout
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    expected = "HF_HUB_OFFLINE" if offline == "1" else "http://127.0.0.1:9: "
    for line in errors:
        assert line.startswith("error: hub")
        assert REVISION in line
        assert expected in line
    assert os.listdir(cache / "collections" / "hub" / "org") == [kept.removeprefix("org/")]
