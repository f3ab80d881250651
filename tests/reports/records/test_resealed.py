"""Records whose digest is right and whose content is not: each is refused in one line."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ir_replications.reports.records.files import read_record
from ir_replications.reports.records.record import slug
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.example import record

SHA256 = "6d2c09c77d224dc1762547ea216191509f58ef309ccb14127d9c8d5696e62768"
DELETE = object()


def canonical(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """The record with the digest of its content, as somebody who knows the format makes it."""
    return {**data, "digest": canonical({k: v for k, v in data.items() if k != "digest"})}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The file of a record that holds something in every field."""
    store = Store(tmp_path)
    made = record(
        "bm25", "beir/alpha", 0.5, seed=3,
        facts={"a": {"b": [1, 2.5]}},
        provenance={
            "seed": 3, "code_sha256": SHA256, "git": {"commit": "0" * 40, "dirty": False},
            "packages": {"numpy": "2.0"}, "cpu": {"model": "x", "count": 2}, "wall_s": 1.5,
            "data_mismatch": [],
        },
    )  # fmt: skip
    return store.path(store.put(made, {"q1": [("d1", 1.0)]}))


def change(data: dict[str, Any], place: str, value: Any) -> None:
    *parents, last = place.split("/")
    for parent in parents:
        data = data[parent]
    if value is DELETE:
        del data[last]
    else:
        data[last] = value


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


HUGE = 10**400
NAMES = ("paper", "experiment", "tier", "label")
MUTATIONS: list[tuple[str, Any]] = [
    ("schema", True),
    ("schema", 1.0),
    ("schema", [1]),
    ("paper", 5),
    ("paper", "other"),
    ("paper", ""),
    ("paper", ".."),
    ("paper", "toy\n"),
    ("experiment", None),
    ("experiment", "E9"),
    ("experiment", ["E1"]),
    ("tier", "paper"),
    ("tier", "huge"),
    ("tier", ["small"]),
    ("tier", 1),
    ("label", 5),
    ("label", None),
    ("label", ""),
    ("label", " "),
    ("label", "another"),
    ("config", None),
    ("config", []),
    ("config/seed", "3"),
    ("config/seed", True),
    ("config/seed", -1),
    ("config/seed", 3.0),
    ("config/seed", HUGE),
    ("config/seed", 4),  # the provenance says 3
    ("config/collection", 5),
    ("config/system", " "),
    ("config/k1", {"a": 1}),
    ("config/k1", [1]),
    ("config/k1", HUGE),
    ("config/k1", 1e999),
    ("status", "error"),
    ("status", "fine"),
    ("status", None),
    ("error", 5),
    ("error", ""),
    ("error", "out of memory"),
    ("means", None),
    ("means", [0.5]),
    ("means/AP", "high"),
    ("means/AP", None),
    ("means/AP", {"x": 1}),
    ("means/AP", True),
    ("means/AP", HUGE),
    ("means/AP", 1e999),
    ("means/", 0.5),
    ("means/nDCG@10", 0.6),
    ("means/nDCG@10", "0.5"),
    ("means/nDCG@10", DELETE),
    ("per_query", None),
    ("per_query", "x"),
    ("per_query/nDCG@10", {}),
    ("per_query/nDCG@10", []),
    ("per_query/nDCG@10", 0.5),
    ("per_query/nDCG@10", {"q1": True, "q2": False}),
    ("per_query/nDCG@10", {"q1": "0.25", "q2": 0.75}),
    ("per_query/nDCG@10", {"q1": None}),
    ("per_query/nDCG@10", {"": 0.5}),
    ("per_query/nDCG@10", {"q1": HUGE, "q2": 1 - HUGE}),
    ("per_query/nDCG@10", {"q1": 1e999, "q2": -1e999}),
    ("per_query/nDCG@10", {"q1": 1.7e308, "q2": 1.7e308}),
    ("per_query/nDCG@10", {"q1": {"x": 0.5}}),
    ("per_query/AP", {"q1": 0.5}),  # no mean
    ("facts", None),
    ("facts", []),
    ("facts/x", HUGE),
    ("facts/x", {"y": [1, -HUGE]}),
    ("facts/x", 1e999),
    ("facts/x", deep(200)),
    ("run", ["path", "sha256", "rows"]),
    ("run", {}),
    ("run", "runs/x.run.gz"),
    ("run/path", "/etc/passwd"),
    ("run/path", "../../../../etc/passwd"),
    ("run/path", "runs/../runs/x.run.gz"),
    ("run/path", "javascript:alert(1)"),
    ("run/path", "https://example.org/x.run.gz"),
    ("run/path", "runs/other-0123456789.run.gz"),
    ("run/path", 5),
    ("run/path", None),
    ("run/sha256", "x"),
    ("run/sha256", "0" * 63),
    ("run/sha256", "0" * 63 + "G"),
    ("run/sha256", SHA256 + "\n"),
    ("run/sha256", 5),
    ("run/rows", "<b>"),
    ("run/rows", -1),
    ("run/rows", 1.0),
    ("run/rows", True),
    ("run/rows", HUGE),
    ("run/extra", 1),
    ("provenance", None),
    ("provenance", []),
    ("provenance/command", 5),
    ("provenance/command", ["replicate"]),
    ("provenance/code_sha256", 5),
    ("provenance/started", 5),
    ("provenance/data", "x"),
    ("provenance/data", [1]),
    ("provenance/data", {"beir/alpha": 5}),
    ("provenance/models", [1]),
    ("provenance/packages", [1]),
    ("provenance/packages", {"numpy": [2]}),
    ("provenance/cpu", "x"),
    ("provenance/cpu", {"model": {"x": 1}}),
    ("provenance/threads", [1]),
    ("provenance/git", "x"),
    ("provenance/git", {"commit": 5, "dirty": False}),
    ("provenance/git", {"commit": "0" * 40}),
    ("provenance/seed", 4),
    ("provenance/seed", "3"),
    ("provenance/wall_s", "1"),
    ("provenance/wall_s", -1),
    ("provenance/peak_rss_mib", True),
    ("provenance/data_mismatch", "beir/alpha"),
    ("provenance/data_mismatch", [1]),
    ("provenance/rehearsal", {"a": 1}),
    ("provenance/x", HUGE),
]


