"""An unfinished or broken paper is said in a line, and the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ir_replications.engine.commands.papers import publish
from ir_replications.engine.new_paper import write_new_paper
from tests.cells import Cells
from tests.cli import Replicate
from tests.engine.toy_papers import papers_in

Damage = Callable[[Path], object]
REGISTRY = "experiments/registry.py"


def _text(name: str, text: str) -> Damage:
    return lambda folder: (folder / name).write_text(text)


BROKEN: dict[str, tuple[Damage, str]] = {
    "claims that are no TOML": (_text("claims.toml", "[paper\n"), "claims.toml: not valid TOML"),
    "empty claims": (_text("claims.toml", ""), "claims.toml: key 'paper' is missing"),
    "no kinds of numbers": (
        lambda folder: (folder / "numbers.toml").unlink(),
        "numbers.toml: cannot be read (No such file",
    ),
    "a registry that raises": (
        _text(REGISTRY, "\nraise RuntimeError('not\\nyet')\n"),
        "registry.py: cannot be used (RuntimeError: not yet; registry.py, line 2)",
    ),
    "a registry that is no Python": (_text(REGISTRY, "EXPERIMENTS = (\n"), "(SyntaxError: "),
    "an empty registry": (_text(REGISTRY, ""), "has no attribute 'EXPERIMENTS'"),
    "no experiments": (
        lambda folder: shutil.rmtree(folder / "experiments"), "registry.py: cannot be used",
    ),
    "a module that is missing": (
        _text(REGISTRY, "from ir_replications.broken.method import later\n"), "cannot import name",
    ),
    "a library that is missing": (
        _text(REGISTRY, "import no_such_library\n"), "No module named 'no_such_library'",
    ),
    "cells that raise": (
        lambda folder: (folder / "experiments" / "e1_fusion.py").write_text(
            (folder / "experiments" / "e1_fusion.py")
            .read_text()
            .replace("for name in plan.collections", "for name in plan.nothing")
        ),
        "experiments: no cells (AttributeError: ",
    ),
}  # fmt: skip


@pytest.fixture(params=BROKEN)
def why(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """What commands say of `broken`, which stands beside the sound paper `good`."""
    damage, said = BROKEN[request.param]
    (tmp_path / "papers").mkdir()
    with papers_in(tmp_path / "papers", monkeypatch) as papers:
        damage(write_new_paper("broken", papers))
        yield said


def test_all_commands_go_on_with_the_others(why: str, replicate: Replicate, tiny: Path) -> None:
    listed = replicate("list")
    assert (listed.status, listed.err) == (0, "") and "good\n" in listed.out.replace(" ", "")
    (line,) = (line for line in listed.out.splitlines() if line.startswith("broken: "))
    assert why in line
    run = replicate("run", "all", "--collection", tiny, "--store", "s")
    assert run.status == 0 and "3 cells: 3 run" in run.out, run
    (line,) = run.err.splitlines()
    assert line.startswith("note: broken is passed over: ") and why in line
    checked = replicate("check")
    assert checked.status == 2 and "good: 2 claims" in checked.out
    assert any(why in line for line in checked.err.splitlines())
    alone = replicate("run", "good", "--collection", tiny, "--store", "s")
    assert (alone.status, alone.err) == (0, "")


def test_pages_of_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicate: Replicate
) -> None:
    (tmp_path / "papers").mkdir()
    with papers_in(tmp_path / "papers", monkeypatch) as papers:
        write_new_paper("broken", papers)
        assert replicate("report", "--out", "pages").status == 0
        (papers / "broken" / "claims.toml").write_text("[paper\n")
        (papers / "good" / "claims.toml").write_text(
            (papers / "good" / "claims.toml").read_text().replace("A fused ranking", "A new text")
        )
        line = replicate.refused("report", "--out", "pages")
    assert "written without broken (" in line and "not valid TOML" in line
    assert "A new text" in Path("pages/good.html").read_text()
    assert Path("pages/broken.html").is_file()


def test_the_records_of_the_others_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicate: Replicate, tiny: Path
) -> None:
    (tmp_path / "papers").mkdir()
    monkeypatch.setattr(publish, "git_state", lambda: {"commit": "0" * 40, "dirty": False})
    with papers_in(tmp_path / "papers", monkeypatch) as papers:
        assert replicate("run", "good", "--collection", tiny, "--store", "store").status == 0
        (write_new_paper("broken", papers) / "claims.toml").write_text("")
        monkeypatch.setattr(publish, "publish", lambda *_: [])
        done = replicate("publish", "all", "--store", "store")
    assert done.status == 0 and done.out == "good/small: all records are packed\n"
    assert done.err.startswith("note: broken is passed over: ")


def test_the_cells_of_the_others_are_run_for_the_claim_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "papers").mkdir()
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    with papers_in(tmp_path / "papers", monkeypatch) as papers:
        (write_new_paper("broken", papers) / REGISTRY).write_text("raise ValueError\n")
        monkeypatch.setattr("ir_replications.engine.executors.lanes_of", lambda jobs: len(jobs))
        seen = []
        monkeypatch.setattr(
            "ir_replications.engine.side_by_side.side_by_side",
            lambda lanes, *_: seen.append(lanes) or [],
        )
        Cells(["broken", "good"], "embedded", tmp_path, None, tmp_path).wait()
    assert seen == [3]
