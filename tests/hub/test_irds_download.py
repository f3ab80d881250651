"""ir_datasets itself: its cache folder under a real id, and a download from the loopback server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.data import load_collection
from ir_replications.shared.errors import InputError
from tests.cli import DOCS, QRELS, QUERIES
from tests.hub import LoopbackHub
from tests.hub.client import CODE, ROOT
from tests.hub.samples import REVISION

ir_datasets = pytest.importorskip("ir_datasets")
OTHER = r"what arrived is not the file expected: .*\); run it again later"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own; whoever asks the network meets a proxy that is not there."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / "home"


def test_its_cache_folder_serves_real_ids(home: Path, tmp_path: Path) -> None:
    """One file whole, one damaged, one absent; ir_datasets reads its home when it is imported."""
    beir, cache = home / "beir", tmp_path / "cache"
    for name in ("scifact", "nfcorpus"):
        (beir / name).mkdir(parents=True)
    (beir / "nfcorpus" / "source.zip").write_bytes(b"PK and no more")
    with zipfile.ZipFile(beir / "scifact" / "source.zip", "w") as zipped:
        for name, records in (("corpus", DOCS), ("queries", QUERIES)):
            text = "".join(json.dumps(row | {"metadata": {}}) + "\n" for row in records)
            zipped.writestr(f"scifact/{name}.jsonl", text)
        rows = "".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in QRELS)
        zipped.writestr("scifact/qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + rows)
    refs = [f"ir-datasets:beir/{name}" for name in ("scifact/test", "nfcorpus/test", "arguana")]
    bench = f"bench {refs[0]} --systems bm25-0.9 --out {tmp_path / 'out'}"
    done = subprocess.run(
        [sys.executable, "-c", CODE, *(f"data fetch {ref}" for ref in refs), bench],
        env={**os.environ, "IR_REPLICATIONS_CACHE": str(cache)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "statuses 0 2 2 0", done.stderr
    assert f"on 2 queries of {refs[0]}" in done.stdout
    assert (tmp_path / "out" / "bench.html").is_file()
    assert "Traceback" not in done.stderr
    damaged, absent = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert damaged == (
        f"error: {refs[1]}: could not be loaded (BadZipFile: File is not a zip file); a file below "
        f"{beir} is damaged, delete it and run it again, or put a BEIR folder in the data root and "
        "give its id"
    )
    assert absent.startswith(f"error: {refs[2]}: could not be loaded (ProxyError: HTTPSConnection")
    assert absent.endswith("); connect to the network, or put a BEIR folder in the data root and "
                           "give its id")  # fmt: skip
    (folder,) = (cache / "collections" / "ir-datasets" / "beir").iterdir()
    collection = load_collection(folder / "test")
    documents = zip(collection.doc_ids, collection.titles, collection.texts, strict=True)
    assert [*documents] == [(row["_id"], row["title"], row["text"]) for row in DOCS]
    assert collection.queries == {row["_id"]: row["text"] for row in QUERIES}
    assert collection.qrels == {"test": {"q1": {"d1": 1}, "q2": {"d2": 2, "d5": 1}}}


def serve(hub: LoopbackHub, home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """Register the collection of tests.cli as `name`, to be downloaded from the hub."""
    folder = home.parent / "served"
    folder.mkdir()
    files = {
        "docs.tsv": "".join(f"{row['_id']}\t{row['text']}{' and so on' * 2000}\n" for row in DOCS),
        "queries.tsv": "".join(f"{row['_id']}\t{row['text']}\n" for row in QUERIES),
        "qrels": "".join(f"{q} 0 {d} {grade}\n" for q, d, grade in QRELS),
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    hub.add_dataset(f"irds/{name}", REVISION, folder)

    def download(file: str) -> Any:
        url = f"{hub.url}/datasets/irds/{name}/resolve/{REVISION}/{file}"
        md5 = hashlib.md5(files[file].encode()).hexdigest()
        mirrors = [ir_datasets.util.RequestsDownload(url, tries=2)]
        path = str(home / name / file)
        return ir_datasets.util.Download(mirrors, cache_path=path, expected_md5=md5)

    formats = ir_datasets.formats
    dataset = ir_datasets.Dataset(
        formats.TsvDocs(download("docs.tsv"), namespace=name),
        formats.TsvQueries(download("queries.tsv")),
        formats.TrecQrels(download("qrels"), {}),
    )
    monkeypatch.setattr(ir_datasets, "load", {name: dataset}.__getitem__)
    return f"ir-datasets:{name}"


def test_a_cut_download_goes_on_and_serves_again_without_the_server(
    hub: LoopbackHub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = serve(hub, home, monkeypatch, "cut")
    # The file itself, not the answer that leads to it, whose connection would be used again.
    hub.fail("GET /api/resolve-cache/.*irds/cut/.*docs.tsv", status=0, cut=70_000, times=1)
    collection = load_collection(ref)
    assert collection.texts == [row["text"] + " and so on" * 2000 for row in DOCS]
    asked = [r for r in hub.requests if "irds/cut/" in r.path]
    assert any(request.range.startswith("bytes=") for request in asked)
    assert load_collection(ref).sha256 == collection.sha256
    assert len([r for r in hub.requests if "irds/cut/" in r.path]) == len(asked)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"corrupt": 9}, OTHER),
        ({"status": 404}, OTHER),  # ir_datasets takes the page of an error for the file
        ({"status": 500}, OTHER),
        ({"cut": 0}, r"the connection broke: .*\); run it again"),
    ],
)
def test_a_failed_download_is_one_line_and_right_the_next_time(
    hub: LoopbackHub,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    message: str,
) -> None:
    ref = serve(hub, home, monkeypatch, f"bad-{'-'.join(map(str, *fault.items()))}")
    planted = hub.fail(f"GET .*irds/{ref.partition(':')[2]}/.*docs.tsv", **fault)
    with pytest.raises(InputError, match=message) as caught:
        load_collection(ref)
    assert str(caught.value).startswith(f"{ref}: could not be loaded (")
    assert "\n" not in str(caught.value)
    assert not list(home.rglob("docs.tsv*"))
    planted.times = 0
    assert len(load_collection(ref).doc_ids) == len(DOCS)
