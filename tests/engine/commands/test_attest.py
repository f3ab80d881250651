"""`replicate attest`: one small file on this machine, red when anything disagrees."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ir_replications.engine import (
    cores,
    evidence,
    executors,
    registry,
    side_by_side,
)
from ir_replications.engine.commands.machines import attest, attestation
from ir_replications.engine.context import Context
from ir_replications.engine.experiment import Config, Experiment, Outcome, Plan
from ir_replications.engine.jobs import Job, plan_jobs
from ir_replications.reports.attestation.libraries import Libraries
from ir_replications.reports.attestation.machines import Machine, read_machines
from ir_replications.reports.claims.verdicts import Verdict
from ir_replications.shared.evaluation.metrics import Scores
from ir_replications.shared.files import find_cache_dir
from tests.cli import Replicate
from tests.reports.example import NUMBERS, values, write_paper

NATIVE = Libraries({"torch": "AVX2"}, {"torch": "00ff00ff"}, ["X86_V3"], {"torch": 1})


class Toy:
    """The toy paper with experiments that run: what they measure can be changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.means = {"bm25": 0.55, "double": 0.6}
        self.largest = 2.295
        self.failure = ""
        self.timed = False
        self.caches: list[Path] = []

    def experiments(self, paper: str) -> dict[str, Experiment]:
        def cells(plan: Plan) -> list[dict[str, Any]]:
            if plan.tier != "embedded":
                return []
            return [{"system": name, "collection": "toydocs"} for name in self.means]

        def retrieve(config: Config, context: Context) -> Outcome:
            self.caches.append(find_cache_dir())
            if self.failure:
                raise RuntimeError(self.failure)
            mean = self.means[config["system"]]
            return Outcome(Scores({"nDCG@10": values(mean)}, {"nDCG@10": mean}))

        def score(config: Config, context: Context) -> Outcome:
            return Outcome(facts={"largest_score": self.largest, "time_s": float(os.getpid())})

        scored = [{"system": "double"}]
        return {
            "E1": Experiment("E1", "retrieval", cells, retrieve, {}),
            "E2": Experiment(
                "E2", "scores", lambda plan: scored, score, {}, measures_time=self.timed
            ),
        }


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicate: Replicate) -> Toy:
    """Its records are published, and its files written to the folder "machines"."""
    found = Toy(tmp_path)
    numbers = NUMBERS.replace("float64 = [", 'float64 = ["largest_score", ')
    write_paper(tmp_path / "papers", numbers=numbers)
    monkeypatch.setattr(evidence, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(evidence, "PAPERS_FOLDER", tmp_path / "papers")
    monkeypatch.setattr(registry, "experiments", found.experiments)
    monkeypatch.setattr(registry, "default_collections", lambda paper, tier: ())
    monkeypatch.setattr(attest, "papers", lambda: ["toy"])
    monkeypatch.setattr(attest, "sound_papers", lambda: ["toy"])
    monkeypatch.setattr(attestation, "probe", lambda environment=None: NATIVE)
    for name in attestation.switches_set(os.environ):
        monkeypatch.delenv(name)
    list(executors.execute(plan_jobs("toy", "embedded"), tmp_path / "published"))
    found.caches.clear()
    return found


def _only(tmp_path: Path) -> Machine:
    (machine,) = read_machines(tmp_path / "machines")
    return machine


def test_a_machine_that_gets_what_was_published_agrees(
    replicate: Replicate, toy: Toy, tmp_path: Path
) -> None:
    result = replicate("attest", "--out", tmp_path / "machines")
    assert result.status == 0
    machine = _only(tmp_path)
    found = machine.papers["toy"]
    # Two means and their per-query values, and the largest score; the time is the machine's own.
    assert sum(found.compared.values()) == 5
    assert set(found.deviation.values()) == {0.0}
    assert (found.disagreements, found.left_out, machine.full) == ([], [], True)
    assert sum(found.verdicts.values()) > 0 and set(found.verdicts) <= {v.word for v in Verdict}
    assert (machine.arithmetic, machine.emulated, machine.libraries) == (
        "native",
        False,
        NATIVE.runs,
    )
    assert "toy: agrees; 5 values compared" in result.out
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache", "machines", "papers", "published",
    ]  # fmt: skip


def test_a_number_that_moved_is_red_and_written_all_the_same(
    replicate: Replicate, toy: Toy, tmp_path: Path
) -> None:
    toy.largest *= 1 + 1e-6
    result = replicate("attest", "--out", tmp_path / "machines")
    assert result.status == 1
    machine = _only(tmp_path)
    assert any("largest_score was 2.295" in line for line in machine.disagreements)
    assert max(machine.deviation.values()) == pytest.approx(1e-6, rel=1e-3)
    assert "toy: DISAGREES" in result.out


def test_a_verdict_that_changed_is_red(replicate: Replicate, toy: Toy, tmp_path: Path) -> None:
    toy.largest = 0.5  # C1, expected to be false, now holds
    assert replicate("attest", "--out", tmp_path / "machines").status == 1
    assert any(line.startswith("C1") for line in _only(tmp_path).disagreements)


