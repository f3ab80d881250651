"""Installed, editable or from a wheel, the suite is one package and needs no clone around it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.cli import beir, broken_papers

ROOT = Path(__file__).resolve().parents[2]
WRONG = "raise SystemExit('a module of the working directory was run')\n"
FOLDERS = ("shared", "reports", "replications", "ir_replications_of_mine", "engine", "tests")
IMPORT = (
    "from ir_replications.bmx import BMX; import ir_replications; print(ir_replications.__file__)"
)
SMALL = ("--experiment", "E2", "--where", "system=bm25", "--where", "analyzer=bm25s")


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    if "No module named pip" in done.stderr:
        pytest.skip("no pip in this environment")
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("no package index is reachable, so nothing to build a wheel with")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of what is tracked here, built away from the checkout, which it would write into."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    leave_out = shutil.ignore_patterns(
        "__pycache__", "html", "local", "*.egg-info", "build", *broken_papers()
    )
    for name in ("replications", "shared", "reports"):
        shutil.copytree(ROOT / name, source / name, ignore=leave_out)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "-w", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder that the wheel is installed into."""
    pip("install", "--no-deps", "--target", wheel.parent / "site", wheel)
    return wheel.parent / "site"


@pytest.fixture(params=["editable", "wheel"])
def home(request: pytest.FixtureRequest) -> Path | None:
    """What PYTHONPATH names to have the suite as it is installed; None: this environment's."""
    if request.param == "editable":
        return None
    found: Path = request.getfixturevalue("installed")
    return found


def python(
    arguments: list[str], folder: Path, home: Path | None
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["IR_REPLICATIONS_CACHE"] = str(folder / "cache")
    if home is not None:
        environment["PYTHONPATH"] = str(home)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder of the user's, with packages and modules of the suite's and others' old names."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(WRONG)
    for name in ("click.py", "bmx.py", "catalogue.py"):
        (tmp_path / name).write_text(WRONG)
    return tmp_path


def test_nothing_of_the_working_directory_is_imported(crowded: Path, home: Path | None) -> None:
    for arguments in (
        ["-m", "ir_replications", "list"],
        ["-m", "ir_replications", "run", "--help"],
    ):
        done = python(arguments, crowded, home)
        assert done.returncode == 0 and WRONG.split("'")[1] not in done.stdout + done.stderr, done
    (crowded / "click.py").unlink()  # which `python -c` puts first, as any Python program does
    done = python(["-c", IMPORT], crowded, home)
    assert done.returncode == 0, done.stderr
    place = Path(done.stdout.strip()).parent
    assert place == (home / "ir_replications" if home else ROOT / "replications")


def test_the_wheel_holds_what_a_user_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "ir_replications", f"{wheel.name.split('-py3')[0]}.dist-info",
    }  # fmt: skip
    for folder, pattern in (
        ("replications", "*/*.toml"), ("replications", "*/*.json"), ("replications", "*/README.md"),
        ("replications", "*/training/recipes/*.yaml"), ("replications", "*/training/launch/*.yaml"),
        ("replications", "*/tables/*"), ("replications", "engine/template/**/*.template"),
        ("reports", "machines/*.json"), ("reports", "results/**/*.jsonl"),
        ("reports", "pages/templates/*"), ("reports", "bench/templates/*"), ("shared", "**/*.toml"),
    ):  # fmt: skip
        inner = PurePosixPath("ir_replications", "" if folder == "replications" else folder)
        left_out = {"local", *broken_papers()}
        expected = {
            (inner / path.relative_to(ROOT / folder).as_posix()).as_posix()
            for path in (ROOT / folder).glob(pattern)
            if path.is_file() and not set(path.parts) & left_out and "tests/" not in f"{path}"
        }
        assert expected and expected <= set(names), expected - set(names)
    assert "ir_replications/engine/template/tests/test_fusion.py.template" in names
    unwanted = re.compile(r"/tests/|/test_|/bench_|\.run\.gz$|\.html$|/runs/|__pycache__")
    wanted = re.compile(r"\.template$|/reports/(pages|bench)/templates/")
    assert [n for n in names if unwanted.search(n) and not wanted.search(n)] == []


def test_the_commands_work_from_a_wheel_outside_a_clone(installed: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python(["-m", "ir_replications", *arguments], tmp_path, installed)

    for command in ("list", "check"):
        done = run(command)
        assert (done.returncode, done.stderr) == (0, ""), done
    _run_tiny(tmp_path, installed)
    assert (tmp_path / "ir-replications" / "local" / "bmx").is_dir()
    refused = run("new", "mine")
    assert refused.returncode == 2 and "in a clone of the suite" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("out", ["ir-replications/html", "pages"])
def test_pages_from_a_wheel_link_to_what_is_there(
    installed: Path, tmp_path: Path, out: str
) -> None:
    _run_tiny(tmp_path, installed)
    done = python(["-m", "ir_replications", "report", "--out", out], tmp_path, installed)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    page = (tmp_path / out / "bmx.html").read_text()
    links = {link.partition("#")[0] for link in re.findall(r'href="([^":]+)"', page)} - {""}
    assert any("tiny" in link for link in links) and len(links) > 100
    assert [link for link in links if not (tmp_path / out / link).exists()] == []
    assert "reproduced" in page, "published records come with the wheel"


def _run_tiny(folder: Path, home: Path) -> None:
    beir(folder / "tiny")
    arguments = ["run", "bmx", "--collection", "tiny", *SMALL]
    done = python(["-m", "ir_replications", *arguments], folder, home)
    assert done.returncode == 0 and "run, 0 kept from before" in done.stdout, done.stderr
