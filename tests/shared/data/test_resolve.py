"""From name to collection: the order of places, names refused, the list, the pins."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ir_replications.shared.data import (
    BRIGHT_SUBSETS,
    UNPINNED,
    check_available,
    check_collection,
    collection_size,
    fetch_collection,
    list_collections,
    load_collection,
    read_beir,
)
from ir_replications.shared.data.manifest import manifest
from ir_replications.shared.errors import InputError
from tests.shared.data.conftest import QRELS, write_folder

OTHER = QRELS + "q2\td1\t1\n"


def test_explicit_folder_wins_then_data_root_then_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    places = {
        "here": write_folder(tmp_path / "cwd" / "beir" / "mine", qrels="q1\td1\t1\n"),
        "root": write_folder(root / "beir" / "mine", qrels="q1\td1\t2\n"),
        "cache": write_folder(cache / "collections" / "beir" / "mine", qrels="q1\td1\t3\n"),
    }

    def grade() -> int:
        loaded = load_collection("beir/mine", data_root=root, cache_dir=cache, download=False)
        return loaded.qrels["test"]["q1"]["d1"]

    monkeypatch.chdir(tmp_path / "cwd")
    assert grade() == 1
    monkeypatch.chdir(tmp_path)
    assert grade() == 2
    (places["root"]).rename(tmp_path / "moved")
    assert grade() == 3
    (places["cache"]).rename(tmp_path / "moved too")
    with pytest.raises(InputError) as caught:
        grade()
    assert str(caught.value) == (
        f"beir/mine: no such folder, not in the data root ({root}), not in the cache ({cache}); "
        "put a BEIR folder at <data root>/beir/mine, no download is known for it"
    )


def test_data_root_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "root" / "beir" / "mine")
    monkeypatch.setenv("IR_REPLICATIONS_DATA", str(tmp_path / "root"))
    assert load_collection("beir/mine").id == "beir/mine"
    monkeypatch.setenv("IR_REPLICATIONS_DATA", str(tmp_path / "none"))
    with pytest.raises(InputError, match="none: no such folder; the data root must be one"):
        load_collection("beir/mine")


def test_folder_names_its_collection(tmp_path: Path) -> None:
    assert load_collection(write_folder(tmp_path / "a b")).id == "a-b"
    assert load_collection(str(write_folder(tmp_path / "beir" / "fiqa"))).id == "beir/fiqa"


@pytest.mark.parametrize("ref", ["../up", "beir/../../etc", "/etc/none", "beir//x", "a\\..\\b"])
def test_names_that_lead_out(ref: str, tmp_path: Path) -> None:
    for call in (load_collection, fetch_collection):
        with pytest.raises(InputError, match="collection id"):
            call(ref, data_root=tmp_path)


def test_fetch_known_offline(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="or run `replicate data fetch beir/fiqa`"):
        load_collection("beir/fiqa", download=False)
    kept = write_folder(tmp_path / "cache" / "collections" / "beir" / "fiqa")
    assert fetch_collection("beir/fiqa") == kept


def test_of_two_processes_one_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []
    together = threading.Barrier(2)

    def fetch_hub(id: str, hub: str, revision: str, folder: Path, *_: object) -> Path:
        fetched.append(folder)
        time.sleep(0.2)  # the other one is at the lock by then
        return write_folder(folder)

    def load() -> str:
        together.wait()
        return load_collection(f"hub:mine/tiny@{'0' * 40}", cache_dir=tmp_path).sha256

    monkeypatch.setattr("ir_replications.shared.data.resolve.fetch_hub", fetch_hub)
    with ThreadPoolExecutor(2) as pool:
        loaded = [pool.submit(load) for _ in range(2)]
    assert len({found.result() for found in loaded}) == 1 and len(fetched) == 1


def test_a_collection_without_a_source_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no download is known"):
        fetch_collection("beir/none", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_list_says_where_each_comes_from(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_folder(root / "beir" / "fiqa")
    write_folder(root / "own" / "set")
    (root / "bright" / "pony").mkdir(parents=True)
    (root / "beir" / "scidocs").mkdir()  # empty: what would be read, and is refused
    found = {entry.id: entry for entry in list_collections(data_root=root)}
    assert found["pydocs"].found_in == "embedded"
    assert found["beir/fiqa"].found_in == f"data root ({root / 'beir' / 'fiqa'})"
    assert found["beir/scidocs"].found_in == f"data root ({root / 'beir' / 'scidocs'})"
    assert found["beir/nq"].found_in == "hub (mteb/nq@b774495e)"
    assert found["bright/pony"].found_in == "hub (xlangai/BRIGHT@a75a0eb4)"
    assert found["miracl/sw"].found_in == "ir_datasets (miracl/sw/dev)"
    assert found["classic/adi"].found_in == "nowhere: put a BEIR folder at <data root>/classic/adi"
    assert found["own/set"].found_in == f"data root ({root / 'own' / 'set'})"
    assert (found["beir/nq"].documents, found["beir/nq"].queries) == (2_681_468, 3_452)


def test_size(tmp_path: Path) -> None:
    assert collection_size("beir/nq") == (
        "2,681,468 documents, 3,452 queries, hub (mteb/nq@b774495e), about 498 MB to download"
    )
    assert collection_size(tmp_path) == f"folder {tmp_path}"
    assert collection_size("own/set") == "size not known before it is downloaded"


def test_check_collection(tmp_path: Path) -> None:
    mine = read_beir(write_folder(tmp_path / "mine"), "mine")
    assert check_collection(mine) == [f"{UNPINNED} for mine; no golden value is compared"]
    wrong = check_collection(read_beir(tmp_path / "mine", "beir/scifact"))
    assert wrong[:2] == [
        "beir/scifact: 3 documents, pinned 5183",
        "beir/scifact: 2 queries in 'test', pinned 300",
    ]
    assert wrong[2].startswith(f"beir/scifact: sha256 {mine.sha256}, pinned ")


def test_manifest_holds_the_benchmarks() -> None:
    pins = manifest()
    beir = [id for id in pins if id.startswith("beir/") and "cqadupstack" not in id]
    assert len(beir) == 14
    assert sum(id.startswith("beir/cqadupstack-") for id in pins) == 12
    assert {id for id in pins if id.startswith("bright/")} == {
        f"bright/{s}" for s in BRIGHT_SUBSETS
    }
    # 1,384 queries: the benchmark's own total over its 12 subsets.
    assert sum(pins[f"bright/{subset}"].queries for subset in BRIGHT_SUBSETS) == 1384
    for pin in pins.values():
        assert pin.licence and pin.title
        assert bool(pin.hub) == bool(pin.revision)
        assert not pin.revision or re.fullmatch("[0-9a-f]{40}", pin.revision)
        for digest in (pin.sha256, pin.queries_sha256):
            assert not digest or re.fullmatch("[0-9a-f]{64}", digest)


@pytest.mark.parametrize(
    "id", [pin.id for pin in manifest().values() if pin.sha256 and not pin.versions]
)
def test_data_root_matches_its_pins(data_root: Path, id: str) -> None:
    if not (data_root / id).is_dir():
        pytest.skip(f"no {id} in the data root")
    collection = load_collection(id, data_root=data_root, download=False)
    assert check_collection(collection) == []
    assert collection.default_split in collection.qrels


def test_check_available_needs_a_place_or_a_source(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_folder(root / "beir" / "mine")
    for ref in ("pydocs", "beir/mine", "ir-datasets:vaswani"):
        check_available(ref, data_root=root, download=False)
    check_available("beir/scifact", data_root=root)
    check_available("hub:org/name@" + "a" * 40, data_root=root)
    for ref, download in (("beir/scifact", False), ("beir/other", True)):
        with pytest.raises(InputError, match=f"{ref}: no such folder, not in the data root"):
            check_available(ref, data_root=root, download=download)
    with pytest.raises(InputError, match="collection id"):
        check_available("../root/beir/mine", data_root=root)
