"""Provenance says enough to repeat a run, and nothing about who ran it."""

from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from ir_replications.reports.records import provenance
from ir_replications.reports.records.provenance import code_digest, collect, git_state, scrub


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run --data-root /srv/secret/data -k 10", "run --data-root data -k 10"),
        ("--out=/home/ada/x.json,/srv/y", "--out=x.json,y"),
        ("~/models/minilm/", "minilm"),
        (r"C:\Users\ada\data and D:/x/y", "data and y"),
        ("'/a/b c'", "'b c'"),
        ("file:///home/ada/x PATH=/usr/a:/home/ada/b", "x PATH=a:b"),
        ("https://arxiv.org/abs/1 beir/scifact docs/s N/A 1/2", None),
        ("hub:org/name@0123 embedded:minilm-l6 - / -", None),
    ],
)
def test_scrub_cuts_absolute_paths_only(text: str, expected: str | None) -> None:
    assert scrub(text) == (text if expected is None else expected)


def test_scrub_reaches_keys_and_nested_values() -> None:
    assert scrub({"/a/b": [("/c/d", 1)]}) == {"b": [["d", 1]]}


def test_collect_holds_no_name_host_or_path(tmp_path: Path) -> None:
    found = collect(
        paper="toy",
        command=f"replicate run toy --data-root {tmp_path} --store {Path.home()}/x",
        seed=3,
        data={str(tmp_path / "mine"): "ab"},
        models={f"{Path.home()}/model": "cd"},
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        wall_s=1.23456,
        note=f"{os.getcwd()}/file",
    )
    text = json.dumps(found)
    for private in (str(tmp_path), str(Path.home()), os.getcwd(), sys.prefix):
        assert private not in text
    words = set(text.replace('"', " ").replace("/", " ").split())
    # A short or common host or user name (root, test) could be an innocent word of a package.
    for private in (platform.node(), getpass.getuser()):
        if len(private) > 4:
            assert private not in words
    assert found["data"] == {"mine": "ab"}
    assert (found["seed"], found["wall_s"], found["started"]) == (3, 1.235, "2026-01-02T03:04:05Z")
    assert found["packages"]["numpy"]
    assert found["peak_rss_mib"] > 1


def test_collect_never_imports_torch() -> None:
    code = (
        "import sys; from ir_replications.reports.records.provenance import collect; "
        "collect(paper='toy', command=''); sys.exit('torch' in sys.modules)"
    )
    root = Path(provenance.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_works_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert collect(paper="toy", command="", root=tmp_path)["git"] is None


def test_dirty_ignores_generated_folders(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    git("init", "-q")
    (tmp_path / "a.py").write_text("1\n")
    git("add", ".")
    git("commit", "-qm", "x")
    for folder in provenance.GENERATED:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "new.json").write_text("{}")
    os.utime(tmp_path / "a.py", (0, 0))  # what git would refresh its index for
    index = (tmp_path / ".git" / "index").read_bytes()
    state = git_state(tmp_path)
    assert state is not None and state["dirty"] is False and len(state["commit"]) == 40
    assert (tmp_path / ".git" / "index").read_bytes() == index, "it asks and writes nothing"
    (tmp_path / "b.py").write_text("2\n")
    changed = git_state(tmp_path)
    assert changed is not None and changed["dirty"] is True
    (tmp_path / "inner").mkdir()
    assert git_state(tmp_path / "inner") is None  # a package below somebody else's checkout


def test_code_digest_follows_code_and_nothing_else(tmp_path: Path) -> None:
    places = {"papers": tmp_path / "papers", "common": tmp_path / "shared"}
    folder = tmp_path / "papers" / "toy"
    for path in (tmp_path / "shared" / "bm25.py", folder / "method.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    before = code_digest("toy", **places)
    (folder / "tests").mkdir()
    for name in ("tests/test_method.py", "claims.toml", "tables.toml", "figures.py", "README.md"):
        (folder / name).write_text("anything")
    assert code_digest("toy", **places) == before
    (folder / "method.py").write_bytes(b"x = 1\r\n")  # a checkout with other line ends
    assert code_digest("toy", **places) == before
    (folder / "method.py").write_text("x = 2\n")
    after = code_digest("toy", **places)
    (folder / "method.py").write_text("x = 1\n")
    (tmp_path / "shared" / "bm25.py").rename(tmp_path / "shared" / "bm26.py")
    assert len({before, after, code_digest("toy", **places)}) == 3
    assert code_digest("other", **places) != before


def test_code_digest_follows_recipes(tmp_path: Path) -> None:
    places = {"papers": tmp_path / "papers", "common": tmp_path / "shared"}
    recipe = tmp_path / "papers" / "toy" / "training" / "small.yaml"
    recipe.parent.mkdir(parents=True)
    digests = set()
    for text in ("steps: 1\n", "steps: 2\n"):
        recipe.write_text(text)
        digests.add(code_digest("toy", **places))
    assert len(digests) == 2


def test_the_processor_is_described_as_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "processor\t: 0\nmodel name\t: Example CPU @ 2 GHz\nflags\t: fpu sse sse4_2 smep avx2 fma\n"
        "\nprocessor\t: 1\nmodel name\t: Other\nflags\t\t: fpu\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert provenance.cpu_model() == "Example CPU @ 2 GHz"
    assert provenance.instruction_sets() == ["avx2", "fma", "sse", "sse4_2"]


def test_the_operating_system_has_a_name_and_nothing_of_its_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "ada-laptop")
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-ada-laptop")
    monkeypatch.setattr(
        platform, "freedesktop_os_release", lambda: {"NAME": "Example Linux", "VERSION_ID": "12"}
    )
    assert provenance.operating_system() == f"Example Linux 12, {platform.machine()}"

    def none() -> dict[str, str]:
        raise OSError("no os-release")

    monkeypatch.setattr(platform, "freedesktop_os_release", none)
    assert "ada" not in provenance.operating_system()


def test_the_capability_of_torch_is_asked_only_where_torch_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert provenance.torch_capability() is None
    assert "torch" not in sys.modules
    loaded = SimpleNamespace(
        backends=SimpleNamespace(cpu=SimpleNamespace(get_cpu_capability=lambda: "AVX2")),
        cuda=SimpleNamespace(is_available=lambda: False),
        get_num_threads=lambda: 3,
    )
    monkeypatch.setitem(sys.modules, "torch", loaded)
    found = collect(paper="toy", command="replicate run toy")
    assert (found["cpu"]["instruction_set"], found["threads"]["torch"]) == ("AVX2", 3)
