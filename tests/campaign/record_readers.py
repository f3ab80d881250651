"""Readers of records and machines."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from random import Random
from typing import Any

from ir_replications.reports.attestation.machines import read_machine, write_machine
from ir_replications.reports.records.files import pack_text, read_pack, read_record
from ir_replications.reports.records.store import Store
from tests.campaign import independent as own
from tests.campaign.campaign import Reader
from tests.campaign.claim_readers import numbers_in
from tests.campaign.mutate import ODD
from tests.reports.attestation.machine_example import machine
from tests.reports.example import record

HEX = re.compile(r"[0-9a-f]{64}")


def make_record(folder: Path) -> None:
    store = Store(folder / "results")
    run = {f"q{i}": [("d1", 2.0), ("d2", 1.5)] for i in range(40)}
    store.put(record("bm25", "beir/alpha", 0.5004, seed=3, facts={"curve": [1, 0.5]}), run)


def _record_path(folder: Path) -> Path:
    found = (folder / "results").glob("*/*/*/[!.]*.json")
    return next(found, folder / "results" / "toy" / "small" / "E1" / "absent.json")


def seal_record(folder: Path, rng: Random) -> None:
    """Change one field of the record and give it the digests that its content has."""
    path = _record_path(folder)
    path.write_text(_resealed(path.read_text("utf-8"), rng), "utf-8")


def _resealed(text: str, rng: Random) -> str:
    """The JSON text of a record with one field changed and its digests made right again."""
    body = json.loads(text)
    if not isinstance(body, dict):
        return text
    if rng.random() < 0.6:
        name = rng.choice([k for k in body if k not in ("digest", "config_hash")])
        place, key = body, name
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
            place = place[key]
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        try:
            place[key] = json.loads(rng.choice(ODD))
        except (ValueError, RecursionError):
            place[key] = rng.choice(["../../x", "/etc/passwd", "javascript:alert(1)", "\x1b[31m"])
    try:
        identity = {k: body[k] for k in ("paper", "experiment", "tier", "config")}
        body["config_hash"] = _digest(identity)
        body["digest"] = _digest({k: v for k, v in body.items() if k != "digest"})
    except (KeyError, ValueError):
        return text
    return json.dumps(body, ensure_ascii=False)


def _digest(value: Any) -> str:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def confirm_record(folder: Path, found: Any) -> None:
    path = _record_path(folder)
    _confirm(own.json_of(own.text_of(path)), list(path.parts[-4:-1]), found)


def _confirm(body: Any, place: list[str], found: Any) -> None:
    """The parsed text of a record is sound, of this paper, tier and experiment, and as found."""
    assert body["digest"] == _digest({k: v for k, v in body.items() if k != "digest"}), "digest"
    identity = {k: body[k] for k in ("paper", "experiment", "tier", "config")}
    assert body["config_hash"] == _digest(identity), "config_hash"
    assert type(body["schema"]) is int, "schema"
    assert [body[k] for k in ("paper", "tier", "experiment")] == place, "folder"
    label = own.text(body["label"], "label")
    assert label.strip() and label.isprintable(), f"label {label!r:.60}"
    assert body["status"] in ("ok", "error") and (body["error"] is None) == (body["status"] == "ok")
    if body["error"] is not None:
        assert own.text(body["error"], "error").strip() and not body["means"], "error with numbers"
    for key, value in body["config"].items():
        assert not isinstance(value, dict | list), f"config {key}"
    for measure, value in body["means"].items():
        own.finite(value, f"mean {measure}")
    for measure, rows in body["per_query"].items():
        values = [own.finite(value, f"{measure} of {qid}") for qid, value in rows.items()]
        assert values and abs(math.fsum(values) / len(values) - body["means"][measure]) <= 1e-6
    if body["run"] is not None:
        run = body["run"]
        file = Path(own.text(run["path"], "run path"))
        assert not file.is_absolute() and ".." not in file.parts and ":" not in str(file), file
        assert HEX.fullmatch(own.text(run["sha256"], "run sha256")), "run sha256"
        own.whole(run["rows"], "run rows", least=0)
    provenance = body["provenance"]
    for name in ("command", "started"):
        assert type(provenance.get(name)) in (str, type(None)), f"provenance {name}"
    for name in ("data", "packages", "models"):
        assert type(provenance.get(name, {})) in (dict, type(None)), f"provenance {name}"
    assert (found.config, found.means, found.label) == (body["config"], body["means"], label), (
        "other"
    )
    assert found.digest == body["digest"], "another digest"


def read_and_check_run(folder: Path) -> Any:
    store = Store(folder / "results")
    found = read_record(_record_path(folder))
    store.check_run(found)
    return found


def confirm_run(folder: Path, found: Any) -> None:
    confirm_record(folder, found)
    if found.run is not None:
        content = (_record_path(folder).parent / found.run["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == found.run["sha256"], "another run"


def make_pack(folder: Path) -> None:
    made = [record(name, "beir/alpha", 0.5, seed=3) for name in ("bm25", "double", "third")]
    _pack_path(folder).parent.mkdir(parents=True)
    _pack_path(folder).write_text(pack_text(made), "utf-8")


def _pack_path(folder: Path) -> Path:
    return folder / "results" / "toy" / "small" / "E1.jsonl"


def seal_pack(folder: Path, rng: Random) -> None:
    """Change one field of one line's record, with the digests that its content then has."""
    lines = _pack_path(folder).read_text("utf-8").split("\n")
    line = rng.randrange(len(lines) - 1 or 1)
    lines[line] = _resealed(lines[line], rng)
    _pack_path(folder).write_text("\n".join(lines), "utf-8")


