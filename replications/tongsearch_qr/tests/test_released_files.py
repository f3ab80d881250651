"""Reasoned queries and corrected judgements that others published: found, fetched, checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ir_replications.shared.data import load_collection
from ir_replications.shared.data.collection import fingerprint
from ir_replications.shared.errors import InputError, MissingDependencyError
from ir_replications.tongsearch_qr.experiments import bright
from ir_replications.tongsearch_qr.rewriting import released_files
from ir_replications.tongsearch_qr.tests.bright_example import (
    EXAMPLES,
    REASONED,
    write_lines,
    write_root,
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with two BRIGHT folders."""
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IR_REPLICATIONS_DATA", raising=False)
    return write_root(tmp_path / "root")


def test_the_authors_map_of_all_subsets_serves_each(root: Path) -> None:
    pairs = {e["query"]: REASONED[s][e["id"]] for s, rows in EXAMPLES.items() for e in rows}
    queries = {e["id"]: e["query"] for e in EXAMPLES["biology"]}
    (root / "bright/biology/reasoned/tongsearch-qr-7b.jsonl").unlink()
    where = root / "bright" / "reasoned"
    where.mkdir()
    (where / "tongsearch-qr-7b.json").write_text(json.dumps(pairs))
    found = released_files.published_queries(
        "tongsearch-qr-7b", "bright/biology", queries, data_root=root, download=False
    )
    assert found == REASONED["biology"]


def test_a_folder_of_the_users_own_comes_before_the_data_root(root: Path, tmp_path: Path) -> None:
    queries = {"0": "any"}
    own = tmp_path / "own"
    write_lines(own / "reasoned" / "tongsearch-qr-7b.jsonl", [{"_id": "0", "text": "mine"}])
    for name, expected in (("tongsearch-qr-7b", "mine"), ("gpt-4", REASONED["biology"]["0"])):
        found = released_files.published_queries(
            name, "bright/biology", queries, folder=own, data_root=root, download=False
        )
        assert found == {"0": expected}


def test_downloads_are_checked_and_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = {e["query"]: REASONED[s][e["id"]] for s, rows in EXAMPLES.items() for e in rows}
    file = tmp_path / "7b_reasoned_query.json"
    file.write_text(json.dumps(pairs))
    sha256 = hashlib.sha256(json.dumps(sorted(pairs.items())).encode()).hexdigest()
    monkeypatch.setattr(released_files, "_REASONED_AT", tmp_path.as_uri())
    monkeypatch.setitem(released_files.MAPS, "tongsearch-qr-7b", (file.name, "0" * 64))
    queries = {e["id"]: e["query"] for e in EXAMPLES["biology"]}

    def get() -> dict[str, str]:
        return released_files.published_queries("tongsearch-qr-7b", "bright/biology", queries)

    with pytest.raises(InputError, match=r"its content has the sha256 .*, pinned 0000"):
        get()
    assert not list((tmp_path / "cache").rglob(file.name)), "refused content is not kept"
    monkeypatch.setitem(released_files.MAPS, "tongsearch-qr-7b", (file.name, sha256))
    assert get() == REASONED["biology"]
    file.unlink()
    assert get() == REASONED["biology"], "from the cache"
    with pytest.raises(MissingDependencyError, match=r"1_5b_reasoned_query.json: not fetched .*"):
        released_files.published_queries("tongsearch-qr-1.5b", "bright/biology", queries)


def test_a_mirror_serves_what_is_published_on_github(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = {e["query"]: REASONED[s][e["id"]] for s, rows in EXAMPLES.items() for e in rows}
    address, name = released_files._REASONED_AT, "7b_reasoned_query.json"
    place = tmp_path / "mirror" / address.removeprefix("https://raw.githubusercontent.com/") / name
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(pairs))
    sha256 = hashlib.sha256(json.dumps(sorted(pairs.items())).encode()).hexdigest()
    monkeypatch.setitem(released_files.MAPS, "tongsearch-qr-7b", (name, sha256))
    monkeypatch.setenv(released_files.MIRROR, (tmp_path / "mirror").as_uri() + "/")
    queries = {e["id"]: e["query"] for e in EXAMPLES["biology"]}
    found = released_files.published_queries("tongsearch-qr-7b", "bright/biology", queries)
    assert found == REASONED["biology"]


