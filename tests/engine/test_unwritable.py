"""A start where neither the installation nor the home folder can be written, as in containers."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numba as nb
import pytest

from ir_replications.shared import scratch
from ir_replications.shared.compiling import compiled
from ir_replications.shared.files import find_cache_dir
from ir_replications.shared.scratch import private_folder, usable
from tests.cli import PROGRESS, broken_papers
from tests.unprivileged import ROOT, unprivileged

# BM25 compiles one function in a second, BMX fifty in twelve.
SEARCH = (
    "from ir_replications.shared.retrieval.bm25 import BM25; "
    "print(BM25().index([['a'], ['b']]).retrieve([['b']], k=1)[0].tolist())"
)
BM25 = ("system=bm25", "analyzer=bm25s", "method=lucene")
DRAWN = "prorank"  # a paper with records and figures
HOME = "/dev/null/home"  # can be made by nobody
HOMELESS = {"HOME": HOME, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the modules that cannot be written, without kernels compiled before."""
    folder = tmp_path_factory.mktemp("installed")
    leave_out = shutil.ignore_patterns(
        "*.nbi", "*.nbc", "results", "html", "local", "tests", *broken_papers()
    )
    own = folder / "ir_replications"
    for name, place in (
        ("replications", own),
        ("shared", own / "shared"),
        ("reports", own / "reports"),
    ):
        shutil.copytree(ROOT / name, place, ignore=leave_out)
    drawn = Path("reports", "results", DRAWN)
    shutil.copytree(ROOT / drawn, own / drawn)
    closed = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in closed:
        path.chmod(0o555)
    yield folder
    for path in closed:
        path.chmod(0o755)


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["run", "bmx", "--dry-run"]])
def test_commands_that_keep_nothing_say_nothing(
    package: Path, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "tmp").mkdir()
    done = unprivileged(
        ["-m", "ir_replications", *arguments], tmp_path, package,
        TMPDIR=str(tmp_path / "tmp"), **HOMELESS,
    )  # fmt: skip
    notes = [line for line in done.stderr.splitlines() if "the cache is" not in line]
    assert (done.returncode, notes) == (0, []) and done.stdout


def test_kernels_and_caches_go_to_a_private_folder_which_is_said(
    package: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    own = tmp_path / "tmp" / f"ir-replications-{os.getuid()}"
    options = {"TMPDIR": str(tmp_path / "tmp"), **HOMELESS}
    request = ["run", "bmx", "--collection", str(tiny), "--experiment", "E2", "--jobs", "2"]
    request += [*(part for where in BM25 for part in ("--where", where))]
    request += ["--store", str(tmp_path / "s")]
    done = unprivileged(["-m", "ir_replications", *request], tmp_path, package, **options)
    assert (done.returncode, "3 cells: 3 run" in done.stdout) == (0, True), done.stderr
    assert re.search(rf"note: compiling search kernels, kept in {own}/kernels; set ", done.stderr)
    told = re.compile(rf"note: |{PROGRESS.pattern}")  # and how far it is on a slow machine
    assert not [line for line in done.stderr.splitlines() if not told.match(line)]
    assert own.stat().st_mode & 0o777 == 0o700
    again = unprivileged(["-c", SEARCH], tmp_path, package, **options)
    assert (again.stdout, again.stderr) == ("[[1]]\n", ""), "they are kept"
    pages = ["report", "--published-only", "--out", str(tmp_path / "pages")]
    drawn = unprivileged(["-m", "ir_replications", *pages], tmp_path, package, **options)
    assert (drawn.returncode, drawn.stderr) == (0, ""), "matplotlib has nothing to say either"
    assert "<svg" in (tmp_path / "pages" / f"{DRAWN}.html").read_text("utf-8")


def test_without_any_folder_kernels_are_compiled_anew(package: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    code = f"import tempfile; tempfile.gettempdir = lambda: {str(tmp_path)!r}; {SEARCH}"
    try:
        done = unprivileged(["-c", code], package, package, **HOMELESS)
    finally:
        tmp_path.chmod(0o755)
    assert done.stdout == "[[1]]\n"
    assert done.stderr == (
        "note: compiling search kernels, in every process anew: no folder can be written to keep "
        "them; set NUMBA_CACHE_DIR to a folder that can be written\n"
    )


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    private_folder.cache_clear()
    yield tmp_path / f"ir-replications-{os.getuid()}"
    private_folder.cache_clear()


def test_a_folder_of_that_name_that_others_can_enter_is_not_used(temporary: Path) -> None:
    temporary.mkdir(mode=0o755)
    assert private_folder("x") is None
    temporary.chmod(0o700)
    private_folder.cache_clear()
    assert private_folder("x") == temporary / "x"


def test_a_link_of_that_name_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    temporary.symlink_to(tmp_path / "elsewhere")
    assert private_folder("x") is None


def test_the_cache_follows_the_home_folder_or_says_where_it_is(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name in ("IR_REPLICATIONS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_cache_dir() == tmp_path / ".cache" / "ir-replications"
    monkeypatch.setenv("HOME", HOME)
    scratch.note_once.cache_clear()
    assert find_cache_dir() == find_cache_dir() == temporary / "cache"
    assert capsys.readouterr().err.splitlines() == [
        f"note: {HOME}/.cache/ir-replications cannot be made; the cache is "
        f"{temporary}/cache (set IR_REPLICATIONS_CACHE to a folder that can be written to keep it "
        "elsewhere)"
    ]


def test_libraries_are_told_of_another_cache_unless_the_user_or_a_rehearsal_says(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IR_DATASETS_HOME", "/mine")
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setenv("IR_REPLICATIONS_REHEARSAL", "1")
    scratch.redirect_caches()
    assert "HF_HOME" not in os.environ
    monkeypatch.delenv("IR_REPLICATIONS_REHEARSAL")
    scratch.redirect_caches()
    found = {os.environ.pop(name) for name in ("HF_HOME", "MPLCONFIGDIR")}
    assert found == {f"{temporary}/huggingface", f"{temporary}/matplotlib"}
    assert os.environ["IR_DATASETS_HOME"] == "/mine"


def test_what_is_usable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert usable(tmp_path) and usable(tmp_path / "new" / "deeper")
    assert not usable(tmp_path / "file" / "x") and not usable(HOME)
    assert not usable("~/.cache"), "expanduser leaves ~ where there is no home"


def _next(x: int) -> int:
    return x + 1


def test_a_damaged_cache_of_kernels_and_a_full_disk_cost_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nb.core.config, "CACHE_DIR", str(tmp_path))
    first = compiled()(_next)
    assert first(1) == 2 and len(first.stats.cache_misses) == 1
    kept = sorted(tmp_path.rglob("*.nb?"))
    assert [path.suffix for path in kept] == [".nbc", ".nbi"]
    assert compiled()(_next)(1) == 2
    for path in kept:
        content = path.read_bytes()
        for damage in (b"", content[: len(content) // 2], b"\x80garbage" + content):
            path.write_bytes(damage)
            assert compiled()(_next)(1) == 2
            path.write_bytes(content)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for path in kept:
        path.unlink()
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert compiled()(_next)(1) == 2