@pytest.mark.parametrize(("place", "value"), MUTATIONS, ids=lambda value: str(value)[:20])
def test_what_no_record_holds_is_refused_in_one_line(good: Path, place: str, value: Any) -> None:
    data = copy.deepcopy(json.loads(good.read_text()))
    change(data, place, value)
    keys = ("paper", "experiment", "tier", "config")
    data["config_hash"] = canonical({key: data[key] for key in keys})
    path = good
    if place.startswith("config/"):  # its file follows the config
        path = good.with_name(f"{slug(data['label'])}-{data['config_hash'][:10]}.json")
        good.unlink()
    text = json.dumps(sealed(data))
    path.write_text(text.replace("Infinity", "1e999"))  # a number to JSON, infinite to Python
    with pytest.raises(InputError) as error:
        read_record(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 600
    field = place.partition("/")[0]  # the others name the file, which then has another name
    said = message.removeprefix(str(path)).replace("per-query", "per_query")
    assert field.rstrip("s") in said or field in NAMES or "Inf" in text
    with pytest.raises(InputError):
        Store(good.parents[3]).records()


def test_the_record_itself_and_a_harmless_change_are_read(good: Path) -> None:
    data = json.loads(good.read_text())
    assert read_record(good).seed == 3
    data["facts"]["x"] = {"y": [1, 2.5, "text", None, True]}
    data["means"]["AP"] = 1
    good.write_text(json.dumps(sealed(data)))
    assert read_record(good).facts["x"]["y"][2] == "text"


@pytest.mark.parametrize(
    "move",
    [
        lambda path, root: root / "other" / "small" / "E1" / path.name,
        lambda path, root: root / "toy" / "paper" / "E1" / path.name,
        lambda path, root: root / "toy" / "small" / "E2" / path.name,
        lambda path, root: path.with_name(f"copy-{path.name}"),
        lambda path, root: path.with_name("record.json"),
    ],
)
def test_a_record_elsewhere_is_refused(
    good: Path, tmp_path: Path, move: Callable[[Path, Path], Path]
) -> None:
    other = move(good, tmp_path)
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(good.read_bytes())
    with pytest.raises(InputError, match=r"holds toy/small/E1/.*moved or renamed") as error:
        read_record(other)
    assert str(error.value).startswith(f"{other}: ")
    with pytest.raises(InputError, match="moved or renamed"):
        Store(tmp_path).records()


def test_a_path_may_be_relative_to_the_records_folder(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(good.parent)
    assert read_record(good.name).label == "beir/alpha bm25"


def test_hidden_files_are_no_records(good: Path, tmp_path: Path) -> None:
    good.with_name(f"._{good.name}").write_bytes(b"\x00\x05\x16\x07")
    store = Store(tmp_path)
    (found,) = store.records()
    assert store.get(found.paper, found.experiment, found.tier, found.config) == found


def test_what_cannot_be_read_again_is_not_made() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"label": ""}, "label is ''"),
        ({"label": os.fsdecode(b"caf\xe9")}, "half a character"),
        ({"config": {"seed": "3"}}, "config.seed is '3'"),
        ({"facts": {"x": HUGE}}, "facts.x is <number of 1329 bits>"),
        ({"provenance": {"command": 5}}, "provenance.command is 5"),
    ]
    for fields, message in cases:
        with pytest.raises(InputError, match=message):
            record("bm25", "beir/alpha", 0.5, **fields).to_json()
