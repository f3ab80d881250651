"""What lies in the working directory, or in PYTHONPATH, does not become part of the suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRONG = "raise SystemExit('the module of the working directory was run')\n"
LAID = {
    "a folder reports": {"reports/keep.txt": ""},
    "a folder shared": {"shared/data/keep.txt": ""},
    "packages": {"reports/__init__.py": WRONG, "shared/__init__.py": WRONG},
    "modules": {"reports.py": WRONG, "shared.py": WRONG},
    "a library": {"click.py": WRONG, "rich/__init__.py": WRONG, "numpy.py": WRONG},
    "the standard library": {"json.py": WRONG, "random.py": WRONG, "tempfile.py": WRONG},
}


def _lay(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _run(
    folder: Path, arguments: list[str], *before: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (*before, ROOT)))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("case", LAID)
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["-m", "ir_replications", "list"], "tongsearch_qr"),
        (
            ["-m", "ir_replications", "train", "prorank", "released-0.5b", "--dry-run"],
            "released-0.5b: ",
        ),
    ],
    ids=["replicate", "a paper's own"],
)
def test_the_working_directory_hides_nothing(
    tmp_path: Path, case: str, arguments: list[str], answer: str
) -> None:
    done = _run(_lay(tmp_path, LAID[case]), arguments)
    assert (done.returncode, done.stderr) == (0, "") and answer in done.stdout


@pytest.mark.parametrize("case", ["a folder reports", "packages", "modules"])
def test_a_folder_of_the_path_hides_nothing(tmp_path: Path, case: str) -> None:
    done = _run(ROOT.parent, ["-m", "ir_replications", "list"], _lay(tmp_path, LAID[case]))
    assert (done.returncode, done.stderr) == (0, "") and "tongsearch_qr" in done.stdout


def test_workers_and_the_process_that_builds_pydocs_see_the_suite_too(tmp_path: Path) -> None:
    _lay(tmp_path, LAID["packages"] | LAID["a library"])
    arguments = ["run", "bmx", "--experiment", "E2", "--jobs", "2"]
    arguments += ["--where", "analyzer=bm25s", "--where", "method=lucene"]
    done = _run(
        tmp_path, ["-m", "ir_replications", *arguments, "--store", "s"],
        IR_REPLICATIONS_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    assert (done.returncode, "3 cells: 3 run" in done.stdout) == (0, True), done.stderr


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.rmdir(os.getcwd()); sys.argv[1:] = ['list']; "
        "from ir_replications.__main__ import main; main()"
    )
    (tmp_path / "gone").mkdir()
    done = _run(tmp_path / "gone", ["-c", code])
    assert (done.returncode, done.stderr) == (0, "")