@pytest.mark.parametrize("jobs", [1, 2])
def test_times_are_measured_under_the_processors_own_arithmetic_alone(
    replicate: Replicate, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    here = lambda cells, store, n_jobs: executors.execute(cells, store)  # noqa: E731
    monkeypatch.setattr(attestation, "execute", here)
    toy.timed, toy.largest = True, 0.5  # C1 on E2 would be red
    options = ("--out", tmp_path / "machines", "--jobs", jobs)
    assert replicate("attest", *options).status == 1
    (tmp_path / "machines" / f"{_only(tmp_path).digest[:16]}.json").unlink()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert replicate("attest", *options).status == 0
    found = _only(tmp_path).papers["toy"]
    assert found.left_out == ["E2: times, which are measured natively alone"]
    assert sum(found.compared.values()) == 4  # E1's two means and their per-query values
    assert not found.disagreements


def test_nothing_private_is_written(
    replicate: Replicate, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "ada-laptop")
    monkeypatch.setenv("USER", "ada-lovelace")
    monkeypatch.setenv("HOME", "/home/ada-lovelace")
    toy.failure = "cannot read /home/ada-lovelace/x.bin on\nada's disk"
    result = replicate("attest", "--out", tmp_path / "machines")
    assert result.status == 1
    (path,) = (tmp_path / "machines").iterdir()
    text = path.read_text()
    for private in ("ada-l", "/home", str(tmp_path), os.getcwd()):
        assert private not in text
    assert any("cannot read x.bin on ada's disk" in line for line in _only(tmp_path).disagreements)


def test_one_paper_is_said_to_be_one_paper(replicate: Replicate, toy: Toy, tmp_path: Path) -> None:
    assert replicate("attest", "--paper", "toy", "--out", tmp_path / "machines").status == 0
    assert not _only(tmp_path).full


def test_nothing_of_an_earlier_run_is_used_but_models(
    replicate: Replicate, toy: Toy, tmp_path: Path
) -> None:
    mine = find_cache_dir()
    (mine / "models" / "kept").mkdir(parents=True)
    (mine / "scores").mkdir()
    seen: list[list[str]] = []
    inner = toy.caches.append

    class Caches(list):
        def append(self, folder: Path) -> None:
            seen.append(sorted(path.relative_to(folder).as_posix() for path in folder.glob("*")))
            assert (folder / "models" / "kept").is_dir()
            inner(folder)

    toy.caches = Caches()
    assert replicate("attest", "--out", tmp_path / "machines").status == 0
    assert seen and all(names == ["models"] for names in seen)
    assert find_cache_dir() == mine and (mine / "models" / "kept").is_dir()


def test_cells_side_by_side_share_the_cores_and_run_once(
    replicate: Replicate, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str]] = []

    def one_by_one(jobs: list[Job], store: Path, n_jobs: int) -> Iterator[Any]:
        seen.append((n_jobs, os.environ["OMP_NUM_THREADS"]))
        return executors.execute(jobs, store)

    monkeypatch.setattr(attestation, "execute", one_by_one)
    for module in (cores, side_by_side):
        monkeypatch.setattr(module, "usable_cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert replicate("attest", "--out", tmp_path / "machines", "--jobs", "2").status == 0
    assert seen == [(2, "3")] and "OMP_NUM_THREADS" not in os.environ
    assert len(toy.caches) == 2  # one per cell of E1: none for the comparison again
    assert sum(_only(tmp_path).papers["toy"].compared.values()) == 5


def test_the_largest_deviation_of_every_number_is_written_on_demand(
    replicate: Replicate, toy: Toy, tmp_path: Path
) -> None:
    toy.largest *= 1 + 1e-10
    options = ("--out", tmp_path / "machines", "--values", tmp_path / "values")
    assert replicate("attest", *options, "--store", tmp_path / "kept").status == 0
    moved = json.loads((tmp_path / "values" / "native.json").read_text())["toy"]
    assert moved["E2"]["largest_score"]["kind"] == "float64"
    assert moved["E2"]["largest_score"]["deviation"] == pytest.approx(1e-10, rel=1e-3)
    assert moved["E1"]["nDCG@10"]["deviation"] == 0
    assert len(list((tmp_path / "kept").rglob("*.json"))) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--paper", "nonsense"), "no paper named 'nonsense'; the papers are: toy"),
        (("--store", "papers"), "is not empty"),
        (("--arithmetic", "quantum"), "'quantum'"),
    ],
)
def test_bad_requests_are_refused(
    replicate: Replicate, toy: Toy, options: tuple[str, ...], words: str
) -> None:
    assert words in replicate.refused("attest", *options)


def test_an_installed_package_has_nothing_to_compare_with(
    replicate: Replicate, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attest, "IN_CHECKOUT", False)
    assert "attest in a clone" in replicate.refused("attest")
