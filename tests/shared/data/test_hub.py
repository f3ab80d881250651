"""Downloads: from a local dataset with the hub's layout, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ir_replications.shared.data import check_collection, fetch_collection, load_collection
from ir_replications.shared.data import hub as hub_module
from ir_replications.shared.data.hub import fetch_hub
from ir_replications.shared.data.manifest import Pin
from ir_replications.shared.errors import InputError
from ir_replications.shared.hub.reference import parse_hub_ref

REVISION = "0123456789abcdef0123456789abcdef01234567"
REF = f"hub:some-org/tiny@{REVISION}"
TABLES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "corpus": {
        "corpus": [
            {"_id": "d2", "title": "T", "text": "lift"},
            {"_id": "d1", "title": None, "text": "heat"},
        ]
    },
    "queries": {"queries": [{"_id": "q1", "text": "a wing"}, {"_id": "q2", "text": "b"}]},
    "default": {
        "test": [{"query-id": "q1", "corpus-id": "d2", "score": 1.0}],
        "dev": [{"query-id": "q2", "corpus-id": "d1", "score": 2}],
    },
    "documents": {"pony": [{"id": "a", "content": "x"}, {"id": "b", "content": "y"}]},
    "examples": {"pony": [{"id": "0", "query": "q", "gold_ids": ["a"], "excluded_ids": ["b"]}]},
}


def serve(monkeypatch: pytest.MonkeyPatch, **changes: Mapping) -> list[tuple]:
    """Replace the download by TABLES and return the list of its calls."""
    calls: list[tuple] = []

    def load(path: str, config: str, revision: str | None, split: str | None) -> Mapping:
        calls.append((path, config, revision, split))
        return {**TABLES, **changes}[config]

    monkeypatch.setattr(hub_module, "load_rows", load)
    return calls


def test_generic_dataset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = serve(monkeypatch)
    collection = load_collection(REF)
    assert collection.id == "hub/some-org/tiny"
    assert collection.doc_ids == ["d1", "d2"]
    assert collection.contents("space") == ["heat", "T lift"]
    assert collection.qrels == {"test": {"q1": {"d2": 1}}, "dev": {"q2": {"d1": 2}}}
    assert {call[0] for call in calls} == {"some-org/tiny"}
    assert {call[2] for call in calls} == {REVISION}
    assert collection.source == f"https://huggingface.co/datasets/some-org/tiny@{REVISION}"
    before = len(calls)
    assert load_collection(REF, download=False).sha256 == collection.sha256
    assert len(calls) == before


def test_the_layout_of_later_uploads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Corpora and queries by split, ids named id, judgements in "qrels", one split of any name."""
    tables = {
        "corpus": {"other": [], "validation": [{"id": "d1", "title": "", "text": "lift"}]},
        "queries": {"other": [], "validation": [{"id": "q1", "text": "a wing"}]},
        "qrels": {
            "other": [{"query-id": "x", "corpus-id": "y", "score": 1}],
            "validation": [{"query-id": "q1", "corpus-id": "d1", "score": 1}],
        },
    }

    def load(path: str, config: str, revision: str | None, split: str | None) -> Mapping:
        if config not in tables:
            raise ValueError(f"BuilderConfig '{config}' not found. Available: {list(tables)}")
        return tables[config]

    monkeypatch.setattr(hub_module, "load_rows", load)
    pin = Pin("x/y", split="validation", docs=1, queries=1)
    collection = load_collection(fetch_hub("x/y", "org/y", REVISION, tmp_path / "y", pin))
    assert collection.qrels == {"validation": {"q1": {"d1": 1}}}
    for splits in tables.values():
        splits.pop("other")
    pin = Pin("x/z", docs=1, queries=1)  # whose only split the manifest calls test
    collection = load_collection(fetch_hub("x/z", "org/z", REVISION, tmp_path / "z", pin))
    assert collection.qrels == {"test": {"q1": {"d1": 1}}}


@pytest.mark.parametrize(
    "ref",
    [
        "hub:some-org/tiny",
        "hub:some-org/tiny@main",
        "hub:some-org/tiny@0123456",
        f"hub:some-org/tiny@{REVISION.upper()}",
        f"hub:some-org/../tiny@{REVISION}",
        f"hub:../tiny@{REVISION}",
        f"hub:a/b/c@{REVISION}",
        f"hub:a/..b@{REVISION}",
    ],
)
def test_only_full_revisions_and_plain_names(ref: str) -> None:
    with pytest.raises(InputError, match=r"expected hub:<organisation>/<name>@<revision>"):
        load_collection(ref)


