"""Cells: their names, commands and records, and when a finished record is taken as it is."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ir_replications.engine import context, execute, executors, registry
from ir_replications.engine.commands.papers.narrow import narrowed
from ir_replications.engine.commands.papers.run import run as run_of_cli
from ir_replications.engine.context import Context
from ir_replications.engine.execute import reusable, run_job
from ir_replications.engine.experiment import TIERS, Config, Experiment, Outcome, Plan
from ir_replications.engine.first_stages import judgements
from ir_replications.engine.jobs import Job, plan_jobs, told
from ir_replications.engine.registry import PAPERS_FOLDER, experiments, papers
from ir_replications.reports.claims.judge import judge
from ir_replications.reports.claims.reader import load_paper
from ir_replications.reports.records.commands import run_command
from ir_replications.reports.records.record import Record
from ir_replications.reports.records.store import Store
from ir_replications.shared.errors import DivergedError, InputError, MissingDependencyError
from ir_replications.shared.evaluation.metrics import Scores
from tests.cli import beir, files, forget


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IR_REPLICATIONS_DATA", raising=False)
    forget()


def _documents(config: Config, context: Context) -> Outcome:
    """A cell that measures how many documents a collection has."""
    context.runs.append(config["system"])  # type: ignore[attr-defined]
    if config["system"] == "bad":
        raise ZeroDivisionError("at " + os.fspath(Path("/home/somebody/x.py")))
    if config["system"] == "absent":
        raise MissingDependencyError("needs the package nothing: pip install nothing")
    if config["system"] == "diverged":
        raise DivergedError("the loss is not finite at step 3")
    if config["system"] == "nan":
        return Outcome(facts={"spearman": math.nan})
    if config["system"] == "stopped":  # as compiled code reports a signal
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()
    if config["system"] == "refused":
        raise InputError("corpus.jsonl:1: bad")
    n = len(context.collection(config["collection"]).doc_ids)
    run = {"q1": [("d1", 1.0)]}
    return Outcome(Scores({"n": {"q1": float(n)}}, {"n": float(n)}), {"documents": n}, run)


def _cells(plan: Plan) -> list[dict[str, Any]]:
    return [
        {"collection": c, "system": s, "k1": 1.2, "form": None, "seed": 3}
        for c in plan.collections
        for s in ("good", "other")
    ]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The toy paper in place of the real ones; the list of the cells that were run."""
    done: list[str] = []
    toy = {
        "E1": Experiment("E1", "toy", _cells, _documents, {"embedded": "1 s"}),
        "E2": Experiment("E2", "asks a model", _cells, _documents, {}, needs_model=True),
    }
    monkeypatch.setattr(registry, "experiments", lambda paper: toy)
    monkeypatch.setattr(registry, "default_collections", lambda paper, tier: ("pydocs",))
    monkeypatch.setattr(Context, "runs", done, raising=False)
    return done


def toy_job(system: str = "good", collection: str = "tiny") -> Job:
    return Job("toy", "small", "E1", {"collection": collection, "system": system, "seed": 3})


def planned(command: str) -> list[Job]:
    """The cells that a command would run."""
    words = shlex.split(command)
    assert words[:2] == ["replicate", "run"]
    options = run_of_cli.make_context("run", words[2:]).params
    cells = plan_jobs(
        options["paper"], options["tier"], collections=options["collections"], only=options["only"]
    )
    return narrowed(cells, options["where"])


@pytest.mark.parametrize("paper", papers())
def test_every_command_of_a_record_runs_its_cell_alone(paper: str) -> None:
    for tier in TIERS:
        for job in plan_jobs(paper, tier):
            found = planned(job.command())
            # A value with a comma cannot be given to --where.
            assert job in found if "," in job.label else found == [job]


@pytest.mark.parametrize("paper", papers())
@pytest.mark.parametrize("tier", TIERS)
def test_what_was_not_run_has_a_command_that_runs_it(paper: str, tier: str) -> None:
    claimed = load_paper(PAPERS_FOLDER / paper)
    judged = judge(claimed, [], tier)
    rows = {(t.id, i): row for t in claimed.tables for i, row in enumerate(t.rows)}
    # A row with a note says itself why it may not be run, as where a package is not installed.
    cells = [c for c in judged.cells if c.selectors and not rows[c.table, c.row].note]
    commands = {run_command(paper, tier, cell.selectors) for cell in cells}
    for command in commands | {found.command for found in judged.findings}:
        assert planned(command), command


@pytest.mark.parametrize("paper", papers())
def test_labels_are_short_and_tell_cells_of_different_systems_apart(paper: str) -> None:
    for tier in TIERS:
        jobs = plan_jobs(paper, tier)
        counts = Counter((j.experiment, j.label, j.config.get("seed")) for j in jobs)
        assert [name for name, number in counts.items() if number > 1] == []
        assert len({job.key for job in jobs}) == len(jobs)
        assert all(job.label and "None" not in job.label for job in jobs)
        for experiment in experiments(paper).values():
            keys = {key for job in jobs if job.experiment == experiment.id for key in job.config}
            assert all(key.isidentifier() for key in keys)


