"""Options and fixtures of every test: the tier whose claims are judged, and the data root."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before NumPy and torch start their threads: idle OpenMP threads spin on a shared machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

os.environ.pop("COLUMNS", None)  # of the runner's terminal: tables are then as narrow as that

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ir_replications.engine.evidence import Evidence
    from tests.cells import Cells

pytest.register_assert_rewrite("tests.claim_tests")

# A busy machine makes any one example slow.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

TIERS = ("embedded", "small", "paper")
EVIDENCE: dict[tuple[str, str], Evidence] = {}
FROM_WORKERS: list[tuple[str, list[str]]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("replications")
    group.addoption(
        "--tier",
        default="embedded",
        choices=TIERS,
        help="tier whose experiments run and whose claims are judged (default: embedded)",
    )
    group.addoption(
        "--data-root",
        default=None,
        help="folder of collections; default: the environment variable IR_REPLICATIONS_DATA",
    )
    group.addoption("--slow", action="store_true", help="also run tests that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    if _package() != Path(__file__).with_name("replications"):
        raise pytest.UsageError("this checkout is not installed: pip install -e '.[all]'")
    chosen = _chosen_root(config)
    if chosen and not Path(chosen).is_dir():
        raise pytest.UsageError(f"{chosen}: no such folder; the data root must be one that exists")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # The cells that claims are judged by run meanwhile (`_cells`). Workers take whole files.
    last = {item.path for item in items if _asks_for_evidence(item)}
    items.sort(key=lambda item: (item.path in last, _asks_for_evidence(item)))
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="takes minutes: pass --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    # The libraries' own objects are no garbage, which trainers of transformers collect each time.
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with `evidence` and `claim` runs once per claim and tier of its folder's paper."""
    if {"evidence", "claim"} <= set(metafunc.fixturenames):
        from ir_replications.reports.claims.reader import load_paper
        from ir_replications.shared.errors import InputError

        try:
            paper = load_paper(Path(metafunc.module.__file__).parents[1])
        except InputError as error:  # one red test, not the end of the session
            wrong = pytest.param(error, None, id="claims.toml")
            metafunc.parametrize(("evidence", "claim"), [wrong], indirect=["evidence"])
            return
        chosen = metafunc.config.getoption("--tier")
        order = [chosen, *(tier for tier in TIERS if tier != chosen)]
        cases = [(t, c) for t in order for c in paper.claims if t in c.tiers]
        metafunc.parametrize(
            ("evidence", "claim"),
            [pytest.param((paper.id, t), c, id=f"{t}-{c.id}") for t, c in cases],
            indirect=["evidence"],
        )


def _package() -> Path | None:
    """The folder that `ir_replications` is imported from."""
    spec = find_spec("ir_replications")
    return Path(spec.origin).parent if spec and spec.origin else None


def _chosen_root(config: pytest.Config) -> str | None:
    return config.getoption("--data-root") or os.environ.get("IR_REPLICATIONS_DATA")


def _data_root(config: pytest.Config) -> Path | None:
    chosen = _chosen_root(config)
    return Path(chosen) if chosen else None


@pytest.fixture(scope="session")
def data_root(request: pytest.FixtureRequest) -> Path:
    """The data root, or skip: no collection beyond the embedded one is required."""
    found = _data_root(request.config)
    if found is None:
        pytest.skip("no data root: pass --data-root or set IR_REPLICATIONS_DATA")
    return found


def _evidence(
    paper: str, tier: str, request: pytest.FixtureRequest, folder: Path, cells: Cells
) -> Evidence:
    """Evidence of a paper at a tier; the chosen tier's experiments run once in a session.

    Those of a paper that has published nothing at the tier do not: its claims are "not run".
    """
    from ir_replications.engine.evidence import gather, is_published

    run = tier == request.config.getoption("--tier") and is_published(paper, tier)
    if (paper, tier) not in EVIDENCE:
        if run:
            cells.wait()
        EVIDENCE[paper, tier] = gather(
            paper, tier, store=folder, data_root=_data_root(request.config), run=run
        )
    return EVIDENCE[paper, tier]


