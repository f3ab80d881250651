"""What the command line never loses: finished cells, whatever ends or alters a run."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ir_replications.bmx.experiments import e2_retrieval, testbeds
from ir_replications.engine import execute
from ir_replications.engine.cores import usable_cores
from ir_replications.engine.experiment import Config
from ir_replications.reports.records.store import Store
from ir_replications.shared import files as shared_files
from tests.cli import E2, SYSTEMS, Replicate, append, files, said

ROOT = Path(__file__).parents[3]
ALL_ANALYZERS = testbeds.ANALYZERS


@pytest.mark.parametrize("damage", ["edited", "truncated"])
def test_altered_records_are_refused_and_left_alone(
    replicate: Replicate, tiny: Path, tmp_path: Path, damage: str
) -> None:
    run = ("run", "bmx", "--collection", tiny, *E2, "--store", "s")
    assert replicate(*run).status == 0
    path = sorted((tmp_path / "s").rglob("*.json"))[-1]
    text = path.read_text()
    path.write_text(text.replace("1.0", "0.5", 1) if damage == "edited" else text[:-40])
    before = files(tmp_path / "s")
    for command in (run, ("report", "--store", "s", "--out", "pages")):
        line = replicate.refused(*command)
        assert path.name in line and "delete it and run it again" in line
    assert files(tmp_path / "s") == before
    assert not (tmp_path / "pages").exists()


@pytest.mark.parametrize("damage", ["removed", "altered"])
def test_a_cell_whose_run_file_is_not_its_own_is_run_again(
    replicate: Replicate, tiny: Path, tmp_path: Path, damage: str
) -> None:
    run = ("run", "bmx", "--collection", tiny, *E2, "--store", "s")
    replicate(*run)
    path = next((tmp_path / "s").rglob("*.run.gz"))
    content = path.read_bytes()
    path.unlink() if damage == "removed" else path.write_bytes(content[:-1])
    assert "9 cells: 1 run, 8 kept from before" in replicate(*run).out
    assert all(Store("s").has_run(record) for record in Store("s").records())


def test_a_full_disk_keeps_finished_cells_and_leaves_nothing_half_written(
    replicate: Replicate, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "bmx", "--collection", tiny, *E2, "--store", "s")
    real, calls = os.fsync, []

    def fsync(fd: int) -> None:
        calls.append(fd)
        if len(calls) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(shared_files.os, "fsync", fsync)
        assert "No space left on device" in replicate.refused(*run)
    kept = files(tmp_path / "s")
    number = len(Store("s").records())
    assert 0 < number < SYSTEMS
    assert not [name for name in kept if Path(name).name.startswith(".")]
    assert f"{SYSTEMS - number} run, {number} kept" in replicate(*run).out
    assert kept.items() <= files(tmp_path / "s").items()


def test_cells_that_fail_become_error_records_and_the_others_go_on(
    replicate: Replicate, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "bmx", "--collection", tiny, *E2, "--store", "s")
    with monkeypatch.context() as patch:
        _break(patch)
        result = replicate(*run)
    assert result.status == 1 and "9 cells: 9 run" in result.out
    failed = [line for line in result.err.splitlines() if line.startswith("failed: E2 tiny")]
    assert len(failed) == 1
    assert (
        "bm25l" in failed[0] and "RuntimeError: out of luck (test_cli_resume.py, line" in failed[0]
    )
    assert [r.status for r in Store("s").records()].count("error") == 1
    again = replicate(*run)
    assert again.status == 0 and "9 cells: 1 run, 8 kept from before" in again.out


def _break(patch: pytest.MonkeyPatch) -> None:
    real = e2_retrieval.make_retriever

    def fail(config: Config) -> object:
        if config.get("method") == "bm25l":
            raise RuntimeError("out of\nluck")
        return real(config)

    patch.setattr(e2_retrieval, "make_retriever", fail)


def test_other_code_runs_again_unless_kept_and_never_loses_a_result_to_a_failure(
    replicate: Replicate, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "bmx", "--collection", tiny, *E2, "--store", "s")
    replicate(*run)
    before = {record.label: record for record in Store("s").records()}
    monkeypatch.setattr(execute.provenance, "code_digest", lambda paper, **_: "f" * 64)
    assert "9 cells: 0 run, 9 kept" in replicate(*run, "--keep").out
    _break(monkeypatch)
    result = replicate(*run)
    assert result.status == 1 and "9 cells: 9 run" in result.out
    after = {record.label: record for record in Store("s").records()}
    same = [label for label in before if before[label] == after[label]]
    assert same == [label for label in before if "bm25l" in label]


def test_other_data_run_again_even_when_records_are_kept(replicate: Replicate, tiny: Path) -> None:
    run = ("run", "bmx", "--collection", tiny, *E2, "--store", "s", "--keep")
    replicate(*run)
    append("corpus.jsonl", b'{"_id": "d6", "text": "wing"}')(tiny)
    assert "9 cells: 9 run, 0 kept from before" in replicate(*run).out


def _start(store: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ir_replications", "run", "bmx", *E2, *options]
    return subprocess.Popen(
        [*command, "--store", str(store)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background is born deaf to SIGINT, and so would be its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_goes_on_where_it_was(
    replicate: Replicate,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
) -> None:
    # The process has every analyzer, so this one needs them too.
    monkeypatch.setattr(testbeds, "ANALYZERS", ALL_ANALYZERS)
    store = tmp_path / "s"
    # Seconds of cells, so that the signal meets a run that is not over.
    copies = [shutil.copytree(tiny, tmp_path / f"tiny{number}") for number in range(12)]
    asked = [part for folder in copies for part in ("--collection", str(folder))]
    asked += ["--where", "analyzer=bm25s"]  # the others' stemmers take seconds to import
    total = SYSTEMS * len(copies)
    with _start(store, *asked) as process:
        while not list(store.rglob("*.json")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
    if sent == signal.SIGKILL:
        assert (process.returncode, out, said(err)) == (-sent, "", "")
    else:
        by = "" if sent == signal.SIGINT else " by SIGTERM"
        assert (process.returncode, out) == (128 + sent, "")
        assert said(err) == (
            f"stopped{by}; what is finished is kept, run the same command to go on\n"
        )
    finished = {name: text for name, text in files(store).items() if name.endswith(".json")}
    assert 0 < len(finished) < total
    result = replicate("run", "bmx", *asked, *E2, "--store", store)
    kept = f"{total} cells: {total - len(finished)} run, {len(finished)} kept from before"
    assert kept in result.out
    assert finished.items() <= files(store).items()


@pytest.mark.usefixtures("replicate")
def test_two_runs_side_by_side_share_a_store(tiny: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    jobs = str(min(2, usable_cores()))  # more than the machine has would be a note
    asked = ("--collection", str(tiny), "--where", "analyzer=bm25s", "--jobs", jobs)
    processes = [_start(store, *asked) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0 and said(err) == "" and out.startswith(f"{SYSTEMS} cells: ")
    records = Store(store).records()
    assert len(records) == SYSTEMS and all(Store(store).has_run(record) for record in records)
    assert len(list(store.rglob("*.json"))) == SYSTEMS