def test_parse_hub_ref() -> None:
    assert parse_hub_ref(REF) == ("some-org/tiny", REVISION)


def test_bright(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = serve(monkeypatch)
    pin = Pin("bright/pony", docs=2, queries=1)
    folder = fetch_hub("bright/pony", "xlangai/BRIGHT", REVISION, tmp_path / "pony", pin)
    collection = load_collection(folder)
    assert collection.qrels == {"test": {"0": {"a": 1}}}
    assert collection.excluded == {"0": frozenset({"b"})}
    assert [call[1:] for call in calls] == [
        ("documents", REVISION, "pony"),
        ("examples", REVISION, "pony"),
    ]


def test_pinned_revision_is_used_and_counts_are_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = serve(monkeypatch)
    with pytest.raises(InputError) as caught:
        load_collection("beir/arguana")
    assert str(caught.value) == (
        "beir/arguana: 2 documents, pinned 8674; beir/arguana: 1 queries in 'test', pinned 1406; "
        "nothing was kept, fetch it again"
    )
    assert calls[0][:3] == ("mteb/arguana", "corpus", "c22ab2a51041ffd869aaddef7af8d8215647e41a")
    assert not (tmp_path / "cache" / "collections" / "beir" / "arguana").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": {"corpus": [{"_id": "d1"}]}}, "corpus row 1: no column text or content"),
        ({"corpus": {"a": [], "b": []}}, "corpus: expected one split or 'test', found a, b"),
        ({"corpus": {"corpus": []}}, "no documents"),
        (
            {"corpus": {"corpus": [{"_id": "d1", "text": "a"}, {"_id": "d1", "text": "b"}]}},
            "corpus row 2: document 'd1' is there before with another text",
        ),
        (
            {"queries": {"queries": [{"_id": "q1", "text": "a"}] * 2}},
            "queries row 2: query 'q1' is there twice",
        ),
        (
            {"default": {"test": [{"query-id": "q1", "corpus-id": "d1", "score": 0.5}]}},
            "test row 1: grade 0.5 is not a whole number",
        ),
    ],
)
def test_faulty_dataset(monkeypatch: pytest.MonkeyPatch, changes: dict, message: str) -> None:
    serve(monkeypatch, **changes)
    with pytest.raises(InputError, match=message):
        load_collection(REF)


def test_documents_given_twice_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, corpus={"corpus": TABLES["corpus"]["corpus"] * 2})
    folder = fetch_collection(REF)
    assert len((folder / "corpus.jsonl").read_text().splitlines()) == 2


def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets")

    def unreachable() -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(hub_module, "check_network", unreachable)
    with pytest.raises(InputError) as caught:
        load_collection("beir/arguana")
    assert str(caught.value) == (
        "beir/arguana: tried mteb/arguana at revision c22ab2a51041ffd869aaddef7af8d8215647e41a on "
        "the hub (ConnectionError: Name or service not known); connect to the network, or put a "
        "BEIR folder at <data root>/beir/arguana"
    )
    (tmp_path / "root" / "bright" / "pony").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"the corpus of bright/pony is missing; run .* tried xlang"
    ):
        load_collection("bright/pony", data_root=tmp_path / "root")


def test_failure_halfway_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> Any:
        yield TABLES["corpus"]["corpus"][0]
        raise ConnectionError("reset\nby peer")

    serve(monkeypatch, corpus={"corpus": broken()})
    with pytest.raises(InputError) as caught:
        load_collection(REF)
    assert "(ConnectionError: reset); connect to the network" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache" / "collections").exists()


def test_through_datasets_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    source = tmp_path / "dataset"
    configs = []
    for config in ("corpus", "queries", "default"):
        files = []
        for split, rows in TABLES[config].items():
            path = source / config / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            files.append({"split": split, "path": f"{config}/{split}.jsonl"})
        configs.append({"config_name": config, "data_files": files})
    (source / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    folder = fetch_hub("tiny", str(source), REVISION, tmp_path / "out")
    collection = load_collection(folder)
    assert collection.contents("space") == ["heat", "T lift"]
    assert collection.qrels == {"test": {"q1": {"d2": 1}}, "dev": {"q2": {"d1": 2}}}
    assert "nothing is pinned for out" in check_collection(collection)[0]