def _asks_for_evidence(item: pytest.Item) -> bool:
    return bool({"evidence", "fresh_evidence"} & set(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def _session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session see."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def _store(_session: Path) -> Path:
    folder = _session / "store"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cells(request: pytest.FixtureRequest, _session: Path, _store: Path) -> Cells:
    """Started before the first test, in processes of their own; of no paper if no claim asks."""
    from ir_replications.engine.evidence import is_published
    from tests.cells import Cells

    asking = [item for item in request.session.items if _asks_for_evidence(item)]
    tier = request.config.getoption("--tier")
    papers = sorted({item.path.parents[1].name for item in asking})
    papers = [paper for paper in papers if is_published(paper, tier)]
    return Cells(papers, tier, _folder(tier, _store), _data_root(request.config), _session)


@pytest.fixture
def evidence(request: pytest.FixtureRequest, _store: Path, _cells: Cells) -> Evidence:
    """Evidence of the paper and tier that the test is parametrised with."""
    if isinstance(request.param, Exception):  # of a claims.toml that cannot be read
        raise request.param
    paper, tier = request.param
    return _evidence(paper, tier, request, _folder(tier, _store), _cells)


@pytest.fixture
def fresh_evidence(request: pytest.FixtureRequest, _store: Path, _cells: Cells) -> Evidence:
    """Evidence of the test's own paper at the chosen tier, run in this session."""
    tier = request.config.getoption("--tier")
    return _evidence(request.path.parents[1].name, tier, request, _folder(tier, _store), _cells)


@pytest.fixture
def checked(request: pytest.FixtureRequest, _store: Path) -> Callable[[str], dict[str, Any]]:
    """The facts of a check of E1 of the test's own paper.

    Cells that claims are judged by are the same: whoever comes first runs it, once in a session.
    """
    from ir_replications.engine.execute import run_job
    from ir_replications.engine.jobs import plan_jobs

    paper = request.path.relative_to(Path(__file__).with_name("replications")).parts[0]

    def facts(check: str) -> dict[str, Any]:
        (job,) = [
            job for job in plan_jobs(paper, "embedded", only=["E1"]) if job.config["check"] == check
        ]
        record, _ = run_job(job, _store)
        assert record.status == "ok", record.error
        return dict(record.facts)

    return facts


def _folder(tier: str, store: Path) -> Path:
    """The embedded tier is quick enough to run afresh; longer tiers go on where they were."""
    from ir_replications.engine.commands.options import LOCAL

    return store if tier == "embedded" else LOCAL


def _verdicts() -> list[tuple[str, list[str]]]:
    """Title and lines for each paper and tier that this process judged."""
    shown = []
    for (paper, tier), evidence in EVIDENCE.items():
        origin = "from committed records" if evidence.fresh is None else "measured now"
        lines = []
        if other := evidence.comparison.left_out:
            lines.append(f"{len(other)} cells are not compared with the published ones: {other[0]}")
        not_run: dict[str, None] = {}
        for finding in evidence.judged.findings:
            if finding.verdict.word == "not run":
                not_run[finding.claim] = None
                continue
            number = "" if finding.value is None else f"{finding.value:.6g}"
            if finding.effect is not None:
                e = finding.effect
                number = f"{e.difference:+.4f} [{e.low:+.4f}, {e.high:+.4f}]"
            lines.append(
                f"{finding.verdict.symbol} {finding.verdict.word:<18} {finding.id:<36} {number}"
            )
        if not_run:
            lines.append(f"○ not run: {', '.join(not_run)}; replicate run {paper} --tier {tier}")
        shown.append((f"{paper}, tier {tier} ({origin})", lines))
    return shown


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends what it judged to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["verdicts"] = _verdicts()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker of pytest-xdist judged."""
    FROM_WORKERS.extend(getattr(node, "workeroutput", {}).get("verdicts", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The verdicts of every tier, fresh for the chosen one, from committed records otherwise."""
    for title, lines in [*_verdicts(), *sorted(FROM_WORKERS)]:
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
