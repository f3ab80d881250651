"""Several arithmetics on one machine: each in a process of its own, with its own variables."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ir_replications.engine import cores
from ir_replications.engine.commands.machines import emulate
from ir_replications.reports.attestation.arithmetics import ARITHMETICS, named, switches_set
from ir_replications.reports.attestation.libraries import Libraries
from ir_replications.reports.attestation.machines import read_machines
from tests.cli import Replicate

NATIVE = Libraries({"torch": "AVX512"}, {"torch": "native"}, ["X86_V4"], {"torch": 1})
# Stands for `python -m ir_replications attest ...`: writes what its environment asks for.
PROCESS = """#!{python}
import os, sys, time
from dataclasses import replace
from ir_replications.reports.attestation.arithmetics import switches_set
from ir_replications.reports.attestation.machines import write_machine
from tests.reports.attestation.machine_example import agreement, machine
assert sys.argv[1:5] == ["-P", "-m", "ir_replications", "attest"], sys.argv
options = dict(zip(sys.argv[5::2], sys.argv[6::2]))
threads = int(os.environ["OMP_NUM_THREADS"])
name = os.path.basename(options["--out"])
lines = ["E1: moved"] if name == os.environ.get("DISAGREES") else []
print("started", time.time(), flush=True)
print("jobs", options["--jobs"])
together = options["--out"] + "/../together"
os.makedirs(os.path.join(together, name))
while len(os.listdir(together)) < int(os.environ.get("TOGETHER", "1")):
    time.sleep(.01)
found = machine(
    arithmetic=name, switches=switches_set(os.environ), threads={{"torch": threads}},
    emulated=bool(switches_set(os.environ)), papers={{"toy": agreement(disagreements=lines)}},
)
if name != os.environ.get("BREAKS"):
    write_machine(found, options["--out"])
print("ended", time.time())
sys.exit(len(lines))
"""


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[3]
    script = tmp_path / "process"
    script.write_text(PROCESS.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(emulate, "why_not_offered", lambda arithmetic: None)
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)

    def probe(environment: dict[str, str]) -> Libraries:
        results = {"torch": str(switches_set(environment) or "native")}
        return replace(NATIVE, results=results)

    monkeypatch.setattr(emulate, "probe", probe)


@pytest.mark.usefixtures("process")
def test_every_arithmetic_runs_with_its_own_variables(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", "AVX2")  # of the caller's shell: of no arithmetic here
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    result = replicate("attest", "--arithmetic", "all", "--out", tmp_path / "out", "--jobs", "2")
    assert result.status == 0
    found = {machine.arithmetic: machine for machine in read_machines(tmp_path / "out")}
    assert set(found) == {arithmetic.name for arithmetic in ARITHMETICS}
    for arithmetic in ARITHMETICS:
        machine = found[arithmetic.name]
        assert machine.switches == switches_set(arithmetic.environment(NATIVE))
        assert machine.threads == {"torch": arithmetic.threads}
    rows = [line for line in result.out.splitlines() if line.startswith("│") and "toy" in line]
    assert len(rows) == len(ARITHMETICS)
    # 10 values, and the deviations of the example, of float64, error-bound and trained numbers.
    assert all(word in rows[0] for word in ("10", "3e-16", "0.02", "0.4"))


@pytest.mark.usefixtures("process")
def test_arithmetics_share_the_time(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGETHER", str(len(ARITHMETICS)))  # each waits until all have started
    times = _said(replicate, tmp_path, jobs=4)
    assert max(times["started"]) < min(times["ended"])
    assert len(times["ended"]) == len(ARITHMETICS)
    assert set(times["jobs"]) == {1}


@pytest.mark.usefixtures("process")
def test_on_few_cores_each_arithmetic_has_all_of_them(replicate: Replicate, tmp_path: Path) -> None:
    times = _said(replicate, tmp_path, jobs=3)
    following = zip(times["ended"][:-1], times["started"][1:], strict=True)
    assert all(end < start for end, start in following)
    assert len(times["started"]) == len(ARITHMETICS) and set(times["jobs"]) == {3}


def _said(replicate: Replicate, tmp_path: Path, jobs: int) -> dict[str, list[float]]:
    """When every process started and ended, and its jobs, in order of their ends."""
    out = tmp_path / "out"
    result = replicate("attest", "--arithmetic", "all", "--out", out, "--jobs", str(jobs))
    said: dict[str, list[float]] = {"started": [], "ended": [], "jobs": []}
    for line in result.out.splitlines():
        if line.split()[:1] and (word := line.split()[0]) in said:
            said[word].append(float(line.split()[1]))
    return said


@pytest.mark.usefixtures("process")
def test_one_that_disagrees_makes_all_red_and_is_kept(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISAGREES", "avx2")
    options = ("--arithmetic", "native", "--arithmetic", "avx2", "--out", tmp_path / "out")
    assert replicate("attest", *options).status == 1
    wrong = {m.arithmetic: m.disagreements for m in read_machines(tmp_path / "out")}
    assert wrong == {"native": [], "avx2": ["E1: moved"]}


@pytest.mark.usefixtures("process")
def test_a_process_without_a_result_is_one_line(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", "native")
    line = replicate.refused("attest", "--arithmetic", "native", "--out", tmp_path / "out")
    assert "arithmetic native ended without a result" in line


@pytest.mark.usefixtures("process")
def test_what_computes_as_natively_or_is_not_offered_is_said_and_not_run(
    replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulate, "probe", lambda environment: NATIVE)
    options = ("--arithmetic", "native", "--arithmetic", "avx2", "--out", tmp_path / "out")
    result = replicate("attest", *options)
    assert result.status == 0
    assert "avx2: every library gives the same results as natively" in result.out
    assert "torch ignored ATEN_CPU_CAPABILITY=avx2: it says AVX512" in result.out
    assert [m.arithmetic for m in read_machines(tmp_path / "out")] == ["native"]
    monkeypatch.setattr(emulate, "why_not_offered", lambda arithmetic: "no x86")
    line = replicate.refused("attest", "--arithmetic", "avx2", "--out", tmp_path / "none")
    assert "nothing to attest" in line


def test_variables_of_the_shell_are_not_mixed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    environment = emulate._environment(named("two-threads"), NATIVE)
    assert "ATEN_CPU_CAPABILITY" not in environment and environment["NUMBA_NUM_THREADS"] == "2"
    assert environment.get("PATH") == os.environ.get("PATH")