def test_a_label_names_its_numbers_and_leaves_out_nothing_and_the_seed() -> None:
    config = {"collection": "beir/x", "form": None, "k1": 1.2, "title": "omit", "seed": 7}
    assert Job("toy", "small", "E1", config).label == "beir/x k1=1.2 omit"


def test_a_command_names_a_folder_from_where_it_lies() -> None:
    command = toy_job().command({"tiny": Path("/home/somebody/my data")})
    assert command.startswith(
        "replicate run toy --tier small --experiment E1 --collection './my data' --where"
    )


@pytest.mark.usefixtures("runs")
def test_experiments_with_a_model_wait_to_be_asked_on_own_collections() -> None:
    assert {job.experiment for job in plan_jobs("toy", "small")} == {"E1", "E2"}
    own = plan_jobs("toy", "small", collections=["tiny"])
    assert {job.experiment for job in own} == {"E1"}
    asked = plan_jobs("toy", "small", collections=["tiny"], only=["E2"])
    assert {job.experiment for job in asked} == {"E2"}


def test_a_record_says_what_made_it(tmp_path: Path, runs: list[str]) -> None:
    folder = beir(tmp_path / "tiny")
    record, reused = run_job(toy_job(), tmp_path / "s", folders={"tiny": folder})
    assert not reused and record.status == "ok" and record.means == {"n": 5.0}
    known = record.provenance
    assert known["data"] == {"tiny": context.load_collection(folder).sha256}
    assert known["seed"] == 3 and len(known["code_sha256"]) == 64
    assert str(tmp_path) not in record.to_json()
    assert Store(tmp_path / "s").get("toy", "E1", "small", toy_job().config) == record


def test_a_finished_record_is_taken_only_for_the_same_code_and_data(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"tiny": beir(tmp_path / "tiny")}
    first, _ = run_job(toy_job(), tmp_path / "s", folders=folders)

    def again(**options: Any) -> bool:
        forget()
        return run_job(toy_job(), tmp_path / "s", folders=folders, **options)[1]

    assert again() and runs == ["good"]
    with monkeypatch.context() as patch:
        patch.setattr(execute.provenance, "code_digest", lambda paper, **_: "0" * 64)
        assert again(keep=True) and runs == ["good"]
        assert not again() and runs == ["good"] * 2
    assert not again() and again()
    with (tmp_path / "tiny" / "corpus.jsonl").open("a") as handle:
        handle.write(json.dumps({"_id": "d6", "text": "x"}) + "\n")
    assert not again(keep=True) and len(runs) == 4
    changed = Store(tmp_path / "s").get("toy", "E1", "small", toy_job().config)
    assert changed is not None and changed.means == {"n": 6.0} != first.means


def test_a_record_is_reused_while_its_files_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / "a.jsonl").write_text("{}\n")
    context = Context(tmp_path)
    context.files("qa")
    job = toy_job()
    provenance = {"data": dict(context.data), "code_sha256": execute.code_digest(job.paper)}
    record = Record.create(
        paper=job.paper,
        experiment=job.experiment,
        tier=job.tier,
        label=job.label,
        config=job.config,
        provenance=provenance,
    )
    assert list(context.data) == ["files:qa"]
    assert reusable(record, job, Context(tmp_path))
    (tmp_path / "qa" / "b.jsonl").write_text("{}\n")
    assert not reusable(record, job, Context(tmp_path))
    shutil.rmtree(tmp_path / "qa")
    assert not reusable(record, job, Context(tmp_path))


@pytest.mark.parametrize("split", ["test", "test.full"])
def test_a_record_is_reused_for_the_same_judgements(
    tmp_path: Path, runs: list[str], split: str
) -> None:
    """d99 is judged and not there, in the split itself or in a pool's complete judgements."""
    folders = {"tiny": beir(tmp_path / "tiny")}
    job = toy_job()
    plain = run_job(job, tmp_path / "plain", folders=folders)[0]
    assert reusable(plain, job, Context(folders=folders))
    rows = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td99\t1\nq2\td2\t2\nq2\td5\t1\n"
    (tmp_path / "tiny" / "qrels" / f"{split}.tsv").write_text(rows)
    forget()
    both = [Context(folders=folders, judged_in_collection=inside) for inside in (False, True)]
    records = [
        run_job(job, tmp_path / f"{inside}", folders=folders, judged_in_collection=inside)[0]
        for inside in (False, True)
    ]
    assert [[reusable(record, job, context) for context in both] for record in records] == [
        [True, False],
        [False, True],
    ]
    assert judgements("tiny", "test", both[0])["q1"] == {"d1": 1, "d99": 1}
    assert judgements("tiny", "test", both[1])["q1"] == {"d1": 1}
    noted = [record.provenance["data"]["tiny"] for record in records]
    assert noted[0] == noted[1]
    (tmp_path / "tiny" / "qrels" / f"{split}.tsv").write_text(rows.replace("d99\t1", "d99\t2"))
    forget()
    assert not reusable(records[0], job, Context(folders=folders))
    assert reusable(records[1], job, Context(folders=folders, judged_in_collection=True))