def test_reasoned_queries_of_the_benchmark_come_from_its_hub(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def rows(hub: str, config: str, revision: str, subset: str) -> dict[str, list[dict[str, str]]]:
        asked.append((hub, config, subset))
        return {subset: [{"id": q, "query": t} for q, t in REASONED[subset].items()]}

    monkeypatch.setattr(released_files, "load_rows", rows)
    queries = {e["id"]: e["query"] for e in EXAMPLES["biology"]}
    found = released_files.published_queries("gpt-4", "bright/biology", queries)
    assert found == REASONED["biology"]
    assert asked == [("xlangai/BRIGHT", "gpt4_reason", "biology")]
    with pytest.raises(InputError, match="gpt4_reason: no reasoned query for 2"):
        released_files.published_queries("gpt-4", "bright/biology", {"0": "a", "2": "b"})
    with pytest.raises(MissingDependencyError, match="no reasoned queries 'gpt-4'; put them at"):
        released_files.published_queries("gpt-4", "bright/biology", queries, download=False)


def test_corrected_judgements_come_from_collection_data_root_or_download(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = released_files.corrected_qrels
    collection = load_collection("bright/biology", data_root=root)
    expected = {"0": {"b/1": 1, "b/3": 1}, "1": {"b/2": 1}}
    assert get(collection) == expected
    away = (root / "bright/biology/qrels").rename(tmp_path / "away")
    without = load_collection("bright/biology", data_root=root)
    with pytest.raises(MissingDependencyError, match="no corrected judgements; put them at"):
        get(without, data_root=root, download=False)
    rows = "".join(f"{q} 0 {d} 1\n" for q, ids in expected.items() for d in ids)
    (tmp_path / "qrels.bright-biology.fixed.txt").write_text(rows)
    monkeypatch.setattr(released_files, "_FIXED_AT", tmp_path.as_uri())
    pin = fingerprint((), {}, {"test.fixed": expected}, {})
    monkeypatch.setitem(released_files.CORRECTED, "biology", pin)
    assert get(without, data_root=root) == expected
    away.rename(root / "bright/biology/qrels")
    assert get(without, data_root=root, download=False) == expected
    (root / "bright/leetcode/qrels").rename(tmp_path / "away")
    leetcode = load_collection("bright/leetcode", data_root=root)
    assert get(leetcode, download=False) == leetcode.qrels["test"], "nothing to correct there"


def test_pins_hold_for_the_published_files(data_root: Path) -> None:
    """What the data root holds is what a download would have to be."""
    for name, (_, sha256) in released_files.MAPS.items():
        pairs: dict[str, str] = {}
        for subset in bright.SUBSETS:
            queries = released_files.load_bright_queries(subset, data_root).queries
            found = released_files.published_queries(
                name, f"bright/{subset}", queries, data_root=data_root, download=False
            )
            pairs |= {queries[qid]: text for qid, text in found.items()}
        assert len(pairs) == 1308
        assert hashlib.sha256(json.dumps(sorted(pairs.items())).encode()).hexdigest() == sha256
    for subset in bright.SUBSETS:
        qrels = released_files.load_bright_queries(subset, data_root).qrels
        corrected = qrels["test.fixed"] != qrels["test"]
        assert corrected == (subset in released_files.CORRECTED), subset
        if corrected:
            found_pin = fingerprint((), {}, {"test.fixed": qrels["test.fixed"]}, {})
            assert found_pin == released_files.CORRECTED[subset]
