"""`~` in every path that a command takes; what is no path."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from ir_replications.engine.commands.papers import report
from ir_replications.engine.door import OUTPUT_FILE, OUTPUT_FOLDER, USER_PATH, user_folder
from ir_replications.shared.errors import InputError
from tests.cli import E2, Replicate


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_path_as_the_user_writes_it(home: Path) -> None:
    assert USER_PATH.convert("~/x", None, None) == home / "x"
    assert USER_PATH.convert("a/~/x", None, None) == Path("a/~/x")
    for bad in ("~nobody-of-this-name/x", "", "a\0b"):
        with pytest.raises(click.BadParameter):
            USER_PATH.convert(bad, None, None)
    (home / "file").write_text("")
    with pytest.raises(click.BadParameter, match="is a file"):
        OUTPUT_FOLDER.convert("~/file", None, None)
    with pytest.raises(click.BadParameter, match="is a directory"):
        OUTPUT_FILE.convert("~", None, None)
    assert user_folder("~") == home and user_folder("~/file") is None
    with pytest.raises(InputError, match="no such user"):
        user_folder("~nobody-of-this-name/x")


def test_a_run_of_folders_below_home(replicate: Replicate, tiny: Path, home: Path) -> None:
    tiny.rename(home / "tiny")
    request = ("run", "bmx", "--collection=~/tiny", *E2, "--store=~/store", "--data-root=~")
    result = replicate(*request)
    assert result.status == 0 and (home / "store" / "bmx").is_dir(), result
    assert not list(Path.cwd().glob("~*"))


def test_pages_and_runs_below_home(
    replicate: Replicate, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MACHINES", home / "none")
    assert replicate("report", "--published-only", "--out=~/pages").status == 0
    assert (home / "pages" / "index.html").is_file()
    (home / "a.run").write_text("q Q0 d1 1 2 r\n")
    (home / "qrels.txt").write_text("q 0 d1 1\n")
    assert replicate("compare", "~/a.run", "~/a.run", "--qrels=~/qrels.txt").status == 0
    assert not list(Path.cwd().glob("~*"))


def test_variables_hold_paths_of_the_same_rule(
    replicate: Replicate, tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data" / "local").mkdir(parents=True)
    tiny.rename(home / "data" / "local" / "tiny")
    monkeypatch.setenv("IR_REPLICATIONS_DATA", "~/data")
    monkeypatch.setenv("IR_REPLICATIONS_CACHE", "~/cache")
    result = replicate("run", "bmx", "--collection", "local/tiny", *E2, "--store", "s")
    assert result.status == 0 and (home / "cache").is_dir(), result
    assert not list(Path.cwd().glob("~*"))


@pytest.mark.parametrize("store", ["", "~nobody-of-this-name/s"])
def test_what_is_no_path_is_refused_by_its_option(
    replicate: Replicate, tiny: Path, store: str
) -> None:
    line = replicate.refused("run", "bmx", "--collection", tiny, f"--store={store}")
    assert "Invalid value for '--store'" in line