def test_reusable_asks_for_the_data_only_when_the_code_agrees(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"tiny": beir(tmp_path / "tiny")}
    record, _ = run_job(toy_job(), tmp_path / "s", folders=folders)
    monkeypatch.setattr(execute, "code_digest", lambda paper: "0" * 64)
    monkeypatch.setattr(context, "cached_collection", lambda *_: pytest.fail("data were read"))
    assert not reusable(record, toy_job(), Context(folders=folders))


def test_a_signal_that_compiled_code_reports_is_no_failure_of_its_cell(
    tmp_path: Path, runs: list[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_job(toy_job("stopped"), tmp_path / "s")
    assert runs == ["stopped"] and not files(tmp_path)


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("bad", "ZeroDivisionError: at x.py (test_execute.py, line "),
        ("absent", "needs the package nothing: pip install nothing"),
        ("diverged", "the loss is not finite at step 3"),
        ("nan", "record toy/small/E1/tiny nan: facts.spearman is nan"),
    ],
)
def test_a_failure_is_recorded_in_one_line_and_tried_again(
    tmp_path: Path, runs: list[str], system: str, message: str
) -> None:
    for _ in range(2):
        record, reused = run_job(toy_job(system), tmp_path / "s")
        assert not reused and record.status == "error"
        assert record.error is not None and record.error.startswith(message)
        assert record.means == {} and "\n" not in record.error
    assert runs == [system] * 2


def test_bad_input_ends_the_run_and_leaves_no_record(tmp_path: Path, runs: list[str]) -> None:
    with pytest.raises(InputError, match=r"corpus.jsonl:1: bad"):
        run_job(toy_job("refused"), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_failure_never_takes_the_place_of_a_result(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"tiny": beir(tmp_path / "tiny")}
    run_job(toy_job(), tmp_path / "s", folders=folders)
    before = files(tmp_path / "s")
    monkeypatch.setattr(execute, "code_digest", lambda paper: "0" * 64)
    monkeypatch.setattr(Context, "collection", lambda *_: 1 / 0)
    record, reused = run_job(toy_job(), tmp_path / "s", folders=folders)
    assert not reused and record.status == "error"
    assert files(tmp_path / "s") == before


def test_a_failure_never_takes_the_place_of_what_another_process_finished(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"tiny": beir(tmp_path / "tiny")}

    def slow(config: Config, context: Context) -> Outcome:
        monkeypatch.setattr(registry, "experiments", lambda paper: {"E1": quick})
        run_job(toy_job(), tmp_path / "s", folders=folders)
        raise MemoryError("the other process was first")

    quick = registry.experiments("toy")["E1"]
    monkeypatch.setattr(
        registry, "experiments", lambda paper: {"E1": Experiment("E1", "toy", _cells, slow, {})}
    )
    record, _ = run_job(toy_job(), tmp_path / "s", folders=folders)
    assert record.status == "error" and runs == ["good"]
    assert [kept.status for kept in Store(tmp_path / "s").records()] == ["ok"]


def test_unknown_names_are_refused_with_those_that_exist(runs: list[str]) -> None:
    with pytest.raises(InputError, match="toy has no experiment 'E7'; its experiments are: E1, E2"):
        plan_jobs("toy", "small", only=["E7"])
    with pytest.raises(InputError, match="no executor named 'cloud'; expected local or ray"):
        list(executors.execute([toy_job()], Path("s"), executor="cloud"))


@pytest.mark.parametrize("paper", papers())
def test_no_two_cells_of_a_tier_have_one_name(paper: str) -> None:
    for tier in TIERS:
        names = [told(job) for job in plan_jobs(paper, tier)]
        assert len(set(names)) == len(names), tier


def test_lanes_are_experiments_with_a_model_and_what_a_paper_has_without() -> None:
    jobs = [job for paper in ("bmx", "prorank") for job in plan_jobs(paper, "embedded")]
    lanes = executors.lanes_of(jobs)
    assert [*lanes] == [("bmx", "E5"), "bmx", ("prorank", "E2"), ("prorank", "E3"), "prorank"]
    assert sorted(job.key for lane in lanes.values() for job in lane) == sorted(
        job.key for job in jobs
    )
    for name, lane in lanes.items():
        model = isinstance(name, tuple)
        assert {(j.paper, j.experiment) if model else j.paper for j in lane} == {name}
        assert {registry.experiments(j.paper)[j.experiment].needs_model for j in lane} == {model}
