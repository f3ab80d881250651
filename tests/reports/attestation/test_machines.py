"""Files of attested machines: what is written can be read, what was tampered with cannot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ir_replications.reports.attestation.machines import read_machine, read_machines, write_machine
from ir_replications.reports.pages.machine_views import Verified, verified
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.reports.attestation.machine_example import NEW, OLD, agreement, machine

REPORTS = Path(__file__).resolve().parents[3] / "reports"
COMMITTED = sorted((REPORTS / "machines").glob("*.json"))


def _body() -> dict[str, Any]:
    return asdict(machine())


def _put(folder: Path, body: Any) -> Path:
    """Write a body under the name that its content gives, worked out here anew."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    path = folder / f"{hashlib.sha256(canonical.encode()).hexdigest()[:16]}.json"
    path.write_text(json.dumps(body))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write_machine(machine(), tmp_path)
    assert read_machine(path) == machine()
    assert path.name == _put(tmp_path / "..", _body()).name


def test_totals_are_sums_and_maxima_over_papers() -> None:
    other = agreement(
        compared={"float64": 5}, deviation={"float64": 3e-10}, disagreements=["E1: moved"]
    )
    found = machine(papers={"toy": agreement(), "other": other})
    assert found.compared == 15
    assert found.deviation == {"exact": 0.0, "float64": 3e-10, "trained": 0.4, "error-bound": 0.02}
    assert found.disagreements == ["E1: moved"]


def test_absolute_paths_are_cut_off_when_written(tmp_path: Path) -> None:
    lines = [f"E1: cannot read {Path.home()}/secret/model and /srv/data/x"]
    path = write_machine(machine(papers={"toy": agreement(disagreements=lines)}), tmp_path)
    found = read_machine(path).disagreements
    assert found == ["E1: cannot read model and x"]


def test_a_file_is_current_while_its_records_are() -> None:
    assert machine().is_current({"toy": NEW, "newer": OLD})
    assert not machine().is_current({"toy": OLD})
    assert not machine().is_current({})


def _set(*keys: str, to: object) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for key in keys[:-1]:
            body = body[key]
        body[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_set("schema", to=2), "schema 2"),
        (_set("schema", to=True), "schema True"),
        (_set("schema", to=1.0), "schema 1.0"),
        (_set("schema", to=10**400), "schema <number of 1329 bits>"),
        (_set("date", to=20260131), "date is 20260131"),
        (_set("cores", to=2**63), "cores is 9223372036854775808"),
        (_set("cores", to=1.0), "cores is 1.0"),
        (_set("system", to="\x1b[2J"), r"system is '\x1b[2J'"),
        (_set("system", to="a\u202eb"), r"system is 'a\u202eb'"),
        (_set("packages", to={"a" * 2000: "1"}), "packages"),
        (_set("full", to=1), "full is 1"),
        (_set("papers", to=[1]), "papers is [1]"),
        (_set("papers", "toy", to=[1]), "toy: expected a JSON object"),
        (_set("papers", "toy", "verdicts", to={"reproduced": 10**400}), "toy: verdicts"),
        (_set("papers", "toy", "deviation", to={"float64": 10**400}), "toy: deviation"),
        (_set("papers", "toy", "deviation", to={"float64": True}), "toy: deviation"),
        (_set("date", to="1 March"), "date is '1 March'"),
        (_set("date", to="2026-02-30"), "date"),
        (_set("cores", to=0), "cores is 0"),
        (_set("cores", to=True), "cores is True"),
        (_set("emulated", to="no"), "emulated is 'no'"),
        (_set("system", to="two\nlines"), "system"),
        (_set("processor", to=7), "processor is 7"),
        (_set("instruction_sets", to="avx2"), "instruction_sets"),
        (_set("libraries", to={"torch": 1}), "libraries"),
        (_set("packages", to={"<b>": "1"}), "packages"),
        (_set("threads", to={"torch": -1}), "threads"),
        (_set("git", to={"commit": "c" * 39, "dirty": False}), "git"),
        (_set("git", to={"commit": "c" * 40, "dirty": 0}), "git"),
        (_set("papers", to={}), "papers"),
        (_set("host", to="ada-laptop"), "unknown field 'host'"),
        (_set("papers", "toy", "verdicts", to={"excellent": 3}), "toy: verdicts"),
        (_set("papers", "toy", "compared", to={"float64": 2.5}), "toy: compared"),
        (_set("papers", "toy", "compared", to={"guessed": 2}), "toy: compared"),
        (_set("papers", "toy", "deviation", to={"float64": -1e-9}), "toy: deviation"),
        (_set("papers", "toy", "deviation", to={"float32": 0.1}), "toy: deviation"),
        (_set("papers", "toy", "disagreements", to="none"), "toy: disagreements"),
        (_set("papers", "toy", "records", to="b" * 63), "toy: records"),
        (_set("papers", "toy", "user", to="ada"), "toy: unknown field 'user'"),
        (_set("papers", "toy", "left_out", to=["see /home/ada/x"]), "absolute path"),
        (lambda body: body.pop("threads"), "'threads' is missing"),
    ],
)
def test_a_foreign_file_is_refused_in_one_line(
    change: Callable[[Any], None], word: str, tmp_path: Path
) -> None:
    body = _body()
    change(body)
    path = _put(tmp_path, body)
    with pytest.raises(InputError) as caught:
        read_machine(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and word in message and "\n" not in message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "malformed JSON"),
        ("[1]", "JSON object"),
        ('{"x": NaN}', "NaN"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5_000, "too many digits"),
        ('{"x": 1, "x": 1}', "given twice"),
    ],
)
def test_what_is_no_object_is_refused(text: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "0123456789abcdef.json"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        read_machine(path)


def test_a_number_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    path = write_machine(machine(), tmp_path)
    path.write_text(path.read_text().replace("0.4", "0.1"))
    with pytest.raises(InputError, match="does not give this name"):
        read_machine(path)


def test_real_machines_come_before_emulated_ones_and_new_before_old(tmp_path: Path) -> None:
    machines = [
        machine(arithmetic="oldest", emulated=True, date="2026-05-01"),
        machine(date="2026-03-01"),
        machine(date="2026-04-01"),
    ]
    for each in machines:
        write_machine(each, tmp_path)
    assert read_machines(tmp_path) == [machines[2], machines[1], machines[0]]
    assert read_machines(tmp_path / "none") == []


def _published(paper: str) -> str:
    """The digest of a paper's published records of the embedded tier, from their files."""
    paths = (REPORTS / "results" / paper / "embedded").glob("*.jsonl")
    lines = [line for path in paths for line in path.read_text("utf-8").split("\n")[:-1]]
    digests = sorted(json.loads(line)["digest"] for line in lines)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def test_every_committed_file_is_valid_and_says_when_it_saw_older_records() -> None:
    machines = read_machines(REPORTS / "machines")  # raises for a file that is not as it must be
    assert len(machines) == len(COMMITTED)
    papers = {paper for each in machines for paper in each.papers}
    published = {paper: _published(paper) for paper in papers}
    for row in Verified(machines, published).rows:
        seen = {paper: found.records for paper, found in row.machine.papers.items()}
        old = any(published[paper] != records for paper, records in seen.items())
        assert ("compared with older records" in row.notes) == old


def test_the_digest_of_the_published_records_is_that_of_the_embedded_tier() -> None:
    records = Store(REPORTS / "results").records("bmx")
    assert {record.tier for record in records} > {"embedded"}
    assert verified([], records).published == {"bmx": _published("bmx")}
