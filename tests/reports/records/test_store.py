"""Records: identity, storage, and refusal of what was altered."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ir_replications.reports.records.files import read_record
from ir_replications.reports.records.record import SCHEMA, Record, config_hash, slug
from ir_replications.reports.records.store import Store, overlay
from ir_replications.shared.errors import InputError
from tests.reports.example import record
from tests.reports.records.test_resealed import sealed


def written(tmp_path: Path) -> tuple[Store, Path]:
    store = Store(tmp_path)
    return store, store.path(store.put(record("bm25", "beir/alpha", 0.5)))


def edit(path: Path, change: dict[str, Any], *, sign: bool = False) -> None:
    """Change fields of a record file; `sign` makes its digest that of the change."""
    data = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(sealed(data) if sign else data))


def test_round_trip_and_layout(tmp_path: Path) -> None:
    store, path = written(tmp_path)
    original = record("bm25", "beir/alpha", 0.5)
    digits = original.config_hash[:10]
    assert path == tmp_path / f"toy/small/E1/beir-alpha-bm25-{digits}.json"
    assert store.get("toy", "E1", "small", {"collection": "beir/alpha", "system": "bm25"}) == (
        original
    )
    assert store.records() == [original]
    assert store.records(paper="other") == []
    assert store.get("toy", "E1", "small", {"system": "bm25"}) is None


def test_config_hash_is_sha256_of_canonical_json() -> None:
    text = '{"config":{"b":0.75,"k":"é"},"experiment":"E1","paper":"toy","tier":"small"}'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert (
        config_hash({"k": "é", "b": 0.75}, paper="toy", experiment="E1", tier="small") == expected
    )


def test_numpy_scalars_are_stored_as_numbers() -> None:
    made = record("bm25", "a", 0.5, facts={"x": np.float32(0.5), "v": np.arange(2)})
    assert json.loads(made.to_json())["facts"] == {"x": 0.5, "v": [0, 1]}


def test_per_query_values_stand_on_one_line_per_measure() -> None:
    lines = record("bm25", "a", 0.5).to_json().splitlines()
    assert [line for line in lines if '"nDCG@10": {"q0": 0.3' in line]


@pytest.mark.parametrize("length", [0, 1, 400, -20, -3])
def test_truncated_record_is_refused(tmp_path: Path, length: int) -> None:
    store, path = written(tmp_path)
    path.write_text(path.read_text()[:length])
    with pytest.raises(InputError, match=r"truncated.*replicate run toy --tier small") as error:
        store.records()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": {"nDCG@10": 0.51, "R@100": 0.9}}, "does not match its digest"),
        ({"label": "better"}, "does not match its digest"),
        ({"schema": SCHEMA + 1}, "schema 2, this version reads 1"),
        ({"schema": None}, "schema None"),
        ({"extra": 1}, "unknown field 'extra'"),
    ],
)
def test_edited_record_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    _, path = written(tmp_path)
    edit(path, change)
    with pytest.raises(InputError, match=message):
        read_record(path)


def test_missing_field_is_named(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    data = json.loads(path.read_text())
    del data["facts"]
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match="field 'facts' is missing"):
        read_record(path)


def test_forged_digest_does_not_hide_a_wrong_mean_or_config(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    edit(path, {"config": {"system": "bm25", "collection": "beir/beta"}}, sign=True)
    with pytest.raises(InputError, match="config does not match its config_hash"):
        read_record(path)
    edit(path, {"means": {"nDCG@10": 0.500002, "R@100": 0.9}}, sign=True)
    with pytest.raises(InputError, match=r"per-query values average 0\.5"):
        read_record(path)


@pytest.mark.parametrize("text", ["NaN", "1e999", '"\\ud800"', "[" * 100_000])
def test_numbers_and_texts_that_no_record_holds_are_one_line(tmp_path: Path, text: str) -> None:
    _, path = written(tmp_path)
    path.write_text(path.read_text().replace('"facts": {', f'"facts": {{"x": {text}, ', 1))
    with pytest.raises(InputError, match=r"replicate run toy --tier small") as error:
        read_record(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_means_must_agree_with_per_query_within_a_millionth() -> None:
    fields: dict[str, Any] = {
        "paper": "toy", "experiment": "E1", "tier": "small", "label": "x", "config": {},
        "per_query": {"m": {"a": 1 / 3, "b": 2 / 3}},
    }  # fmt: skip
    assert Record.create(**fields, means={"m": 0.5}).per_query["m"] == {
        "a": 0.333333,
        "b": 0.666667,
    }
    with pytest.raises(InputError, match="recompute"):
        Record.create(**fields, means={"m": 0.5000021})
    with pytest.raises(InputError, match="no entry in means"):
        Record.create(**fields, means={})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tier": "huge"}, "tier is 'huge'; expected embedded"),
        ({"paper": "../x"}, "paper is '../x'; expected letters"),
        ({"config": {"a": {"b": 1}}}, "'a' must be a scalar"),
        ({"means": {"m": math.nan}}, "only finite numbers"),
        ({"facts": {"x": {1, 2}}}, "is a set"),
    ],
)
def test_unwritable_records_are_refused(change: dict[str, Any], message: str) -> None:
    fields = {"paper": "toy", "experiment": "E1", "tier": "small", "label": "x", "config": {}}
    with pytest.raises(InputError, match=message):
        Record.create(**{**fields, **change})


def test_error_record_keeps_its_message_without_paths() -> None:
    made = record("bm25", "a", 0.5, error="OSError: /home/somebody/data/x.txt is missing")
    assert (made.status, made.error) == ("error", "OSError: x.txt is missing")


def test_new_label_replaces_the_old_file_of_the_cell(tmp_path: Path) -> None:
    store, path = written(tmp_path)
    store.put(record("bm25", "beir/alpha", 0.5, label="renamed"))
    assert not path.exists()
    assert [found.label for found in store.records()] == ["renamed"]


def test_overlay_prefers_local_and_keeps_the_rest() -> None:
    old, kept = record("bm25", "a", 0.5), record("bm25", "b", 0.4)
    new, extra = record("bm25", "a", 0.6), record("bm25", "a", 0.7, tier="paper")
    merged = overlay([old, kept], [new, extra])
    assert [(r.tier, r.means["nDCG@10"]) for r in merged] == [
        ("small", 0.6), ("small", 0.4), ("paper", 0.7),
    ]  # fmt: skip


def test_run_file_is_written_beside_and_verified(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = {"q1": [("d1", 2.0), ("d2", 1.0)], "q2": [("d1", 1.0)]}
    put = store.put(record("bm25", "beir/alpha", 0.5), run=run)
    assert put.run is not None and put.run["rows"] == 3
    path = store.check_run(store.records()[0])
    assert path == store.path(put).parent / put.run["path"]
    assert path is not None
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert lines[0] == b"# ir_metadata.start"
    assert lines[lines.index(b"# ir_metadata.end") + 1].startswith(b"q1 Q0 d1 1 ")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="sha256 differs"):
        store.check_run(put)
    path.unlink()
    with pytest.raises(InputError, match="run file is missing"):
        store.check_run(put)


def test_a_record_without_a_run_leaves_none_of_an_older_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = store.put(record("bm25", "beir/alpha", 0.5), run={"q1": [("d1", 2.0)]})
    assert store.run_path(old).is_file()
    store.put(record("bm25", "beir/alpha", 0.5))
    assert not store.run_path(old).exists() and len(store.records()) == 1


def test_a_run_file_of_another_store_arrives_as_it_was_or_not_at_all(tmp_path: Path) -> None:
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    made = there.put(record("bm25", "beir/alpha", 0.5), run={"q1": [("d1", 2.0), ("d2", 1.0)]})
    content = there.run_path(made).read_bytes()
    for sent in (content[:-1], content + b"x", b""):
        with pytest.raises(InputError, match="run file did not arrive whole; run it again"):
            here.put(made, run=sent)
    assert not [path for path in here.root.rglob("*") if path.is_file()]
    assert here.put(made, run=content) == made
    assert here.path(made).read_bytes() == there.path(made).read_bytes()
    assert here.run_path(made).read_bytes() == content and here.has_run(made)


def test_a_new_label_takes_the_old_run_file_away(tmp_path: Path) -> None:
    store, run = Store(tmp_path), {"q1": [("d1", 1.0)]}
    store.put(record("bm25", "a", 0.5, label="old"), run)
    put = store.put(record("bm25", "a", 0.5, label="new"), run)
    assert list(tmp_path.rglob("*.run.gz")) == [store.run_path(put)]


def test_a_full_disk_leaves_the_older_record_with_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    old = store.put(record("bm25", "a", 0.5), {"q1": [("d1", 1.0)]})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real, calls = os.fsync, []

    def fsync(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 2:  # the run is written, the record is not
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr("ir_replications.reports.records.store.os.fsync", fsync)
    with pytest.raises(InputError, match="No space left on device"):
        store.put(record("bm25", "a", 0.6), {"q1": [("d2", 1.0)]})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert store.has_run(old)


def test_has_run_is_false_for_a_missing_or_altered_run_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put = store.put(record("bm25", "a", 0.5), {"q1": [("d1", 1.0)]})
    assert store.has_run(put) and store.has_run(record("bm25", "b", 0.5))
    store.run_path(put).write_bytes(b"")
    assert not store.has_run(put)
    store.run_path(put).unlink()
    assert not store.has_run(put)


def test_slug_is_a_safe_file_name() -> None:
    assert slug("BM25 (k1=1.2) / ../x") == "bm25-k1-1.2-..-x"
    assert slug("<script>") == "script"
    assert slug("日本") == "cell"
