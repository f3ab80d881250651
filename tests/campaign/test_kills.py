"""What a run never loses: kills, four processes at once, a full disk, no place to write."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from tests.campaign.apart import ROOT
from tests.campaign.kills import left_by_cells
from tests.cli import E2, beir

pytestmark = pytest.mark.slow


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "IR_REPLICATIONS_CACHE": str(cache), "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(("work", "kills"), [("cells", 50), ("training", 50)])
def test_what_is_killed_and_goes_on_ends_as_if_undisturbed(
    work: str, kills: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaign.kills", work, str(kills), "16", str(tmp_path)],
        cwd=ROOT, env=environment(tmp_path / "cache"), capture_output=True, text=True, check=False,
        timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    met, times = json.loads(done.stdout.splitlines()[-1])
    assert met >= kills and times >= 1
    print(f"{work}: {met} kills, done {times} times")


def start(store: Path, cache: Path, largest: int = 0) -> subprocess.Popen[str]:
    """The cells of a tiny collection; `largest`: bytes of a file, where the disk is full."""

    def limit() -> None:
        if largest:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write instead
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    command = [
        "-m",
        "ir_replications",
        "run",
        "bmx",
        "--collection",
        str(store.parent / "tiny"),
        *E2,
    ]
    return subprocess.Popen(
        [sys.executable, *command, "--store", str(store)],
        cwd=store.parent, env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=limit,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, object]:
    """What one run leaves alone; its collection and cache serve the others."""
    beir(tmp_path / "tiny")
    status, _, err = ended(start(tmp_path / "alone", tmp_path / "cache"))
    assert status == 0, err
    return left_by_cells(tmp_path / "alone")


def test_four_processes_share_a_store(undisturbed: dict[str, object], tmp_path: Path) -> None:
    processes = [start(tmp_path / "s", tmp_path / "cache") for _ in range(4)]
    for process in processes:
        status, out, err = ended(process)
        assert status == 0 and out.startswith("36 cells: "), err
    assert left_by_cells(tmp_path / "s") == undisturbed


@pytest.mark.parametrize("largest", [1, 300, 2000])
def test_a_full_disk_is_one_line_and_the_run_goes_on(
    undisturbed: dict[str, object], tmp_path: Path, largest: int
) -> None:
    status, out, err = ended(start(tmp_path / "s", tmp_path / "cache", largest))
    assert status in (1, 2) and "Traceback" not in err, err
    assert (len(err.splitlines()) <= 37 and str(tmp_path) in err) or out, err
    assert not [p for p in (tmp_path / "s").rglob(".*") if p.is_file()], "left half-written"
    assert left_by_cells(tmp_path / "s").items() <= undisturbed.items()
    status, _, err = ended(start(tmp_path / "s", tmp_path / "cache"))
    assert status == 0, err
    assert left_by_cells(tmp_path / "s") == undisturbed


def test_a_place_without_writing_is_one_line(tmp_path: Path) -> None:
    beir(tmp_path / "tiny")
    (tmp_path / "file").write_text("")
    for store in (Path("/proc/nothing/s"), tmp_path / "file" / "s"):
        command = [
            "-m",
            "ir_replications",
            "run",
            "bmx",
            "--collection",
            str(tmp_path / "tiny"),
            *E2,
        ]
        done = subprocess.run(
            [sys.executable, *command, "--store", str(store)],
            cwd=tmp_path, env=environment(tmp_path / "cache"), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 2 and done.stdout == "", done.stderr
        assert len(done.stderr.splitlines()) == 1 and str(store.parent) in done.stderr
    place = tmp_path / "closed"
    place.mkdir()
    place.chmod(0o555)
    if not os.access(place, os.W_OK):  # the superuser may write anywhere
        status, _, err = ended(start(place / "s", tmp_path / "cache"))
        assert status == 2 and len(err.splitlines()) == 1
