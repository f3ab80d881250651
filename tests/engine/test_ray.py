"""Cells on a Ray cluster of two nodes, each with a cache and a data root of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="tox -e ray installs it")

import ray

from ir_replications.engine import executors, jobs, ray_executor, registry
from ir_replications.engine.jobs import Job
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import InputError
from tests.bench.tiny import own_collection, tiny_models
from tests.cli import DOCS, E2, SYSTEMS, Replicate, beir, files, said
from tests.engine.ray_toy import toy_job, toys

NODES = ("a", "b")
ROOT = Path(__file__).resolve().parents[2]
# What tells two machines or two moments apart, in a record's provenance.
OF_THE_RUN = {"started", "wall_s", "peak_rss_mib"}


class Nodes:
    """The cluster's address, and the folders that only one node has."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address

    def cache(self, node: str) -> Path:
        return self.folder / node / "cache"

    def data_root(self, node: str) -> Path:
        return self.folder / node / "data"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster whose head, to which the tests connect, runs no cell."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes = Nodes(tmp_path_factory.mktemp("nodes"), cluster.address)
    for name in NODES:
        nodes.data_root(name).mkdir(parents=True)
        (nodes.data_root(name) / "qa.txt").write_text("the same on every node")
        own = {
            "IR_REPLICATIONS_CACHE": str(nodes.cache(name)),
            "IR_REPLICATIONS_DATA": str(nodes.data_root(name)),
            "PYTHONPATH": str(ROOT),
        }
        cluster.add_node(num_cpus=1, env_vars=own)
    yield nodes
    cluster.shutdown()


