"""Facts that stand in several files agree: versions, bounds, extras, the README's commands."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {_normal(package): pinned for package, pinned in pairs}


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_citation_changelog_and_package_have_one_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert version("ir-replications") == PROJECT["version"]


def test_lowest_constraints_are_the_lower_bounds() -> None:
    extras = PROJECT["optional-dependencies"]
    bounds = [*PROJECT["dependencies"], *extras["test"], *extras["hub"], *extras["irds"]]
    expected = {_normal(b.split(">=")[0]): b.split(">=")[1] for b in bounds}
    assert _pins("constraints-lowest.txt") == expected


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_every_dependency_has_an_exact_pin(extra: str) -> None:
    named = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    packages = {_normal(re.split(r"[\[>=<;~ ]", item)[0]) for item in named} - {"ir-replications"}
    assert packages <= set(_pins("constraints.txt"))


PAPERS = sorted(path.parent for path in (ROOT / "replications").glob("*/claims.toml"))


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_paper_has_its_files(paper: Path) -> None:
    for name in ("README.md", "numbers.toml", "experiments/registry.py", "tests/test_claims.py"):
        assert (paper / name).is_file(), f"{paper.name} lacks {name}"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_a_paper_with_packages_of_its_own_has_an_extra(paper: Path) -> None:
    """One that makes do with what every installation has needs none."""
    extras = PROJECT["optional-dependencies"]
    named = [item for each in PAPERS for item in extras.get(each.name, [])]
    further = {re.split(r"[\[>=<;~ ]", item)[0] for item in named}
    imports = rf"^\s*(?:from|import) ({'|'.join(sorted(further))})\b"
    code = [path for path in paper.rglob("*.py") if "tests" not in path.parts]
    found = {name for path in code for name in re.findall(imports, path.read_text(), re.M)}
    assert further and (paper.name in extras or not found), found


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    command, further = (ROOT / ".ci/run").read_text().strip().splitlines()[-2:]
    assert command.endswith("-m tox -e test")
    assert command in (ROOT / "README.md").read_text()
    assert further.endswith(" -e machines-others,lowest,type,lint")


def test_the_layers_do_not_reach_upwards() -> None:
    papers = [paper.name for paper in PAPERS]
    others = "|".join(["engine", "reports", *papers])
    for path in (ROOT / "shared").rglob("*.py"):
        text = path.read_text()
        assert not re.search(rf"^\s*(from|import) ir_replications\.({others})\b", text, re.M), path
        assert not re.search(rf"\b({'|'.join(papers)})\b", text, re.I), f"{path} names a paper"
    for path in (ROOT / "reports").rglob("*.py"):
        text = path.read_text()
        assert not re.search(rf"ir_replications\.({'|'.join(['engine', *papers])})\b", text), path
    for paper in papers:
        for path in (ROOT / "replications" / paper).rglob("*.py"):
            for other in set(papers) - {paper}:
                assert f"ir_replications.{other}" not in path.read_text(), path


def test_a_method_reads_no_file_and_asks_nothing_of_a_command_line() -> None:
    """What a reader of the paper looks for stands alone: equations on arrays, texts and models."""
    forbidden = r"^\s*(?:import|from) (?:argparse|click|json|pathlib|os|tomllib|yaml)\b|\bopen\("
    for path in (ROOT / "replications").glob("*/method/*.py"):
        text = path.read_text()
        assert not re.search(forbidden, text, re.M), path
        paper = path.parts[-3]
        upwards = rf"ir_replications\.{paper}\.(training|experiments|checks)\b"
        assert not re.search(upwards, text), path


GENERIC = r"^\s*(?:from|import) (?:shared|reports|replications)\b"


def test_the_package_has_one_name() -> None:
    for top in ("shared", "reports", "replications", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            assert not re.search(GENERIC, path.read_text(), re.M), path