def confirm_pack(folder: Path, found: Any) -> None:
    lines = own.text_of(_pack_path(folder)).split("\n")
    assert lines.pop() == "", "a line without its end"
    bodies = [own.json_of(line) for line in lines]
    for body, each in zip(bodies, found, strict=True):
        _confirm(body, ["toy", "small", "E1"], each)
    assert len({body["config_hash"] for body in bodies}) == len(bodies), "a cell twice"


def make_machine(folder: Path) -> None:
    write_machine(machine(), folder)


def _machine_path(folder: Path) -> Path:
    return next(folder.glob("[!.]*.json"), folder / "absent.json")


def seal_machine(folder: Path, rng: Random) -> None:
    """Give the file the name that its content has."""
    path = _machine_path(folder)
    body = json.loads(path.read_text("utf-8"))
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    path.rename(folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")


def confirm_machine(folder: Path, found: Any) -> None:
    path = _machine_path(folder)
    body = own.json_of(own.text_of(path))
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert path.stem == hashlib.sha256(text.encode()).hexdigest()[:16], "another name"
    assert (found.date, found.system, found.python) == (
        own.text(body["date"], "date"), own.text(body["system"], "system"),
        own.text(body["python"], "python"),
    )  # fmt: skip
    for place, value in numbers_in(body):
        own.finite(value, place, least=0)
    for name in ("system", "python", "processor", "arithmetic"):
        assert body[name] is None or body[name].isprintable(), name


RECORD = {"results/*/*/*/*.json": "json"}
READERS = (
    Reader(
        "record",
        make_record,
        RECORD,
        lambda f: read_record(_record_path(f)),
        confirm_record,
        ("read_record",),
        seal=seal_record,
        share=3,
    ),
    Reader(
        "record and run",
        make_record,
        RECORD | {"results/*/*/*/runs/*": "bytes"},
        read_and_check_run,
        confirm_run,
        ("Store.check_run",),
        seal=seal_record,
    ),
    Reader(
        "pack",
        make_pack,
        {"results/*/*/*.jsonl": "lines"},
        lambda f: read_pack(_pack_path(f)),
        confirm_pack,
        ("read_pack",),
        seal=seal_pack,
    ),
    Reader(
        "machine",
        make_machine,
        {"*.json": "json"},
        lambda f: read_machine(_machine_path(f)),
        confirm_machine,
        ("read_machine", "read_machines"),
        seal=seal_machine,
    ),
)