@pytest.fixture
def toy(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process and the workers that it asks for have the toy in place of every paper."""
    monkeypatch.setattr(registry, "experiments", toys)
    monkeypatch.setattr(ray_executor, "experiments", toys)
    ray.init(
        nodes.address,
        runtime_env={"worker_process_setup_hook": "tests.engine.ray_toy.install"},
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {"tiny": beir(tmp_path / "mine" / "tiny")}


def run(jobs: list[Job], store: Path, **options: Any) -> list[tuple[Record, bool]]:
    return list(executors.execute(jobs, store, executor="ray", **options))


def on_ray(nodes: Nodes, tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`replicate run bmx` in a process of its own, as a user of the cluster calls it."""
    command = [sys.executable, "-m", "ir_replications", "run", "bmx", *map(str, arguments)]
    command += ["--executor", "ray", "--where", "analyzer=baguetter", "--where", "title=newline"]
    environment = {
        **os.environ,
        "RAY_ADDRESS": nodes.address,
        "PYTHONPATH": str(ROOT),
        "IR_REPLICATIONS_CACHE": str(tmp_path / "cache"),
    }
    environment.pop("IR_REPLICATIONS_DATA", None)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    done.stderr = said(done.stderr)
    return done


def same(record: Record) -> dict[str, Any]:
    """A record without what must differ between two runs of its cell."""
    found = json.loads(record.to_json())
    del found["digest"]
    found["provenance"] = {k: v for k, v in found["provenance"].items() if k not in OF_THE_RUN}
    return found


def test_records_and_run_files_are_those_of_a_local_run(
    nodes: Nodes, replicate: Replicate, tmp_path: Path
) -> None:
    tiny = beir(tmp_path / "mine" / "tiny")
    local, remote = tmp_path / "local", tmp_path / "remote"
    replicate("run", "bmx", "--collection", tiny, *E2, "--store", local)
    done = on_ray(nodes, tmp_path, "--collection", tiny, *E2, "--store", remote)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{SYSTEMS} cells: {SYSTEMS} run, 0 kept from before\n" in done.stdout
    expected = [same(record) for record in Store(local).records()]
    assert [same(record) for record in Store(remote).records()] == expected
    assert len(expected) == SYSTEMS
    runs = {name: data for name, data in files(local).items() if name.endswith(".run.gz")}
    assert len(runs) == sum(record["run"] is not None for record in expected) > 1
    assert {n: data for n, data in files(remote).items() if not n.endswith(".json")} == runs
    for node in NODES:  # each took the folder and made the tokens, once and where it keeps them
        assert len([*nodes.cache(node).glob("sent/*/*/*/tiny/corpus.jsonl")]) == 1, node
        assert len([*nodes.cache(node).glob("tokens/*.npz")]) == 1, node
    assert "sent" not in {path.name for path in (tmp_path / "cache").iterdir()}

    before = files(remote)
    again = on_ray(nodes, tmp_path, "--collection", tiny, *E2, "--store", remote)
    assert f"{SYSTEMS} cells: 0 run, {SYSTEMS} kept from before\n" in again.stdout
    assert files(remote) == before


def test_a_node_without_the_data_root_is_one_line(
    nodes: Nodes, tmp_path: Path, folders: dict[str, Path]
) -> None:
    shutil.move(nodes.data_root("b"), tmp_path / "gone")
    try:
        done = on_ray(nodes, tmp_path, "--collection", folders["tiny"], *E2, "--store", "store")
    finally:
        shutil.move(tmp_path / "gone", nodes.data_root("b"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: node ")
    assert f": {nodes.data_root('b')}: no such data root here; mount or copy it" in done.stderr
    assert "IR_REPLICATIONS_DATA" in done.stderr


@pytest.mark.usefixtures("toy")
def test_cells_run_on_both_nodes_and_only_those_that_are_missing(
    nodes: Nodes, folders: dict[str, Path], tmp_path: Path
) -> None:
    jobs = [toy_job("slow", seed=seed) for seed in range(4)]
    options = {"folders": folders, "data_root": tmp_path}  # a path that the nodes need not have
    first = run(jobs[:3], tmp_path / "s", **options)
    assert {record.facts["node"] for record, _ in first} == set(NODES)
    assert [reused for _, reused in first] == [False] * 3
    assert {record.means["n"] for record, _ in first} == {float(len(DOCS))}
    resumed = run(jobs, tmp_path / "s", **options)
    assert [reused for _, reused in resumed] == [True] * 3 + [False]
    assert [record for record, _ in resumed[:3]] == [
        Store(tmp_path / "s").get(*job.key[:3], job.config) for job in jobs[:3]
    ]


@pytest.mark.usefixtures("toy")
def test_a_killed_worker_s_cell_is_run_again(folders: dict[str, Path], tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    jobs = [toy_job("killed once", marks=str(marks)), toy_job("good")]
    found = run(jobs, tmp_path / "s", folders=folders)
    assert marks.read_text() == "xx"
    assert [record.status for record, _ in found] == ["ok", "ok"]
    assert {record.means["n"] for record, _ in found} == {float(len(DOCS))}


@pytest.mark.usefixtures("toy")
def test_a_cell_whose_worker_always_dies_ends_the_run_in_one_line(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    results = executors.execute(
        [toy_job("good"), toy_job("killed always", marks=str(marks))],
        tmp_path / "s", n_jobs=1, executor="ray", folders=folders,
    )  # fmt: skip
    next(results)
    with pytest.raises(InputError, match=r"E1 tiny killed always .* was killed 3 times") as error:
        next(results)
    assert "\n" not in str(error.value)
    assert marks.read_text() == "xxx"
    assert [record.label for record in Store(tmp_path / "s").records()] == ["tiny good"]


@pytest.mark.usefixtures("toy")
def test_failures_are_recorded_and_bad_input_ends_the_run(
    nodes: Nodes, folders: dict[str, Path], tmp_path: Path
) -> None:
    jobs = [toy_job("bad"), toy_job("files")]
    run(jobs, tmp_path / "s", folders=folders, data_root=tmp_path)
    bad, found = Store(tmp_path / "s").records()
    assert bad.error is not None and bad.error.startswith("ZeroDivisionError: nothing to divide by")
    assert found.facts["text"] == "the same on every node"
    assert set(found.provenance["data"]) == {"files:qa.txt", "tiny"}
    with pytest.raises(InputError, match=r"node [\d.]+ \([0-9a-f]{8}\): corpus.jsonl:1: bad"):
        run([toy_job("refused")], tmp_path / "s", folders=folders)
    assert len(Store(tmp_path / "s").records()) == 2


@pytest.mark.usefixtures("toy")
def test_a_node_of_another_version_is_refused(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "code_digest", lambda paper: "0" * 64)
    with pytest.raises(InputError, match=r"node .*: has other code of toy than the machine"):
        run([toy_job("good")], tmp_path / "s", folders=folders)


def test_an_address_where_no_cluster_is_is_one_line(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr(registry, "experiments", toys)
    with pytest.raises(InputError, match=r"^RAY_ADDRESS=127.0.0.1:1: no Ray cluster can be joined"):
        run([toy_job("good")], tmp_path / "s", folders=folders)


def test_without_a_cluster_one_is_started_and_ended(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """In a process of its own, which a cluster of its own leaves in Ray's mode with a token."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        alone.submit(run_on_a_cluster_of_its_own, folders, tmp_path).result()


def run_on_a_cluster_of_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    os.environ |= {"RAY_ADDRESS": "local", "IR_REPLICATIONS_CACHE": str(cache)}
    os.environ["HOME"] = str(tmp_path)  # Ray writes the token there
    cell = jobs.plan_jobs("bmx", "small", collections=["tiny"], only=["E2"])[0]
    absent = replace(cell, config={**cell.config, "collection": "no/such"})
    results = executors.execute(
        [cell, absent], tmp_path / "s", n_jobs=1, executor="ray", folders=folders
    )
    record, _ = next(results)
    assert record.status == "ok" and record.provenance["data"].keys() == {"tiny"}
    with pytest.raises(InputError, match=r"^no/such: no such folder, not in the data root"):
        next(results)
    assert not ray.is_initialized()
    assert not (cache / "sent").exists(), "the folder lies on this machine"


def test_a_bench_with_models_of_the_user_s_is_that_of_one_machine(
    nodes: Nodes, replicate: Replicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First stages, rewriting and rerankers; the folders of the models are sent to the nodes."""
    pytest.importorskip("torch")
    own, models = own_collection(tmp_path / "own"), tiny_models(tmp_path)
    given = {"embedder": "embedder", "reranker": "cross", "rewriter": "causal", "prorank": "causal"}
    options: list[object] = ["--depth", 3, "--queries", 2, "--no-download"]
    options += ["--systems", "bmx,dense-own,rewritten,rerank-own,rerank-prorank"]
    for role, kind in given.items():
        options += ["--models", f"{role}={models[kind]}"]
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    found = {}
    for executor in ("local", "ray"):
        out = tmp_path / executor
        done = replicate("bench", own, *options, "--executor", executor, "--out", out)
        assert done.status == 0, done
        records = Store(out / "records").records()
        found[executor] = {r.config["system"]: r.per_query for r in records}
    assert len(found["ray"]) == 6 and found["ray"] == found["local"]
